"""Ray, submitit and this process give the same bytes, also when machines die."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
from cluster_runs import MATCH, OPTIONS, match_options, nothing_left, same

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1000)]

RUN = ("run", "--ipc", "2", "--out", "out")


@pytest.fixture(scope="session")
def plain(condense):
    """A run without an executor."""
    return condense("plain-run", *RUN) / "out"


def jobs_of(folder):
    log = json.loads((folder / "run.log.json").read_text())
    return log["pid"], log["jobs"]


def without(stages, folder, plain):
    """``folder`` with a store as a plain run's, but for ``stages``."""
    shutil.copytree(plain / "store", folder / "store")
    for stage in stages:
        shutil.rmtree(folder / "store" / stage)


def test_submitit_gives_the_bytes_of_a_run_without(place, condense, plain_matching):
    """Each job a process of its own, and a matching one of two, which share its trajectories."""
    pytest.importorskip("submitit", reason="submitit comes with an extra of its own")
    without(("matching", "evaluations"), place / "submitit", plain_matching)
    given = ("--executor", "submitit:local", "-o", "executor.ranks=2")
    folder = condense("submitit", *MATCH, *match_options(), *given, tiny=False)
    same(folder / "out", plain_matching / "out")
    pid, jobs = jobs_of(folder / "out")
    assert [(job["stage"], job["executor"], job["threads"]) for job in jobs] == [
        ("matcher", "submitit", 1),
        ("evaluator", "submitit", 1),
    ]
    assert pid not in {job["pid"] for job in jobs}
    assert (folder / "submitit").stat().st_mode & 0o777 == 0o700
    assert nothing_left(folder / "store")


def test_ray_gives_the_bytes_of_a_run_without(on_ray, plain):
    place, _ = on_ray("ray", "calm", *RUN)
    same(place / "out", plain)
    pid, jobs = jobs_of(place / "out")
    assert len({job["node"] for job in jobs}) == 2  # both raylets that have a CPU
    assert pid not in {job["pid"] for job in jobs}
    assert {job["threads"] for job in jobs} == {1}
    assert nothing_left(place / "store")


def test_on_ray_a_matching_may_be_one_job_of_two_processes(place, on_ray, plain_matching):
    without(("matching",), place / "ranks", plain_matching)
    given = (*MATCH, *match_options(), "-o", "executor.ranks=2")
    folder, _ = on_ray("ranks", "wide", *given, tiny=False)
    same(folder / "out", plain_matching / "out")
    _, (job,) = jobs_of(folder / "out")
    assert (job["stage"], job["executor"], job["threads"]) == ("matcher", "ray", 1)


def test_a_job_that_no_node_can_hold_is_refused(on_ray):
    _, found = on_ray("refused", "refused")
    assert found["said"].startswith(
        "job large needs 64 threads, 0.000977 GiB, the largest node of the Ray cluster has 1 "
        "threads, "
    )


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
