"""Which stages a recipe has, which are stored, and that a dry run says what a run then does."""

import json
import shutil
import types
from dataclasses import astuple, replace

import pytest
import torch

from condense import hookimpl
from condense.cli.main import main
from condense.engine.graph import (
    SERVED_BY,
    PlannedStage,
    at_once,
    plan,
    run_piece,
    seconds_of,
    stages,
)
from condense.engine.pipeline import Pipeline
from condense.engine.run import run
from condense.engine.runtime.lines import LineProgress
from condense.engine.runtime.progress import SilentProgress
from condense.engine.runtime.store import Store, digest
from condense.engine.stages.preparation import PreparationStage
from condense.engine.stages.stage import Bound, Piece
from condense.errors import CondenseError
from condense.options import assignments_of
from condense.plugin.host import build_host
from condense.resolve import Request, resolve
from condense.testing.toys import Notes
from condense_plugins.selectors.random import RandomSelector

CHAIN = ["scorer", "selector", "prepare", "matcher", "evaluator"]


@pytest.fixture
def pipeline(tmp_path, host, tiny, digits):
    """Makes a pipeline with tiny options on one store."""

    def make(data=digits, progress=None, host=host, store="store", **more):
        options = tiny | {key.replace("__", "."): value for key, value in more.items()}
        if options.get("matcher") == "none":
            options = {k: v for k, v in options.items() if not k.startswith("matcher.")}
        if options.get("policy") == "frozen":
            options.pop("policy.alpha", None)
        tools = {"store": Store(tmp_path / store), "progress": progress or SilentProgress()}
        recipe = resolve(host, Request(assignments=assignments_of(options)))
        return Pipeline(recipe, host, device=torch.device("cpu"), data=data, **tools)

    return make


NEEDED = {
    "all": ({}, CHAIN),
    "frozen": ({"policy": "frozen"}, ["scorer", "selector", "evaluator"]),
    "alpha 0": ({"policy__alpha": 0.0}, ["scorer", "selector", "evaluator"]),
    "alpha too small": ({"policy__alpha": 0.1}, ["scorer", "selector", "evaluator"]),
    "no matcher": ({"matcher": "none"}, ["scorer", "selector", "evaluator"]),
    "no iterations": ({"matcher__iterations": 0}, ["scorer", "selector", "evaluator"]),
    "labels alone": ({"policy": "learned-labels", "policy__alpha": 0.0}, CHAIN),
    "no scores": ({"selector": "random"}, CHAIN[1:]),
}


@pytest.mark.parametrize("case", NEEDED)
@pytest.mark.parametrize("known", [False, True], ids=["cold", "stored"])
def test_a_dry_run_announces_the_stages_that_a_run_has(pipeline, tmp_path, case, known):
    options, expected = NEEDED[case]
    if known:
        result = run(pipeline(**options), tmp_path / "out", False)
        assert list(result.stages) == expected
    planned = plan(pipeline(**options), baselines=False)
    assert [s.stage for s in planned.stages] == expected
    assert [s.cached for s in planned.stages] == [known] * len(expected)
    assert (planned.seconds > 0) == (not known)


class Silent:
    """A selector that does what `random` does, and does not say what that takes."""

    name, version, needs_scores = "silent", "1", False
    Options = RandomSelector.Options

    def __init__(self, options):
        self.options = options

    def select(self, data, scores, budget, context, rng):
        return RandomSelector(self.options).select(data, scores, budget, context, rng)


def test_what_does_not_say_what_it_takes_is_unknown_and_never_nothing(pipeline):
    plugin = types.ModuleType("silent")
    plugin.condense_register_selectors = hookimpl(lambda register: register(Silent))
    host = build_host(external=False, extra=[plugin])
    planned = plan(pipeline(host=host, selector="silent"), baselines=False)
    assert planned.unknown == ["selector"]
    (lost,) = [s for s in planned.stages if s.stage == "selector"]
    assert (lost.cached, lost.seconds, lost.memory_mb, lost.disk_mb) == (False, None, None, None)
    assert planned.to_json()["stages"][0]["seconds"] is None
    known = [s.seconds for s in planned.stages if s is not lost]
    assert planned.seconds == pytest.approx(sum(known))
    assert planned.seconds > 0
    at_once = plan(pipeline(host=host, selector="random"), baselines=False)
    assert at_once.unknown == []
    assert at_once.stages[0].seconds == 0


