"""What a diagnosis finds out besides a run's own files, and what it leaves alone."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from condense.engine.documents import OWN
from condense.engine.pipeline import Pipeline
from condense.engine.runtime.progress import SilentProgress
from condense.engine.runtime.store import Store
from condense.engine.training.ranking import split_half
from condense.errors import DataError
from condense.options import assignments_of
from condense.report.diagnosis.facts import RunFacts, collect, collect_from
from condense.report.diagnosis.findings import problems
from condense.resolve import Request, resolve
from condense.results import Evaluation
from condense.traits import Traits, traits_of


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("store"))
    return {"store": store, "device": torch.device("cpu"), "progress": SilentProgress()}


@pytest.fixture
def tools(shared):
    return dict(shared)


@pytest.fixture(scope="module")
def pipeline(host, tiny, shared):
    """Of a tiny run whose scorer has two replicates."""
    values = {**tiny, "scorer.networks": 2, "matcher.iterations": 1}
    return Pipeline(resolve(host, Request(assignments=assignments_of(values))), host, **shared)


def under(augmentation):
    return {OWN: Evaluation((0.5, 0.5), {"augmentation": augmentation})}


@pytest.fixture
def back(host, tools):
    """Facts of a set as if it lay in a folder."""

    def call(small, augmentation="combined"):
        return collect_from(Path("run"), small, under(augmentation), host, **tools)

    return call


def test_what_is_known_of_a_run(pipeline, host, tools, back):
    small = pipeline.condensed
    known = back(small)
    assert known.relative_loss
    assert known.measure == "accuracy"
    assert (known.matched_under, known.evaluated_under) == ("dsa", "dsa")
    assert known.step_size == pipeline.recipe["matcher"].options.step_size
    scorer = pipeline.recipe["scorer"].create()
    replicates = scorer.replicates(pipeline.data, pipeline.context, pipeline.rng("scorer"))
    assert known.split_half == pytest.approx(split_half(replicates))
    dynamics = pipeline.context.dynamics(
        pipeline.data, pipeline.rng("scorer"), pipeline.recipe["scorer"].options
    )
    in_last_epoch = (dynamics.margin[:, -1] > 0).double().mean(1)
    assert known.learned["scorer"] == pytest.approx(in_last_epoch.tolist(), abs=1e-3)
    experts = pipeline.recipe["matcher"].options.experts
    assert len(known.learned["matcher"]) == experts
    sizes = torch.bincount(pipeline.data.labels).tolist()
    assert known.class_sizes == tuple(sizes)
    value, low, high = known.ranges["selector.beta"]
    assert (value, low) == (0.1, 0.0)
    assert high == pytest.approx(min((n - 5) / n for n in sizes))
    # and that is indeed how far a window goes
    beyond = ((("selector", "beta"), high + 0.01),)
    further = resolve(host, Request(recipe=small.recipe, assignments=beyond))
    with pytest.raises(DataError, match="window start"):
        Pipeline(further, host, **tools).selection  # noqa: B018


def test_a_run_at_hand_says_what_its_folder_says(pipeline, back):
    small = pipeline.condensed
    at_hand = collect(pipeline, small, under("combined"), pipeline.data)
    known = replace(back(small), evaluations=at_hand.evaluations)
    assert vars(at_hand) == vars(known)


def test_nothing_is_computed(pipeline, back, tools, tmp_path, monkeypatch):
    small = pipeline.condensed
    tools["store"] = Store(tmp_path / "empty")
    monkeypatch.setattr(Pipeline, "data", property(lambda self: pytest.fail("data were loaded")))
    known = back(small, "simple")
    assert (known.relative_loss, known.evaluated_under) == (True, "simple")
    assert (known.split_half, known.ranges, known.learned) == (None, {}, {})
    assert not (tmp_path / "empty").exists()


def test_data_that_changed_meanwhile_say_nothing_of_its_limits(pipeline, back, monkeypatch):
    changed = pipeline.data.subset(torch.arange(1000))
    monkeypatch.setattr(Pipeline, "data", property(lambda self: changed))
    known = back(pipeline.condensed, "dsa")
    assert known.ranges == {}
    assert known.evaluated_under == "dsa"


def test_data_in_memory_leave_the_components(pipeline, back):
    recipe = {**pipeline.condensed.recipe, "data": {"component": "memory", "fingerprint": "x"}}
    known = back(replace(pipeline.condensed, recipe=recipe))
    assert (known.relative_loss, known.ranges) == (True, {})


@pytest.mark.parametrize(
    ("useless", "code", "advice"),
    [
        ({"matcher.expert_lr": 1000.0}, "teachers-at-chance", "lower matcher.expert_lr"),
        ({"scorer.lr": 1e-9}, "scorer-at-chance", "change scorer.lr"),
    ],
)
def test_networks_that_are_finite_but_of_no_use_are_told_of(
    host, tiny, shared, useless, code, advice
):
    def told(values):
        request = Request(assignments=assignments_of({**tiny, **values}))
        pipeline = Pipeline(resolve(host, request), host, **shared)
        return {f.code: f.advice for f in problems(pipeline, pipeline.condensed, {})}

    sound = {"scorer.epochs": 3, "matcher.max_start_epoch": 3, "matcher.expert_lr": 0.1}
    assert not {"teachers-at-chance", "scorer-at-chance"} & set(told(sound))
    assert told({**sound, **useless})[code].startswith(advice)


@pytest.mark.parametrize("recipe", [{}, {"method": "gone"}, {"matcher": {"component": "gone"}}])
def test_without_its_components_the_files_alone_are_known(recipe, pipeline, back):
    small = replace(pipeline.condensed, recipe=recipe)
    known = back(small)
    assert vars(known) == vars(RunFacts(condensed=small, evaluations=known.evaluations))


@pytest.mark.parametrize("policy", ["partial", "full", "frozen", "learned-labels"])
@pytest.mark.parametrize("scorer", ["cscore", "el2n", "forgetting"])
def test_built_in_components_advise_on_every_sign(host, policy, scorer):
    recipe = resolve(
        host, Request(assignments=assignments_of({"policy": policy, "scorer": scorer}))
    )
    advised = {c for r in recipe.stages.values() for c in traits_of(r.cls, Traits).advice}
    signs = {
        *("loss-no-progress", "loss-rises", "loss-flat", "not-finite", "step-size-collapsed"),
        *("step-size-grew", "labels-foreign", "worse-than-random", "not-told-from-random"),
        *("single-repeat", "scores-unreliable", "scorer-at-chance", "teachers-at-chance"),
        *("beta-lowest", "beta-highest"),
        *("augmentation-mismatch", "baseline-augmentation"),
    }
    assert signs <= advised
