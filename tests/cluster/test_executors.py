"""Ray, submitit and this process give the same bytes, also when machines die."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cluster_runs import OPTIONS, nothing_left

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1000)]

RUN = ("run", "--ipc", "2", "--out", "out")
FREE_OF_THE_CLOCK = (
    *("condensed.safetensors", "manifest.json", "recipe.toml", "results.json", "trace.csv"),
)


@pytest.fixture(scope="session")
def plain(condense):
    """A run without an executor."""
    return condense("plain-run", *RUN) / "out"


def same(one, other, names):
    for name in names:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name


def jobs_of(folder):
    log = json.loads((folder / "run.log.json").read_text())
    return log["pid"], log["jobs"]


def test_submitit_gives_the_bytes_of_a_run_without(condense, plain):
    pytest.importorskip("submitit", reason="submitit comes with an extra of its own")
    # each job is a process of its own, which imports all there is
    own = ("run", "--method", "random", "--no-baselines", "--ipc", "2")
    bare = ("-o", "evaluator.steps=40", "-o", "evaluator.repeats=2")
    wanted = condense("bare", *own, "--out", "out", *bare, tiny=False)
    given = ("--executor", "submitit:local", "-o", "executor.at_once=2")
    folder = condense("submitit", *own, *given, "--out", "out", *bare, tiny=False)
    same(folder / "out", wanted / "out", FREE_OF_THE_CLOCK)
    pid, jobs = jobs_of(folder / "out")
    assert {job["executor"] for job in jobs} == {"submitit"}
    assert pid not in {job["pid"] for job in jobs}
    assert (folder / "submitit").stat().st_mode & 0o777 == 0o700
    assert nothing_left(folder / "store")


def test_ray_gives_the_bytes_of_a_run_without(on_ray, plain):
    (calm,) = on_ray("ray", "calm", *RUN)
    place = Path(calm["place"])
    same(place / "out", plain, FREE_OF_THE_CLOCK)
    pid, jobs = jobs_of(place / "out")
    assert len({job["node"] for job in jobs}) == 2  # both raylets that have a CPU
    assert pid not in {job["pid"] for job in jobs}
    assert {job["threads"] for job in jobs} == {1}
    assert nothing_left(place / "store")


def test_an_ablation_ends_with_the_same_bytes_whatever_is_killed(killed):
    killed("killed", ["raylet", "worker", "driver"])


def test_ctrl_c_is_one_line_under_submitit_too(environment, place):
    """Pressed as on a terminal, for all processes of the group, once a job has begun."""
    pytest.importorskip("submitit", reason="submitit comes with an extra of its own")
    folder = place / "interrupted"
    folder.mkdir()
    running = subprocess.Popen(
        [sys.executable, "-m", "condense", *RUN, "--executor", "submitit:local", *OPTIONS],
        cwd=folder,
        env=environment | {"CONDENSE_STORE": str(folder / "store")},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    end = time.monotonic() + 600
    while not any(log.stat().st_size for log in folder.glob("submitit/*_log.out")):
        assert running.poll() is None, running.stderr.read()
        assert time.monotonic() < end
        time.sleep(0.05)
    os.killpg(running.pid, signal.SIGINT)
    _, said = running.communicate(timeout=600)
    assert running.returncode == 130, said
    assert "Traceback" not in said
    assert said.splitlines()[-1].startswith("interrupted; ")
