"""Stages worked off as jobs give the same store and set as stages worked off here."""

import json
import os
import platform
import re
import sys
from collections import Counter
from dataclasses import asdict, replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from condense.engine import evaluate as evaluating
from condense.engine.evaluate import evaluate_artefact
from condense.engine.feature_space.network import FeatureOptions
from condense.engine.graph import plan, stages
from condense.engine.ingest.holdout import HeldOutOf, fold, validation_part
from condense.engine.jobs import distributed, driver, environment as environments, share, worker
from condense.engine.jobs.driver import Crew, Target
from condense.engine.jobs.environment import environment
from condense.engine.jobs.extra import Extra, extra_stages
from condense.engine.jobs.task import Task, data_bytes, data_from, unpacked
from condense.engine.matching.ranks import Lost
from condense.engine.pipeline import Pipeline
from condense.engine.run import run
from condense.engine.runtime.progress import SilentProgress
from condense.engine.runtime.store import Store
from condense.engine.stages.evaluation import EvaluationStage
from condense.engine.stages.scores import ScoresStage
from condense.engine.stages.stage import Piece
from condense.errors import CondenseError, OptionError
from condense.interfaces import Cost
from condense.jobs import Done, ExecutorOptions
from condense.options import NetworkSpec, assignments_of
from condense.plugin.host import build_host
from condense.resolve import Request, resolve
from condense.studies.binding import SharedData
from condense.studies.choosing import run as choosing
from condense.studies.choosing.design import Costs, Rung
from condense.studies.tuning.run import tune
from condense.studies.tuning.settings import Settings
from condense_plugins.executors.local import LocalExecutor


@pytest.fixture(scope="module")
def installed():
    """The host that a worker builds as well."""
    return build_host()


@pytest.fixture
def bind(installed, tmp_path, tiny):
    """A pipeline of tiny settings on digits, in a store by name."""

    def make(store="store", method="selmatch", data=None, seed=0, extra=(), **more):
        no = ("matcher.",) if method == "window" else ()
        own = assignments_of({k: v for k, v in tiny.items() if not k.startswith(no)})
        request = Request(method=method, ipc=2, seed=seed, assignments=(*own, *extra))
        recipe = resolve(installed, request)
        tools = {"store": Store(tmp_path / store), "device": torch.device("cpu")}
        return Pipeline(recipe, installed, **tools, progress=SilentProgress(), data=data, **more)

    return make


class Queue:
    """Works jobs off here, last come first served, and keeps them."""

    name, version = "queue", "1"

    def __init__(self, **options):
        self.options = ExecutorOptions(**options)
        self.waiting, self.jobs, self.closed = [], [], 0

    def submit(self, job):
        self.waiting.append(job)
        self.jobs.append(job)

    def next_done(self):
        return self.run(self.waiting.pop())

    def run(self, job):
        blobs = {name: make() for name, make in job.blobs.items()}
        return Done(job, job.function(job.argument, blobs))

    def close(self):
        self.closed += 1


class Elsewhere(Queue):
    """A machine that does not see the driver's store."""

    def run(self, job):
        moved = replace(job, argument=json.dumps(json.loads(job.argument) | {"store": "/nowhere"}))
        return replace(super().run(moved), job=job)


class Dying(Queue):
    """A machine whose process dies the first ``deaths`` times with each job."""

    def __init__(self, deaths, **options):
        super().__init__(**options)
        self.deaths, self.seen = deaths, {}

    def run(self, job):
        self.seen[job.name] = self.seen.get(job.name, 0) + 1
        if self.seen[job.name] <= self.deaths:
            return Done(job, None, "its process died")
        return super().run(job)


class Reporting(Queue):
    """As real executors, which tell of a call that raised."""

    def run(self, job):
        try:
            return super().run(job)
        except Exception as error:
            return Done(job, None, f"{type(error).__name__}: {error}")


