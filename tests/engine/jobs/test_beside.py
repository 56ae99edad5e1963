"""A copy of the process works off what a run comes to later: the same bytes, whoever did it."""

import json
import os
import time

import pytest
import torch

from condense.engine.graph import all_within, stages
from condense.engine.jobs import beside
from condense.engine.pipeline import Pipeline
from condense.engine.run import run
from condense.engine.runtime.progress import SilentProgress
from condense.engine.runtime.store import Store
from condense.engine.training.threads import threads_for
from condense.resolve import Request, resolve

pytestmark = pytest.mark.skipif(
    torch.cuda.is_available() or not hasattr(os, "sched_getaffinity"),
    reason="of a process that has used a GPU there is no copy, nor on other systems",
)


@pytest.fixture
def bind(host, tmp_path, tiny):
    def make(store):
        values = tiny | {"scorer.networks": 2, "matcher.experts": 2}
        given = tuple((tuple(k.split(".")), v) for k, v in values.items())
        recipe = resolve(host, Request(ipc=2, assignments=given))
        tools = {"store": Store(tmp_path / store), "device": torch.device("cpu")}
        return Pipeline(recipe, host, **tools, progress=SilentProgress())

    return make


@pytest.fixture
def two_cores(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1})
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def contents(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.name != "run.log.json"}


def missing(pipeline, names):
    chosen = [stage for stage in stages(pipeline, baselines=True) if stage.name in names]
    places = [(p.kind, json.loads(p.key)) for stage in chosen for p in stage.pieces()]
    assert places
    return [kind for kind, key in places if not pipeline.store.has(kind, key)]


def test_what_needs_nothing_is_worked_off_beside_and_changes_no_byte(
    bind, tmp_path, two_cores, monkeypatch
):
    with monkeypatch.context() as alone:
        alone.setattr(beside, "pays", lambda pipeline: False)
        run(bind("alone"), tmp_path / "alone-out", True)
    pipeline = bind("store")
    with beside.helped(pipeline, all_within(stages(pipeline, True))) as names:
        assert set(names) == {"scorer", "prepare", "evaluator", "random", "whole"}
        while missing(pipeline, {"scorer", "prepare", "random", "whole"}):
            time.sleep(0.01)
    result = run(bind("store"), tmp_path / "out", True)
    assert contents(tmp_path / "out") == contents(tmp_path / "alone-out")
    assert result.stages["whole"].cached  # by the copy, before this run
    again = run(bind("both"), tmp_path / "both-out", True)
    assert contents(tmp_path / "both-out") == contents(tmp_path / "alone-out")
    assert not any(stage.cached for stage in again.stages.values())
    assert torch.get_num_threads() == 2


def test_a_copy_that_fails_leaves_all_to_this_process(bind, tmp_path, two_cores, monkeypatch):
    def fail(*given):
        os._exit(1)

    monkeypatch.setattr(beside, "_help", fail)
    result = run(bind("store"), tmp_path / "out", True)
    assert not any(stage.cached for stage in result.stages.values())


@pytest.mark.parametrize("why", ["one thread", "one core", "large samples", "all is stored"])
def test_there_is_no_copy_where_it_gains_nothing(bind, tmp_path, two_cores, monkeypatch, why):
    if why == "all is stored":
        run(bind("store"), tmp_path / "out", True)
    monkeypatch.setattr(os, "fork", lambda: pytest.fail("a copy was made"))
    if why == "one thread":
        torch.set_num_threads(1)
    if why == "one core":
        monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0})
    if why == "large samples":
        monkeypatch.setattr(beside, "is_small", lambda shape: False)
    pipeline = bind("store")
    with beside.helped(pipeline, all_within(stages(pipeline, True))) as names:
        assert not names


def test_small_samples_are_worked_on_by_one_thread(two_cores):
    for shape, threads in (((1, 8, 8), 1), ((256,), 1), ((3, 32, 32), 2)):
        with threads_for(shape):
            assert torch.get_num_threads() == threads
        assert torch.get_num_threads() == 2