def test_baselines_are_stages_and_need_a_test_split(pipeline, digits):
    names = [s.name for s in stages(pipeline(), baselines=True)]
    assert names == [*CHAIN, "random", "whole"]
    untested = pipeline(replace(digits, test=None))
    assert [s.name for s in stages(untested, baselines=True)] == CHAIN[:-1]


def test_a_dry_run_says_nothing_and_leaves_nothing(pipeline, tmp_path):
    progress = Notes()
    plan(pipeline(progress=progress, policy="frozen"), baselines=True)
    assert progress.lines == []
    assert not (tmp_path / "store").exists()


def test_a_note_is_given_once_by_the_stage_when_it_runs(pipeline):
    progress = Notes()
    p = pipeline(progress=progress, policy__alpha=0.1)
    assert not p.matching.needed
    assert p.matching.initial.role.sum() == 0
    assert progress.lines == []
    for _ in range(2):
        assert len(p.condensed) == 50
    assert len(progress.lines) == 1
    assert "leaves 0 of 50 samples to distil" in progress.lines[0]


def test_every_stage_of_a_run_is_served_by_a_component(pipeline):
    p = pipeline(evaluator__labels="teacher", reselector="curriculum")
    found = stages(p, baselines=True)
    assert {s.name: s.component for s in found} == SERVED_BY


@pytest.mark.parametrize("words", [["policy=frozen"], ["policy.alpha=0"]])
def test_the_command_line_announces_no_experts_where_nothing_is_distilled(
    words, tmp_path, monkeypatch, capsys, tiny
):
    monkeypatch.setenv("CONDENSE_STORE", str(tmp_path / "store"))
    skipped = ("policy.", "matcher.")
    given = {k: v for k, v in tiny.items() if not k.startswith(skipped)}
    options = [f"{key}={json.dumps(value)}" for key, value in given.items()] + words
    flags = [part for text in options for part in ("-o", text)]

    def call(*more):
        main(["run", "--json", "--no-baselines", *flags, *more], standalone_mode=False)
        return json.loads(capsys.readouterr().out)

    before = call("--dry-run")
    assert [s["stage"] for s in before["stages"]] == ["scorer", "selector", "evaluator"]
    assert not any(s["cached"] for s in before["stages"])
    call("--out", str(tmp_path / "out"))
    after = call("--dry-run")
    assert [s["cached"] for s in after["stages"]] == [True] * 3


def entries(p):
    return {(e.kind, e.key) for e in p.store.entries()}


def test_pieces_run_one_by_one_elsewhere_are_the_whole_run(pipeline, pieces, tmp_path):
    """Each by a pipeline of its own, in no order; names and keys are all that travels."""
    options = {"scorer__networks": 2, "matcher__experts": 2}
    alone = run(pipeline(**options), tmp_path / "alone", True)
    wanted = entries(pipeline(**options))
    shutil.rmtree(tmp_path / "store")
    numbers = set()
    while True:
        missing = [
            piece
            for piece in [Piece(*astuple(p)) for p in pieces(pipeline(**options), True)]
            if not pipeline().store.has(*piece.entry)
        ]
        if not missing:
            break
        for piece in reversed(missing):
            before = entries(pipeline())
            run_piece(pipeline(**options), piece)
            made = entries(pipeline()) - before
            assert (piece.kind, digest(*piece.entry)) in made
            assert piece.kind == "matching" or len(made) == 1
            numbers.add((piece.stage, piece.number))
        for stage in ("scoring", "selecting"):  # what is quick is done by whoever asks
            _ = getattr(pipeline(**options), stage).result
    repeats = {("evaluator", k) for k in range(2)} | {("whole", k) for k in range(2)}
    repeats |= {("random", k) for k in range(4)}  # under two augmentations
    assert numbers >= repeats | {(s, k) for s in ("scorer", "prepare") for k in range(2)}
    together = run(pipeline(**options), tmp_path / "together", True)
    assert all(stage.cached for stage in together.stages.values())
    assert entries(pipeline()) == wanted
    files = ("condensed.safetensors", "results.json", "trace.csv")
    for name in files:
        assert (tmp_path / "alone" / name).read_bytes() == (
            tmp_path / "together" / name
        ).read_bytes()
    assert alone.accuracy.values == together.accuracy.values


