"""How long the executor ray waits for a node, against a cluster that is made up."""

import sys
from types import SimpleNamespace

import pytest

from condense.errors import CondenseError
from condense.jobs import Job, Resources
from condense_plugins.executors.on_ray import LOOK, PATIENCE, RayExecutor


class Task:
    """What ``ray.remote`` makes of a function, or of a function by ``ray.remote(max_calls=…)``."""

    def __init__(self, *function, started, max_calls=0):
        self.started, self.max_calls = started, max_calls

    def __call__(self, function):
        return self

    def options(self, **given):
        assert "max_calls" not in given  # which Ray refuses there
        self.given = given
        return self

    def remote(self, *_):
        self.started.append((self.given["num_gpus"], self.max_calls))
        return "ref"


@pytest.fixture
def ray(monkeypatch):
    """One node with a thread, where there is a connection or one is made."""
    made = SimpleNamespace(
        connected=True,
        ended=[],
        nodes=lambda: [{"Alive": True, "Resources": {"CPU": 1.0}}],
        is_initialized=lambda: made.connected,
        init=lambda **_: None,
        shutdown=lambda: None,
        cancel=lambda *_, **__: None,
        started=[],  # GPUs of each job, and after how many its process ends
        remote=lambda *function, **given: Task(*function, started=made.started, **given),
        get=lambda _: b"done",
        wait=lambda *_, **__: (made.ended, []),
        exceptions=SimpleNamespace(RayTaskError=KeyError, RayError=KeyError),
    )
    monkeypatch.setitem(sys.modules, "ray", made)
    return made


def submitted(address=None):
    executor = RayExecutor(RayExecutor.Options(address=address))
    executor.submit(Job("big", print, "", Resources(threads=4)))
    return executor


@pytest.mark.parametrize(
    ("connected", "address", "looks"),
    [(True, None, PATIENCE / LOOK), (False, "auto", PATIENCE / LOOK), (False, None, 1)],
)
def test_a_cluster_of_others_may_grow(ray, connected, address, looks):
    ray.connected = connected
    executor = submitted(address)
    for _ in range(int(looks) - 1):
        executor._check_room()
    with pytest.raises(CondenseError, match=r"big needs 4 threads, the largest node .* 1 threads"):
        executor._check_room()


def test_a_job_that_ends_shows_that_there_is_room(ray):
    executor = submitted()
    for _ in range(int(PATIENCE / LOOK) - 1):
        executor._check_room()
    ray.ended = ["ref"]
    assert executor.next_done().result == b"done"
    executor.submit(Job("big", print, "", Resources(threads=4)))
    executor._check_room()
    executor.close()


@pytest.mark.parametrize("connected", [True, False])
def test_a_process_that_had_a_gpu_ends_with_its_job(ray, connected):
    """It stays on that GPU, while Ray may mean another for the next job."""
    ray.connected = connected
    executor = RayExecutor(RayExecutor.Options())
    for gpus in (0.0, 0.125, 1.0):
        executor.submit(Job("one", print, "", Resources(gpus=gpus)))
        ray.connected = True
    assert ray.started == [(0, 0), (0.125, 1), (1.0, 1)]
