"""Ray, submitit and this process give the same bytes, also when machines die."""

import json

import pytest

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

RUN = ("run", "--ipc", "2", "--out", "out")
ABLATE = (
    "ablate",
    "--vary",
    "policy=full,partial",
    "--vary",
    "selector.beta=0.1,0.5",
    "--seeds",
    1,
)
ABLATE += ("--ipc", "2", "--out", "out")
FREE_OF_THE_CLOCK = (
    *("condensed.safetensors", "manifest.json", "recipe.toml", "results.json", "trace.csv"),
)


@pytest.fixture(scope="session")
def plain(condense):
    """A run and an ablation without an executor."""
    return condense("plain-run", *RUN) / "out", condense("plain-ablate", *ABLATE) / "out"


def same(one, other, names):
    for name in names:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name


def jobs_of(folder):
    log = json.loads((folder / "run.log.json").read_text())
    return log["pid"], log["jobs"]


def left_over(folder):
    """Files of a store that belong to nobody any more."""
    return [
        p.name
        for p in (folder / "store").rglob("*")
        if p.name.startswith(".") or p.suffix == ".partial"
    ]


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
    assert left_over(folder) == []


def test_ray_gives_the_bytes_of_a_run_without(on_ray, plain):
    folder, _ = on_ray("ray", "calm", *RUN)
    same(folder / "out", plain[0], FREE_OF_THE_CLOCK)
    pid, jobs = jobs_of(folder / "out")
    assert len({job["node"] for job in jobs}) == 2  # both raylets that have a CPU
    assert pid not in {job["pid"] for job in jobs}
    assert {job["threads"] for job in jobs} == {1}
    assert left_over(folder) == []


@pytest.mark.parametrize("what", ["raylet", "worker", "driver"])
def test_an_ablation_ends_with_the_same_bytes_whatever_is_killed(on_ray, plain, what):
    folder, said = on_ray(f"kill-{what}", what, *ABLATE)
    assert said["kills"] == 1
    same(folder / "out", plain[1], ("ablation.json", "ablation.csv"))
    assert left_over(folder) == []