def test_a_piece_of_another_recipe_is_refused(pipeline, pieces):
    (piece, *_) = pieces(pipeline(), False)
    with pytest.raises(CondenseError, match=r"piece 0 of stage scorer is none of this recipe"):
        run_piece(pipeline(scorer__lr=0.123), piece)


# time left: planned at the start, only where it is shown, and no part of the result

FILES = ("condensed.safetensors", "results.json", "trace.csv", "recipe.toml")


@pytest.fixture
def estimates(monkeypatch):
    """The names of stages that were estimated, in order."""
    asked = []
    of_bound, of_preparing = Bound.cost, PreparationStage.cost

    def cost(self, stage, samples):
        asked.append(stage)
        return of_bound(self, stage, samples)

    def preparing(self):
        asked.append(self.name)
        return of_preparing(self)

    monkeypatch.setattr(Bound, "cost", cost)
    monkeypatch.setattr(PreparationStage, "cost", preparing)
    return asked


def test_a_run_is_planned_once_where_it_is_shown_and_never_a_stored_one(
    pipeline, tmp_path, estimates
):
    run(pipeline(store="a", progress=SilentProgress()), tmp_path / "silent", True)
    assert estimates == []
    run(pipeline(store="b", progress=LineProgress()), tmp_path / "shown", True)
    assert {"scorer", "selector", "prepare", "matcher", "evaluator"} == set(estimates)
    for name in FILES:
        one, other = tmp_path / "silent" / name, tmp_path / "shown" / name
        assert one.read_bytes() == other.read_bytes()
    estimates.clear()
    again = run(pipeline(store="b", progress=LineProgress()), tmp_path / "again", True)
    assert all(stage.cached for stage in again.stages.values())
    assert estimates == []


def test_stages_come_to_parts_of_the_dry_run(pipeline):
    p = pipeline()
    planned = {s.stage: s.seconds for s in plan(p, baselines=True).stages}
    assert seconds_of(p.scoring, set()) == [planned["scorer"]]
    assert seconds_of(p.selecting, set()) == [planned["selector"]]
    assert seconds_of(p.matching, set()) == [planned["prepare"], planned["matcher"]]
    assert planned["prepare"] == p.matching.preparing.cost().seconds  # its own, of experts alone
    assert seconds_of(p.evaluating, set()) == [planned["evaluator"]]
    frozen = pipeline(policy="frozen")
    assert seconds_of(frozen.matching, set()) == []
    parts = seconds_of(frozen.evaluating, set())  # under two augmentations
    assert len(parts) == 2
    assert sum(parts) == pytest.approx(plan(frozen, baselines=False).stages[-1].seconds)


def test_an_estimate_that_fails_is_unknown_and_the_run_goes_on(pipeline, tmp_path, monkeypatch):
    def broken(self, stage):
        raise ZeroDivisionError

    monkeypatch.setattr(Bound, "cost", broken)
    p = pipeline(progress=LineProgress())
    assert seconds_of(p.scoring, set()) == [None]
    run(p, tmp_path / "out", False)


def test_stages_follow_each_other_however_many_work_on_each():
    work = [
        PlannedStage("experts", "toy", False, jobs, seconds, 0.0, 0.0)
        for jobs, seconds in ((10, 30.0), (1, 7.0), (0, 5.0), (3, None))
    ]
    # 3 rounds of 3 s, one job of 7 s, what is no job, and what nobody knows
    assert at_once(work, 4) == pytest.approx(9.0 + 7.0 + 5.0)
    assert at_once(work, 1) == pytest.approx(42.0)
