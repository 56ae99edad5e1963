"""Plans of studies: what is shared is counted once, against the entries that runs leave."""

from collections import Counter
from dataclasses import replace

import pytest
import torch

from condense.engine.graph import stages
from condense.engine.pipeline import Pipeline
from condense.engine.runtime.lines import LineProgress
from condense.engine.runtime.progress import SilentProgress
from condense.engine.runtime.store import Store
from condense.engine.stages.stage import Bound
from condense.resolve import Request
from condense.studies.ablation.design import make_study, parse_factor
from condense.studies.ablation.run import ablate, plan_ablation
from condense.studies.planning import Planner
from condense.studies.seeds import run_seeds


@pytest.fixture
def bind(tmp_path, host):
    def make(recipe, progress=None, **more):
        tools = {"store": Store(tmp_path / "store"), "progress": progress or SilentProgress()}
        return Pipeline(recipe, host, device=torch.device("cpu"), **tools, **more)

    return make


@pytest.fixture
def study(host, tiny):
    def make(*factors, seeds=2, **more):
        options = tiny | {"scorer.networks": 2, **more}
        assignments = tuple((tuple(k.split(".")), v) for k, v in options.items())
        return make_study(
            host, Request(assignments=assignments), list(map(parse_factor, factors)), seeds
        )

    return make


# folder of the store → the stage that leaves its entries, one each
KINDS = {"scores": "scorer", "selections": "selector", "matching": "matcher"}
FACTORS = {
    "scorers that read one pass": ["scorer=cscore,el2n"],
    "evaluations of one matching": ["augmentation=dsa,combined"],
    "policies": ["policy=partial,frozen"],
    "selectors": ["selector=window,random", "matcher.iterations=2,3"],
}


@pytest.mark.parametrize("case", FACTORS)
def test_what_is_planned_is_what_runs_leave_in_the_store(case, study, bind):
    asked = study(*FACTORS[case])
    plan = plan_ablation(asked, bind)
    times = {work.stage: work.times for work in plan.stages}
    assert plan.failed == {}
    assert plan.seconds > 0
    assert len(plan.parts) == len(asked.cells) * len(asked.seeds)
    assert sum(sum(parts) for parts in plan.parts) == pytest.approx(plan.seconds)
    ablate(asked, bind, SilentProgress())
    left = Counter(entry.kind for entry in bind(asked.base).store.entries())
    for kind, stage in KINDS.items():
        if case != "scorers that read one pass" or stage != "scorer":
            assert times.get(stage, 0) == left[kind]
    if case == "scorers that read one pass":
        assert times["scorer"] == 1  # in work, that is: both scores come of its networks
        assert left["dynamics"] == 2
    if case != "policies":  # there what is frozen is evaluated under two augmentations
        assert left["evaluations"] == 2 * times["evaluator"]  # repeats
    again = plan_ablation(asked, bind)
    assert all(work.cached == work.times for work in again.stages)
    assert (again.seconds, again.unknown) == (0, [])
    assert all(sum(parts) == 0 for parts in again.parts)


def test_equal_work_is_timed_once(study, bind, monkeypatch):
    asked, timed = study("selector=window,random,hardest", seeds=3), Counter()
    original = Bound.cost

    def cost(self, stage, samples):
        timed[stage] += 1
        return original(self, stage, samples)

    monkeypatch.setattr(Bound, "cost", cost)
    plan_ablation(asked, bind)
    assert timed == {"scorer": 1, "selector": 3, "matcher": 1, "evaluator": 1}


def test_a_cell_that_cannot_be_planned_is_named_and_counts_nothing(study, bind):
    plan = plan_ablation(study("selector.beta=0.5,0.99"), bind)
    assert plan.failed == {}  # a window that is too far out is found when it is selected
    lost = study("scorer=cscore,file:nowhere.csv", seeds=1)
    plan = plan_ablation(lost, bind)
    assert list(plan.failed) == ["scorer=file:nowhere.csv"]
    assert "nowhere.csv" in plan.failed["scorer=file:nowhere.csv"]
    assert [len(parts) > 0 for parts in plan.parts] == [True, False]


def test_seeds_share_what_they_are_told_to(study, bind):
    base = study("selector=window").base

    def times(shared):
        planner = Planner()
        for seed in (0, 1, 2):
            more = {"shared_seed": 0} if shared else {}
            planner.add(stages(bind(replace(base, seed=seed), **more), baselines=True))
        return {work.stage: work.times for work in planner.plan().stages}

    alone = dict.fromkeys(
        ("scorer", "selector", "prepare", "matcher", "evaluator", "random", "whole"), 3
    )
    assert times(shared=False) == alone
    assert times(shared=True) == alone | {"scorer": 1, "prepare": 1}


def test_studies_tell_progress_what_they_expect(study, bind, tmp_path, monkeypatch):
    heard = []

    class Hears(LineProgress):
        def whole(self, title, total, unit, expected):
            parts = expected()
            heard.append((title, total, [sum(p) > 0 for p in parts]))
            return super().whole(title, total, unit, lambda: parts)

    progress = Hears()
    asked = study("policy=partial,frozen", seeds=1)
    ablate(asked, lambda recipe, **more: bind(recipe, progress, **more), progress)
    assert heard == [("ablate", 2, [True, True])]
    heard.clear()
    told = lambda recipe, **more: bind(recipe, progress, **more)  # noqa: E731
    run_seeds(asked.base, 2, told, tmp_path / "out", False, shared=False)
    assert heard[0][:2] == ("seeds", 2)
    assert heard[0][2][1]
