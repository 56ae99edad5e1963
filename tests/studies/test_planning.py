"""Plans of studies: what is shared is counted once, against the entries that runs leave."""

from collections import Counter
from dataclasses import replace

import pytest
import torch

from condense.engine.feature_space import features, network
from condense.engine.graph import plan, stages
from condense.engine.pipeline import Pipeline
from condense.engine.runtime.lines import LineProgress
from condense.engine.runtime.progress import SilentProgress
from condense.engine.runtime.store import Store
from condense.engine.stages.stage import Bound
from condense.engine.training import dynamics
from condense.options import assignments_of
from condense.resolve import Request, resolve
from condense.results import Budget, Cost
from condense.studies.ablation.design import make_study, parse_factor
from condense.studies.ablation.run import ablate, plan_ablation
from condense.studies.planning import Planner
from condense.studies.seeds import run_seeds
from condense.studies.tuning.run import plan_tuning
from condense.studies.tuning.settings import Settings


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
        asked = Request(assignments=assignments_of(options))
        return make_study(host, asked, list(map(parse_factor, factors)), seeds)

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


# work that stages share through the store: by stubs of whole seconds, so that sums are exact


@pytest.fixture
def seconds_of_a_network(monkeypatch):
    """Of any network of a feature space or a dynamics pass; gives how often it was estimated."""
    asked = Counter()

    def estimates(place, seconds):
        def cost(data, context, options):
            asked[place.__name__] += 1
            return Cost(seconds)

        monkeypatch.setattr(place, "sgd_cost", cost)
        return asked

    return estimates


SMALL = {"selector.epochs": 1, "selector.batch_size": 256, "selector.network.width": 8}


def counted(pipelines, of):
    """Work of the stage that ``of`` names, and the seconds of it run by run."""
    planner = Planner()
    for pipeline in pipelines:
        planner.add([getattr(pipeline, of)])
    (work,) = planner.plan().stages
    return work.times, work.cached, work.seconds, [sum(parts) for parts in planner.plan().parts]


def test_selections_of_all_sizes_share_the_features_of_their_seed(
    study, bind, seconds_of_a_network
):
    asked = seconds_of_a_network(features, 7.0)
    base = study("matcher.iterations=2,3", selector="facility-location", **SMALL).base

    def runs():
        return [
            bind(replace(base, seed=seed, budget=Budget(ipc=ipc)))
            for seed in (0, 1)
            for ipc in (1, 2, 3)
        ]

    assert counted(runs(), "selecting") == (6, 0, 14.0, [7, 0, 0, 7, 0, 0])
    assert asked == {features.__name__: 3}  # of each size, seeds being equal
    _ = runs()[1].selection
    assert counted(runs(), "selecting") == (6, 1, 7.0, [0, 0, 0, 7, 0, 0])
    for one in runs():
        _ = one.selection
    left = Counter(entry.kind for entry in bind(base).store.entries())
    assert left == {"features": 2, "selections": 6}


def test_scorers_of_one_pass_share_its_networks(study, bind, seconds_of_a_network):
    seconds_of_a_network(dynamics, 5.0)

    def run(scorer, networks):
        options = {"scorer": scorer, "scorer.networks": networks}
        return bind(study("matcher.iterations=2,3", **options).base)

    def runs():
        return [run("el2n", 2), run("cscore", 3), run("aum", 1)]

    assert counted(runs(), "scoring") == (3, 0, 15.0, [10, 5, 0])
    _ = runs()[1].scores
    assert counted(runs(), "scoring") == (3, 1, 0.0, [0, 0, 0])


def test_arms_that_are_measured_in_one_feature_space_train_its_networks_once(
    host, bind, tiny, digits, seconds_of_a_network
):
    seconds_of_a_network(network, 6.0)
    given = {k: v for k, v in tiny.items() if not k.startswith(("evaluator.", "matcher."))}
    given |= {"selector": "random", "policy": "frozen", "matcher": "none", "evaluator": "coverage"}
    found = plan(bind(resolve(host, Request(assignments=assignments_of(given)))), baselines=True)
    seconds = {one.stage: one.seconds for one in found.stages}
    # two networks, each of which rates the test samples in a third of a step's time
    once = 2 * 6.0 * (1 + len(digits.test) / len(digits) / 3)
    assert seconds == {"selector": 0, "evaluator": pytest.approx(once), "random": 0, "whole": 0}


def test_a_tuning_trains_features_once_a_seed(study, host, bind, seconds_of_a_network):
    seconds_of_a_network(features, 7.0)
    options = {"selector": "window", "selector.width": 0.5}
    given = study("matcher.iterations=2,3", **options).base
    found = plan_tuning(host, given, Settings(key="selector.beta", seeds=3), bind)
    (once,) = [work for work in found.shared.stages if work.stage == "selector"]
    assert (once.times, once.seconds) == (3, 21.0)
    assert {one.seconds for one in found.each if one.stage == "selector"} == {0.0}


def test_what_is_shared_is_done_once_however_often_the_rest_is():
    cost = Cost(3.0, 10, 4).then(Cost(5.0, 20, 6).shared_as(lambda rng: [("kind", {})]))
    assert (cost.seconds, cost.memory, cost.disk) == (8.0, 20, 10)
    assert cost.own == Cost(3.0, 20, 4)
    again = cost.times(4)
    assert (again.seconds, again.memory, again.disk) == (17.0, 20, 22)
    assert again.own == Cost(12.0, 20, 16)