@pytest.fixture(autouse=True)
def private(monkeypatch, tmp_path):
    """A place of its own for what a machine keeps that sees no store."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(worker.tempfile, "gettempdir", lambda: str(tmp_path / "tmp"))
    worker._LOADED.clear()


def targets(*pipelines, held_out=None):
    return {k: Target(p, stages(p, baselines=True), held_out) for k, p in enumerate(pipelines)}


def entries(store):
    """All but features, which whoever selects by them keeps: no other stage asks for them."""
    found = [e for e in store.entries() if e.kind != "features"]
    return {(e.kind, e.key, (e.path / "tensors.safetensors").read_bytes()) for e in found}


@pytest.fixture
def plain(bind):
    """A run without jobs."""
    pipeline = bind("plain")
    found = pipeline.condensed, [s.result for s in stages(pipeline, True)][-3:]
    return pipeline, found


@pytest.mark.parametrize("executor", [Queue(), Elsewhere(), Dying(2)])
def test_the_store_is_that_of_a_run_without_jobs(bind, plain, executor):
    pipeline = bind()
    crew = Crew(executor, SilentProgress())
    assert crew.work_off(targets(pipeline)) == {}
    crew.close()
    assert executor.closed == 1
    before = pipeline.store.misses
    assert entries(pipeline.store) == entries(plain[0].store)
    again = bind()
    assert torch.equal(again.condensed.inputs, plain[1][0].inputs)
    assert [s.result.values for s in stages(again, True)[-3:]] == [e.values for e in plain[1][1]]
    assert (pipeline.store.misses - before, again.store.misses) == (0, 0)
    assert not [p for p in pipeline.store.root.iterdir() if p.name.startswith(".driver")]


def test_a_teacher_and_other_real_samples_are_made_by_jobs_too(bind):
    values = {"evaluator.labels": "teacher", "evaluator.teacher_epochs": 1} | {
        f"reselector.{key}": value
        for key, value in (("epochs", 1), ("rounds", 1), ("round_steps", 2))
    }
    extra = [(("reselector",), "curriculum")]
    extra += assignments_of(values)
    here = bind("here", extra=extra)
    wanted, small = here.evaluation, here.condensed
    executor = Elsewhere()
    p = bind("sent", extra=extra)
    Crew(executor, SilentProgress()).work_all_off(Target(p, stages(p, baselines=False)))
    once = {job.name: job for job in executor.jobs}.values()  # some are sent again, with entries
    made = [json.loads(job.argument)["stage"] for job in once]
    assert made.count("teacher") == made.count("reselector") == 1
    assert made.index("teacher") < made.index("evaluator")
    again = bind("sent", extra=extra)
    misses = again.store.misses
    assert again.condensed.to_bytes() == small.to_bytes()
    assert again.evaluation.values == wanted.values
    assert again.evaluation.protocol == wanted.protocol
    assert again.store.misses == misses


def test_every_piece_is_worked_off_once_for_all_cells(bind):
    """Two selections of one scorer, and one selection twice."""
    pipelines = [bind(method="window"), bind(), bind(seed=0)]
    executor = Queue()
    Crew(executor, SilentProgress()).work_off(targets(*pipelines))
    names = [job.name for job in executor.jobs]
    assert len(names) == len(set(names))
    by_stage = [name.split()[0] for name in names]
    assert by_stage.count("scorer") == pipelines[0].recipe["scorer"].options.networks
    assert by_stage.count("matcher") == 1
    assert by_stage.count("selector") == 1


@pytest.mark.parametrize("order", [("epoch", "presentation"), ("presentation", "epoch")])
@pytest.mark.parametrize("kind", [LocalExecutor, Elsewhere])
def test_a_pass_that_has_more_recorded_serves_a_job_that_asked_for_less(bind, kind, order):
    """Both are sent while nothing is stored; whichever is done first, the scores are the same."""

    def cells(store):
        named = (("scorer",), "forgetting")
        return [bind(store, extra=[named, (("scorer", "count"), count)]) for count in order]

    alone = [p.scores for p in (cells("first")[0], cells("second")[1])]
    executor = kind(ExecutorOptions()) if kind is LocalExecutor else kind()
    sent = {k: Target(p, [p.scoring]) for k, p in enumerate(cells("sent"))}
    assert Crew(executor, SilentProgress()).work_off(sent) == {}
    again = cells("sent")
    misses = again[0].store.misses
    for found, wanted in zip((p.scores for p in again), alone, strict=True):
        assert found.estimator == wanted.estimator
        assert torch.equal(found.values, wanted.values)
    assert again[0].store.misses == misses


def test_a_piece_is_served_by_more_of_the_same_alone():
    asked = Piece("scorer", 1, "dynamics", '{"seed": 3, "networks": [1]}')
    more = json.dumps({"epoch_eval": True, "networks": [1], "seed": 3})
    assert asked.serves(asked)
    assert replace(asked, key=more).serves(asked)
    assert not asked.serves(replace(asked, key=more))
    for other in (
        replace(asked, key=more.replace("3", "4")),
        replace(asked, key=more.replace("true", '"40"')),  # an option, nothing recorded on top
        replace(asked, key=more, number=0),
        replace(asked, key=more, stage="selector"),
        replace(asked, key=more, kind="scores"),
    ):
        assert not other.serves(asked)


def test_a_job_gets_as_much_of_a_gpu_as_its_memory_asks_for(bind, monkeypatch):
    """On a GPU of 10 GiB that nobody here has; the time of an estimate is not taken either."""
    pipeline, seen = bind(method="window"), []
    _ = pipeline.selection

    def peak(stage):
        seen.append(stage.name)
        return (None if stage.name == "selector" else Cost(memory=2**20)), 2 * 2**30

    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (8, 0))
    monkeypatch.setattr(driver, "gpu_memory", lambda device: 10 * 2**30)
    monkeypatch.setattr(driver, "Shares", partial(share.Shares, peak=peak))
    pipeline.device = torch.device("cuda")
    target = Target(pipeline, [pipeline.scoring, pipeline.selecting])

    def given(**options):
        work = driver._Work(Crew(Queue(**options), SilentProgress()), [target])
        pieces = [piece for stage in target.stages for piece in stage.pieces()]
        jobs = [work._job(target, driver._Sent(piece, [0], 0.0), "job") for piece in pieces]
        return {piece.stage: job.resources.gpus for piece, job in zip(pieces, jobs, strict=True)}

    assert given() == {"scorer": 0.3333, "selector": 1.0}
    assert seen == ["scorer", "selector"]  # each kind once
    assert given(gpus=0.5) == {"scorer": 0.5, "selector": 0.5}
    assert seen == ["scorer", "selector"]


def test_every_rank_of_a_matching_has_a_gpu_of_its_own(bind, monkeypatch):
    """Rank r works on GPU r, also where eight jobs of its size would share one."""
    pipeline = bind(extra=[(("matcher", "trajectories"), 2), (("selector", "width"), None)])
    monkeypatch.setattr(driver._Work, "_share", lambda *_: 0.125)
    pipeline.device = torch.device("cuda")
    target = Target(pipeline, [pipeline.scoring, pipeline.matching])

    def given(stage, **options):
        work = driver._Work(Crew(Queue(**options), SilentProgress()), [target])
        return work._job(target, driver._Sent(Piece(stage, 0, "k", "{}"), [0], 0.0), "job")

    for options, matching, scores in (
        ({}, 0.125, 0.125),
        ({"ranks": 2}, 2, 0.125),
        ({"ranks": 2, "gpus": 0.5}, 2, 0.5),
        ({"ranks": 2, "gpus": 2}, 4, 2),
    ):
        assert given("matcher", **options).resources.gpus == matching
        assert given("scorer", **options).resources.gpus == scores


def test_the_arms_of_a_run_have_the_share_of_the_one_that_was_measured(bind):
    """An estimate is made once for all of a size; only then something is taken of the GPU."""
    pipeline, measured = bind(), []

    def peak(stage):
        before = len(pipeline._costs)
        assert stage.cost() is not None
        measured.append(stage.name)
        return Cost(memory=2**20), 2 * 2**30 if len(pipeline._costs) > before else 0

    shares = share.Shares(10 * 2**30, peak)
    arms = [s for s in stages(pipeline, True) if isinstance(s, EvaluationStage)]
    same = [stage for stage in arms if stage.samples == 20]
    assert {"random", "evaluator"} <= {stage.name for stage in same}
    assert {shares.of(stage) for stage in same} == {0.3333}
    assert len(measured) == 1
    shares = share.Shares(10 * 2**30, lambda stage: (Cost(), measured.append(stage.name) or 0))
    for stage in (pipeline.matching.preparing, pipeline.matching):
        shares.of(stage)
    assert measured[1:] == ["prepare", "matcher"]  # whose component is one


@pytest.mark.parametrize(
    ("need", "total", "jobs"), [(0.5, 80, 8), (8, 80, 8), (12, 80, 5), (30, 80, 2), (50, 80, 1)]
)
def test_as_many_jobs_share_a_gpu_as_have_room(need, total, jobs):
    """With 0.5 GiB for CUDA itself each, in nine tenths of it."""
    found = share.share(int(need * 2**30), total * 2**30)
    assert jobs * found <= 1 < (jobs + 1) * found
    assert jobs * (need + 0.5) <= 0.9 * total or jobs == 1


def test_a_matching_is_one_job_of_several_processes(bind, monkeypatch):
    """Those that torchrun starts, on a part of the data and on machines that see no store."""
    extra = [(("matcher", "trajectories"), 2), (("selector", "width"), None)]
    part = validation_part(bind().data, 0.25, 3)
    here = bind("here", data=part, extra=extra)
    wanted = here.condensed
    executor = Elsewhere(ranks=2)
    sent = bind("sent", data=part, extra=extra)
    some = [sent.scoring, sent.selecting, sent.matching.preparing, sent.matching]
    Crew(executor, SilentProgress()).work_all_off(Target(sent, some, HeldOutOf(0.25, 3)))
    ranks = {job.name.split()[0]: json.loads(job.argument)["ranks"] for job in executor.jobs}
    assert ranks == {"scorer": 1, "selector": 1, "prepare": 1, "matcher": 2}
    (matching,) = {job.resources.threads for job in executor.jobs if job.name.startswith("matcher")}
    assert matching == 2  # of one thread each, as samples are small
    again = bind("sent", data=part, extra=extra)
    assert again.condensed.to_bytes() == wanted.to_bytes()
    assert again.store.misses == 0


ENDED = "another rank has ended (Connection closed by peer)"
LEFT = f"[rank0]: condense.engine.matching.ranks.Lost: {ENDED}\n"
TORCHRUN = """
Traceback (most recent call last):
  File "run.py", line 1, in <module>
