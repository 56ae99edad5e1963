"""A copy of the process works off what a run comes to later: the same bytes, whoever did it."""

import os
import select
import signal
import threading
import time

import pytest
import torch

from condense.engine.feature_space.network import FeatureOptions
from condense.engine.graph import all_within, stages
from condense.engine.jobs import second_process
from condense.engine.pipeline import Pipeline
from condense.engine.run import run
from condense.engine.runtime.progress import SilentProgress
from condense.engine.runtime.store import Store
from condense.engine.stages.features import FeatureStage
from condense.engine.training.step import EagerStep
from condense.engine.training.threads import threads_for
from condense.options import NetworkSpec, assignments_of
from condense.resolve import Request, resolve

pytestmark = pytest.mark.skipif(
    torch.cuda.is_available() or not hasattr(os, "sched_getaffinity"),
    reason="of a process that has used a GPU there is no copy, nor on other systems",
)


@pytest.fixture
def bind(host, tmp_path, tiny):
    def make(store):
        values = tiny | {"scorer.networks": 2, "matcher.experts": 2}
        recipe = resolve(host, Request(ipc=2, assignments=assignments_of(values)))
        tools = {"store": Store(tmp_path / store), "device": torch.device("cpu")}
        return Pipeline(recipe, host, **tools, progress=SilentProgress())

    return make


@pytest.fixture
def two_cores(monkeypatch, tmp_path):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1})
    monkeypatch.setattr(second_process, "QUOTA", tmp_path / "none")
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def helped(pipeline, threads=2):
    return second_process.helped(pipeline, all_within(stages(pipeline, True)), threads)


def contents(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.name != "run.log.json"}


def missing(pipeline, names):
    chosen = [stage for stage in stages(pipeline, baselines=True) if stage.name in names]
    found = [p.entry for stage in chosen for p in stage.pieces()]
    assert found
    return [kind for kind, key in found if not pipeline.store.has(kind, key)]


def test_what_needs_nothing_is_worked_off_beside_and_changes_no_byte(
    bind, tmp_path, two_cores, monkeypatch
):
    with monkeypatch.context() as alone:
        alone.setattr(second_process, "pays", lambda *given: False)
        run(bind("alone"), tmp_path / "alone-out", True)
    pipeline = bind("store")
    with helped(pipeline) as names:
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
    monkeypatch.setattr(second_process, "_help", lambda *given: os._exit(1))
    result = run(bind("store"), tmp_path / "out", True)
    assert not any(stage.cached for stage in result.stages.values())


def test_a_run_goes_on_without_a_copy_where_none_can_be_made(bind, two_cores, monkeypatch):
    made, fork = [], os.fork

    def refuse(*given):
        raise BlockingIOError("no more processes")

    monkeypatch.setattr(second_process, "_help", lambda *given: signal.pause())
    for name in ("fork", "pidfd_open"):
        with monkeypatch.context() as refusing:
            refusing.setattr(os, "fork", lambda: made.append(fork()) or made[-1])
            refusing.setattr(os, name, refuse)
            with helped(bind("store")) as names:
                assert not names
                assert not signal.pthread_sigmask(signal.SIG_BLOCK, ()) & {*second_process.STOPS}
    (copy,) = made
    with pytest.raises(ProcessLookupError):
        os.kill(copy, 0)


def test_an_interrupt_at_the_fork_leaves_no_copy(bind, two_cores, monkeypatch):
    made, fork = [], os.fork

    def interrupted():
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        made.append(fork())
        return made[-1]

    monkeypatch.setattr(second_process, "_help", lambda *given: signal.pause())
    monkeypatch.setattr(os, "fork", interrupted)
    with pytest.raises(KeyboardInterrupt), helped(bind("store")):
        pytest.fail("the interrupt was lost")
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, ()) & {*second_process.STOPS}
    with pytest.raises(ProcessLookupError):
        os.kill(made[0], 0)


