"""How long the executor ray waits for a node, against a cluster that is made up."""

import sys
from types import SimpleNamespace

import pytest

from condense.errors import CondenseError
from condense.jobs import Job, Resources
from condense_plugins.executors.on_ray import LOOK, PATIENCE, RayExecutor


class Task:
    def options(self, **_):
        return self

    def remote(self, *_):
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
        remote=lambda _: Task(),
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