torch.distributed.elastic.multiprocessing.errors.ChildFailedError:\x20
======================================================
  traceback : To enable traceback see: https://pytorch.org/docs/stable/elastic/errors.html
======================================================
"""


@pytest.mark.parametrize(
    ("stderr", "why"),
    [
        (f"[rank1]: torch.OutOfMemoryError: CUDA is full\n{LEFT}", r"torch\.\w+: CUDA is full"),
        (LEFT, r"Lost: another rank has ended \(Connection closed by peer\)"),
        ("", "no word of why"),
    ],
)
def test_what_a_rank_died_of_is_said_and_not_that_torchrun_noticed(bind, monkeypatch, stderr, why):
    pipeline, executor = bind(), Queue()
    target = Target(pipeline, [pipeline.scoring])
    Crew(executor, SilentProgress()).work_all_off(target)
    task = Task.model_validate_json(executor.jobs[0].argument)
    ended = SimpleNamespace(returncode=1, stderr=stderr + TORCHRUN)
    monkeypatch.setattr(distributed.subprocess, "run", lambda *_, **__: ended)
    with pytest.raises(RuntimeError, match=rf"^2 ranks ended with code 1 \({why}\)$"):
        distributed.run_distributed(task.model_copy(update={"ranks": 2}), {})


def test_that_another_rank_has_ended_is_no_outcome_of_a_task(bind, monkeypatch):
    """Which would be a failure of the task itself, and not be tried again."""

    def fail(*_):
        raise Lost(ENDED)

    pipeline = bind()
    executor = Reporting(retries=2)
    monkeypatch.setattr(worker, "_worked_off", fail)
    target = Target(pipeline, [pipeline.scoring])
    errors = Crew(executor, SilentProgress()).work_off({0: target})
    assert errors == {0: f"Lost: {ENDED}, 3 times"}


FAULT = """
import os
if "RANK" in os.environ:
    from condense.engine.matching import ranks
    real = ranks.own_steps
    def own_steps(*given):
        if os.environ["RANK"] == "{rank}":
            {fault}
        return real(*given)
    ranks.own_steps = own_steps