def test_a_copy_ends_with_its_parent_and_holds_no_pipe_of_it(bind, two_cores, monkeypatch):
    pipeline = bind("store")
    (reads, writes), (waits, goes) = os.pipe(), os.pipe()

    def piece(*given, **more):  # where the copy begins to work
        places = {os.readlink(f"/proc/self/fd/{stream}") for stream in (0, 1, 2)}
        os.write(writes, " ".join(places).encode())
        os.write(goes, b"!")
        signal.pause()

    parent = os.fork()
    if parent == 0:
        try:
            torch.set_num_threads(1)  # a copy has none of the others
            os.close(reads)
            monkeypatch.setattr(second_process, "stages", piece)
            with second_process.helped(pipeline, stages(pipeline, True), 2):
                os.read(waits, 1)
                os.kill(os.getpid(), signal.SIGKILL)
        finally:
            os._exit(1)
    os.close(writes)
    said = b""
    while select.select([reads], [], [], 60)[0]:
        more = os.read(reads, 100)
        if not more:  # nobody is left who could write
            break
        said += more
    else:
        os.kill(parent, signal.SIGKILL)
        pytest.fail("the copy goes on")
    assert os.WTERMSIG(os.waitpid(parent, 0)[1]) == signal.SIGKILL
    assert said.decode() == os.devnull
    for end in (reads, waits, goes):
        os.close(end)


def test_what_a_stranger_serves_is_not_worked_off_by_a_copy(bind, two_cores, monkeypatch):
    pipeline = bind("store")
    monkeypatch.setattr(second_process, "_help", lambda *given: signal.pause())
    monkeypatch.setattr(pipeline.recipe["scorer"].cls, "__module__", "stranger.scores")
    with helped(pipeline) as names:
        assert set(names) == {"prepare", "evaluator", "random", "whole"}
    monkeypatch.setattr(pipeline.recipe["augmentation"].cls, "__module__", "stranger")
    monkeypatch.setattr(os, "fork", lambda: pytest.fail("a copy was made"))
    with helped(pipeline) as names:
        assert not names


@pytest.mark.parametrize(
    "why", ["one thread", "one core", "a quota", "a GPU", "large samples", "all is stored"]
)
def test_there_is_no_copy_where_it_gains_nothing(bind, tmp_path, two_cores, monkeypatch, why):
    if why == "all is stored":
        run(bind("store"), tmp_path / "out", True)
    monkeypatch.setattr(os, "fork", lambda: pytest.fail("a copy was made"))
    if why == "one core":
        monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0})
    if why == "a quota":
        second_process.QUOTA.write_text("150000 100000\n")
    if why == "a GPU":
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    if why == "large samples":
        monkeypatch.setattr(second_process, "is_small", lambda shape: False)
    with helped(bind("store"), threads=1 if why == "one thread" else 2) as names:
        assert not names


def test_only_the_main_thread_has_a_copy_and_max_is_no_quota(bind, two_cores):
    second_process.QUOTA.write_text("max 100000\n")
    pipeline, found = bind("store"), []
    other = threading.Thread(target=lambda: found.append(second_process.pays(pipeline, 2)))
    other.start()
    other.join()
    assert found == [False]
    assert second_process.pays(pipeline, 2)


def test_feature_networks_of_small_samples_are_trained_by_one_thread(bind, two_cores, monkeypatch):
    """As where an executor trains them: their key is the same."""
    threads, call = set(), EagerStep.__call__

    def watched(self, *batch):
        threads.add(torch.get_num_threads())
        return call(self, *batch)

    monkeypatch.setattr(EagerStep, "__call__", watched)
    options = FeatureOptions(networks=2, feature_epochs=1, feature_network=NetworkSpec.of("mlp"))
    for cached in (False, True):
        pipeline = bind("store")
        _ = FeatureStage(pipeline, options).result
        assert pipeline.timings["features"].cached == cached
    assert threads == {1}
    assert torch.get_num_threads() == 2


def test_small_samples_are_worked_on_by_one_thread(two_cores):
    for shape, threads in (((1, 8, 8), 1), ((256,), 1), ((3, 32, 32), 2)):
        with threads_for(shape):
            assert torch.get_num_threads() == threads
        assert torch.get_num_threads() == 2