"""


@pytest.mark.cluster
@pytest.mark.parametrize(
    ("rank", "fault", "tries", "said"),
    [
        (
            1,
            "os.kill(os.getpid(), 9)",
            2,
            r"code 1 \(Signal 9 \(SIGKILL\) received by PID \d+\), 2 times$",
        ),
        (1, "raise ValueError('no room')", 2, r"code 1 \(ValueError: no room\), 2 times$"),
        (0, "raise ValueError('no room')", 1, r"ValueError: no room$"),
    ],
)
def test_a_rank_that_dies_is_tried_again_and_what_the_job_does_wrong_is_said(
    bind, monkeypatch, tmp_path, rank, fault, tries, said
):
    """In the middle of an iteration, in which the other waits for its trajectory."""
    (tmp_path / "faulty").mkdir()
    (tmp_path / "faulty/sitecustomize.py").write_text(FAULT.format(rank=rank, fault=fault))
    places = [str(tmp_path / "faulty"), *filter(None, sys.path)]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(places))
    pipeline = bind(method="mtt", extra=[(("matcher", "trajectories"), 2)])
    executor = Reporting(ranks=2, retries=1)
    some = [pipeline.matching.preparing, pipeline.matching]
    errors = Crew(executor, SilentProgress()).work_off({0: Target(pipeline, some)})
    assert re.search(said, errors[0]), errors
    assert [job.name.split()[0] for job in executor.jobs] == ["prepare"] + ["matcher"] * tries


def test_more_ranks_than_trajectories_are_refused_before_any_job(bind):
    executor = Queue(ranks=3)
    with pytest.raises(OptionError, match=r"`matcher.trajectories=1` leaves nothing to do for 2"):
        Crew(executor, SilentProgress()).work_off(targets(bind()))
    assert executor.jobs == []


def test_a_plan_has_the_jobs_that_are_sent(bind):
    pipeline, executor = bind(), Queue()
    planned = {stage.stage: stage.jobs for stage in plan(pipeline, baselines=True).stages}
    Crew(executor, SilentProgress()).work_off(targets(pipeline))
    assert planned == Counter(job.name.split()[0] for job in executor.jobs)
    assert {stage.jobs for stage in plan(bind(), baselines=True).stages} == {0}


def test_a_job_that_dies_too_often_is_an_error_of_its_cells_alone(bind):
    executor = Dying(2, retries=1)
    executor.run = lambda job, run=executor.run: (
        run(job) if job.name.startswith("matcher") else Queue.run(executor, job)
    )
    done = Crew(executor, SilentProgress()).work_off(targets(bind(), bind(method="window")))
    assert done == {0: "its process died, 2 times"}


def test_what_goes_wrong_in_a_stage_is_said_with_its_machine(bind, monkeypatch):
    def fails(pipeline, piece, extra):
        raise CondenseError("no room left")

    monkeypatch.setattr(worker, "run_piece", fails)
    progress, notes = SilentProgress(), []
    monkeypatch.setattr(SilentProgress, "note", lambda self, text: notes.append(text))
    done = Crew(Queue(), progress).work_off(targets(bind()))
    assert done[0] == "no room left"  # what documents hold is the same on every machine
    assert any(f" failed on {platform.node()}: no room left" in note for note in notes), notes
    with pytest.raises(CondenseError, match="no room left"):
        Crew(Queue(), SilentProgress()).work_all_off(targets(bind())[0])


def test_scores_that_cannot_be_put_together_are_an_error_of_their_cells_alone(bind, monkeypatch):
    def fails(stage):
        raise CondenseError("they do not fit")

    cells = targets(bind(), bind(method="random-partial"))
    monkeypatch.setattr(ScoresStage, "result", property(fails))
    done = Crew(Queue(), SilentProgress()).work_off(cells)
    assert done[0] == "they do not fit"
    assert 1 not in done


def test_a_held_out_part_is_made_again_where_the_job_runs(bind):
    whole = bind().data
    for part, said in (
        (validation_part(whole, 0.25, 3), HeldOutOf(0.25, 3)),
        (fold(whole, 1, 4, 3), HeldOutOf(0.25, 3, 1, 4)),
    ):
        executor = Elsewhere()
        given = targets(bind(data=part, method="window"), held_out=said)
        assert Crew(executor, SilentProgress()).work_off(given) == {}
        data = json.loads(executor.jobs[0].argument)["data"]
        assert (data["part"], data["blob"]) == (asdict(said), "")


def test_a_set_of_a_folder_and_feature_networks_are_worked_off_too(
    bind, tmp_path, installed, monkeypatch
):
    """As ``evaluate --by-difficulty`` asks for them, on machines that see the folder or do not."""
    tiny = FeatureOptions(networks=1, feature_epochs=1, feature_network=NetworkSpec.of("mlp"))
    monkeypatch.setattr(evaluating, "_feature_options", lambda pipeline: tiny)
    bind("made", method="window").condensed.save(tmp_path / "set")
    tools = {"device": torch.device("cpu"), "progress": SilentProgress(), "halved": True}
    found = {}
    for name, executor in (("here", None), ("seen", Queue()), ("unseen", Elsewhere())):
        store = Store(tmp_path / name)
        crew = executor and Crew(executor, SilentProgress())
        given = (tmp_path / "set", Request(), installed)
        _, found[name] = evaluate_artefact(*given, store=store, **tools, crew=crew)
        found[name] = found[name].model_copy(update={"stages": {}})
        if executor is not None:
            stages_of = {job.name.split()[0] for job in executor.jobs}
            assert stages_of == {"evaluator", "features"}
            assert store.misses == 0 or name == "unseen"
    assert found["seen"] == found["unseen"] == found["here"]


@pytest.mark.parametrize("executor", [None, Queue(), Elsewhere()])
def test_a_set_is_evaluated_on_data_that_its_budget_does_not_fit(
    bind, tmp_path, installed, executor
):
    """A set of two a class, with other data that have one to train on."""
    pipeline = bind("made", method="window")
    pipeline.condensed.save(tmp_path / "set")
    data = pipeline.data
    assert data.test is not None
    few = torch.cat([data.class_indices(label)[:1] for label in range(10)])
    np.savez(
        tmp_path / "other.npz",
        train_inputs=data.subset(few).inputs.numpy(),
        train_labels=data.labels[few].numpy(),
        test_inputs=data.test.inputs.numpy(),
        test_labels=data.test.labels.numpy(),
    )
    tools = {"device": torch.device("cpu"), "progress": SilentProgress()}
    request = Request(data=f"npz:{tmp_path / 'other.npz'}")
    crew = executor and Crew(executor, SilentProgress())
    given = (tmp_path / "set", request, installed)
    evaluation, _ = evaluate_artefact(*given, store=Store(tmp_path / "s"), **tools, crew=crew)
    assert 0 <= evaluation.mean <= 1


def test_a_folder_with_another_set_is_refused(bind, tmp_path):
    pipeline = bind()
    (tmp_path / "set").mkdir()
    for folder, said in (("set", "holds another set here"), ("gone", "is not here")):
        extra = Extra(folder=str(tmp_path / folder), fingerprint="other")
        if folder == "set":
            bind("made", method="window").condensed.save(tmp_path / "set")
        with pytest.raises(CondenseError, match=said):
            extra_stages(pipeline, extra, {})


def test_tuning_evaluates_by_jobs_what_it_evaluates_here(installed, bind, tmp_path):
    settings = Settings(key="selector.beta", seeds=1, max_seeds=2, finals=1, repeats=1)
    found, misses, executor = {}, {}, Queue()
    for name, crew in (("here", None), ("jobs", Crew(executor, SilentProgress()))):
        store = Store(tmp_path / name)

        def one(recipe, store=store, **more):
            tools = {"store": store, "device": torch.device("cpu"), "progress": SilentProgress()}
            return Pipeline(recipe, installed, **tools, **more)

        base = bind(method="window").recipe
        shared = SharedData(one)
        found[name] = tune(installed, base, settings, shared, SilentProgress(), crew=crew).document
        misses[name] = store.misses
    assert found["jobs"].model_dump() == found["here"].model_dump()  # but for the clock
    # scores are put together of their networks, features of theirs
    assert misses["jobs"] == 2 < misses["here"]
    batches = [job.name.split()[0] for job in executor.jobs]
    assert batches.count("evaluator") >= 10  # those of the scan, at the least


def test_a_choice_tries_by_jobs_what_it_tries_here(installed, tiny, tmp_path, monkeypatch):
    """Two windows and random subsets, the better under a second seed, each with its own part."""
    monkeypatch.setattr(choosing, "costs_of", lambda pipeline, known: Costs({}, 0.1))
    parts = ("scorer", "evaluator")
    own = assignments_of({k: v for k, v in tiny.items() if k.startswith(parts)})
    asked, found, misses = Request(method="auto", ipc=2, assignments=own), {}, {}
    executor = Queue()
    for name, crew in (("here", None), ("jobs", Crew(executor, SilentProgress()))):
        store = Store(tmp_path / name)

        def one(recipe, store=store, **more):
            tools = {"store": store, "device": torch.device("cpu"), "progress": SilentProgress()}
            return Pipeline(recipe, installed, **tools, **more)

        planned = choosing.plan_choice(installed, asked, 60.0, one, keep=False)
        windows = [c for c in planned.plan.candidates if c.name.startswith("window ")][:2]
        rungs = (Rung(candidates=2, seeds=1), Rung(candidates=1, seeds=2))
        new = {"candidates": tuple(windows), "rungs": rungs, "seconds": 1.0}
        plan = planned.plan.model_copy(update=new)
        choice = choosing.choose(replace(planned, plan=plan), SilentProgress(), crew)
        found[name] = choice.document.model_dump()
        misses[name] = store.misses
    assert found["jobs"] == found["here"]
    assert len(found["jobs"]["tried"]) == 2
    tried = {job.name.split()[0] for job in executor.jobs}
    assert tried == {"scorer", "selector", "evaluator", "random"}
    scores = sum(entry.kind == "scores" for entry in store.entries())
    assert misses["jobs"] == scores < misses["here"]  # scores are put together of networks


def test_other_data_are_refused(bind):
    part = validation_part(bind().data, 0.25, 3)
    done = Crew(Queue(), SilentProgress()).work_off(targets(bind(data=part)))
    assert "are others here (fingerprint" in done[0]


def test_data_in_memory_are_sent_along_once(bind, installed):
    from condense.api import in_memory

    pipeline = bind()
    pipeline = bind(data=pipeline.data)
    pipeline.recipe = in_memory(pipeline.recipe, pipeline.data)
    executor = Elsewhere()
    assert Crew(executor, SilentProgress()).work_off(targets(pipeline)) == {}
    names = {name for job in executor.jobs for name in job.blobs if name.startswith("data/")}
    assert len(names) == 1


def test_other_programs_are_refused_naming_both(bind, monkeypatch):
    own = environment(bind().host)
    other = own.model_copy(update={"torch": "1.0", "plugins": {**own.plugins, "condense-x": "3"}})
    monkeypatch.setattr(worker, "environment", lambda host: other)
    done = Crew(Queue(), SilentProgress()).work_off(targets(bind()))
    assert f"torch 1.0 here, {own.torch} there" in done[0]
    assert "plugin condense-x 3 here, missing there" in done[0]


def test_programs_are_compared_before_a_task_of_another_version_is_read(bind):
    executor = Queue()
    Crew(executor, SilentProgress()).work_off(targets(bind(method="window")))
    table = json.loads(executor.jobs[0].argument)
    table["environment"] |= {"condense": "9.0", "machine": "arm"}
    del table["environment"]["sources"]
    outcome, entry = unpacked(worker.run_task(json.dumps(table | {"colour": "blue"}), {}))
    assert "condense 0" in outcome.error
    assert "here, 9.0 there" in outcome.error
    assert "unknown there" in outcome.error
    assert entry == b""


def test_what_fails_before_a_task_is_read_is_said_and_not_tried_again(bind, monkeypatch):
    executor = Queue()
    Crew(executor, SilentProgress()).work_off(targets(bind(method="window")))
    table = json.loads(executor.jobs[0].argument)
    bare = {key: value for key, value in table.items() if key != "environment"}
    assert "unknown there" in unpacked(worker.run_task(json.dumps(bare), {}))[0].error
    whole = json.dumps(table | {"ranks": "many"})
    assert "ranks" in unpacked(worker.run_task(whole, {}))[0].error

    def broken():
        raise RuntimeError("no\nplugins")

    monkeypatch.setattr(worker, "host_of_worker", broken)
    outcome, entry = unpacked(worker.run_task(json.dumps(table), {}))
    assert (outcome.error, entry) == ("RuntimeError: no plugins", b"")


def test_the_digest_of_sources_is_of_built_in_components_too(monkeypatch, tmp_path):
    files = [tmp_path / "condense/a.py", tmp_path / "condense_plugins/scorers/b.py"]
    for path in files:
        path.parent.mkdir(parents=True)
        path.write_text("x = 1")
    monkeypatch.setattr(environments, "files", lambda package: tmp_path / package)
    first = environments._sources.__wrapped__()
    assert environments._sources.__wrapped__() == first
    for path in files:
        path.write_text("x = 2")
        assert environments._sources.__wrapped__() != first
        path.write_text("x = 1")
    assert environments._sources.__wrapped__() == first


def test_a_private_folder_that_others_may_have_laid_out_is_refused(bind, tmp_path):
    place = tmp_path / "tmp" / f"{worker.PRIVATE}-{os.getuid()}"
    (tmp_path / "theirs").mkdir()
    place.symlink_to(tmp_path / "theirs")
    done = Crew(Elsewhere(), SilentProgress()).work_off(targets(bind(method="window")))
    assert f"{place} cannot be kept private: it is not a folder of yours; move it away" == done[0]
    assert list((tmp_path / "theirs").iterdir()) == []


@pytest.mark.parametrize("threads", [1, 2])
def test_jobs_run_with_the_threads_that_were_asked_for_or_one(bind, monkeypatch, threads):
    monkeypatch.setattr(driver, "is_small", lambda shape: threads == 1)
    before = torch.get_num_threads()
    crew = Crew(Queue(threads=2), SilentProgress())
    try:
        crew.work_off(targets(bind(method="window")))
        assert {note.threads for note in crew.notes} == {threads}
    finally:
        torch.set_num_threads(before)


def test_the_log_of_a_run_names_its_executor(bind, tmp_path):
    for name, crew in (("local", None), ("queue", Crew(Queue(), SilentProgress()))):
        run(bind(method="window"), tmp_path / name, baselines=False, crew=crew)
        log = json.loads((tmp_path / name / "run.log.json").read_text())
        assert log["executor"] == name


def test_notes_say_where_each_job_ran(bind):
    crew = Crew(Dying(1), SilentProgress())
    crew.work_off(targets(bind(method="window")))
    assert {(n.executor, n.tries) for n in crew.notes} == {("queue", 2)}
    assert [n.stage for n in crew.notes].count("selector") == 1


def test_nothing_travels_but_text_and_bytes(bind):
    executor = Elsewhere()
    Crew(executor, SilentProgress()).work_off(targets(bind(method="window")))
    for job in executor.jobs:
        Task.model_validate_json(job.argument)
        assert all(isinstance(make(), bytes) for make in job.blobs.values())
        assert job.function.__module__ == "condense.engine.jobs.worker"


def test_data_come_back_from_bytes(bind):
    data = bind().data
    again = data_from(data_bytes(data))
    assert again.fingerprint == data.fingerprint
    assert again.test.fingerprint == data.test.fingerprint
    assert (again.name, again.items, again.flip) == (data.name, data.items, data.flip)


def test_what_is_no_outcome_is_refused():
    with pytest.raises(ValueError, match="no outcome"):
        unpacked(b"")
