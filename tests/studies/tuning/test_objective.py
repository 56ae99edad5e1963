"""What tuning evaluates: ranges by brute force, shortened trainings, one fixed augmentation."""

from dataclasses import replace

import pytest
import torch

from condense.engine.arms import evaluate, selection_plan
from condense.engine.ingest.holdout import hold_out
from condense.engine.pipeline import Pipeline
from condense.engine.runtime.progress import SilentProgress
from condense.engine.runtime.store import Store
from condense.errors import DataError, OptionError
from condense.options import assignments_of
from condense.resolve import Request, resolve
from condense.studies.tuning.objective import (
    Objective,
    declared_range,
    option_value,
    shortened,
    training_steps,
    with_options,
)
from condense.studies.tuning.result import Spent

KEY = "selector.beta"


@pytest.fixture
def make(host, digits, tmp_path, tiny):
    """An objective on tiny digits, with options changed."""

    def objective(data=None, ipc=5, key=KEY, matched=False, **options):
        given = tiny | {k.replace("__", "."): v for k, v in options.items()}
        for stage in {"scorer", "matcher"} & set(options):  # whose options are others
            given = {k: v for k, v in given.items() if not k.startswith(f"{stage}.")}
        recipe = resolve(host, Request(ipc=ipc, assignments=assignments_of(given)))
        store = Store(tmp_path / "store")
        tools = {"store": store, "device": torch.device("cpu"), "progress": SilentProgress()}

        def bind(recipe, **more):
            return Pipeline(recipe, host, **tools, **more)

        part = hold_out(data or digits, 0.2, torch.Generator().manual_seed(0))
        return Objective(bind, host, recipe, part, (key,), matched, Spent())

    return objective


@pytest.mark.parametrize(("unit", "ipc"), [("class", 5), ("class", 40), ("ipc", 5)])
def test_the_range_ends_at_the_last_window_that_fits(make, unit, ipc):
    objective = make(ipc=ipc, scorer="random", selector__unit=unit)
    sizes = torch.bincount(objective.data.labels).tolist()

    def fits(thousandth):
        whole = [n if unit == "class" else ipc for n in sizes]
        starts = [thousandth * w // 1000 for w in whole]  # ⌊β·w⌋ in whole numbers
        return all(start + ipc <= n for start, n in zip(starts, sizes, strict=True))

    highest = max(t for t in range(1000) if fits(t))
    assert objective.range_of() == (0.0, highest / 1000)


def test_ends_that_are_asked_for_are_tried(make):
    objective = make(ipc=40, scorer="random")
    assert objective.range_of((0.1, 0.2)) == (0.1, 0.2)
    with pytest.raises(DataError, match=r"lower selector\.beta to at most"):
        objective.range_of((0.1, 0.9))


def test_an_option_without_bounds_takes_those_asked_for(make):
    assert make(scorer="random", key="matcher.image_lr").range_of((1.0, 9.0)) == (1.0, 9.0)


@pytest.mark.parametrize(
    ("key", "part"),
    [
        ("selector", "key 'selector' is no STAGE.OPTION; stages are data, scorer"),
        ("selektor.beta", "key 'selektor.beta' is no STAGE.OPTION"),
        (
            "selector.betta",
            "selector 'window' has no real-valued option betta; did you mean 'beta'?",
        ),
        (
            "selector.unit",
            "selector 'window' has no real-valued option unit; choose another selector or option",
        ),
        ("matcher.image_lr", "matcher.image_lr has no bounds of its own; give `range=LOW,HIGH`"),
    ],
)
def test_what_cannot_be_tuned_is_named(make, key, part):
    with pytest.raises(OptionError) as caught:
        declared_range(make().recipe, key)
    assert part in str(caught.value)


def test_a_search_cannot_start_from_auto(make):
    recipe = make(matcher__image_lr="auto").recipe
    with pytest.raises(OptionError, match=r"^matcher\.image_lr is auto, no number .*; give one, `"):
        option_value(recipe, "matcher.image_lr")


def test_bounds_that_are_excluded_are_moved_inside(make):
    recipe = make().recipe
    assert declared_range(recipe, KEY) == (0.0, 0.999)  # ge 0, lt 1
    assert declared_range(recipe, "policy.alpha") == (0.0, 1.0)
    assert option_value(recipe, "policy.alpha") == recipe["policy"].options.alpha


def test_shortened_trainings_keep_the_rest_of_the_recipe(host, make):
    recipe = make(evaluator__steps=40, evaluator__repeats=3, matcher__iterations=20).recipe
    short = shortened(host, recipe, 50, 0.25, 2)
    assert (short["evaluator"].options.steps, short["evaluator"].options.repeats) == (10, 2)
    assert short["matcher"].options.iterations == 5
    back = {"evaluator.steps": 40, "evaluator.repeats": 3, "matcher.iterations": 20}
    assert with_options(host, short, back).to_dict() == recipe.to_dict()
    assert training_steps(shortened(host, recipe, 50, 1.0, 1), 50) == 40
    epochs = with_options(host, recipe, {"evaluator.steps": None, "evaluator.epochs": 9})
    # 9 + 1 epochs of ⌈50 / 64⌉ = 1 batch
    assert training_steps(shortened(host, epochs, 50, 0.5, 1), 50) == 5


def test_a_selection_is_trained_on_as_it_is_under_one_fixed_augmentation(make):
    objective = make(scorer="random", evaluator__repeats=1)
    pipeline = objective.pipeline((0.4,), 2)
    trial = selection_plan(pipeline.selecting)
    training = trial.arm.draw(0)
    indices = pipeline.selection.indices
    assert torch.equal(training.inputs, objective.data.inputs[indices])
    assert torch.equal(training.labels, objective.data.labels[indices])
    assert [a.name for a in trial.augmentations] == ["dsa"]  # the last of simple, dsa
    assert pipeline.recipe.seed == 2
    assert pipeline.shared_seed == 0
    other = make(scorer="random", augmentation="simple").pipeline((0.4,))
    assert [a.name for a in selection_plan(other.selecting).augmentations] == ["simple"]


def test_it_is_what_a_method_without_matching_is_worth(make):
    """Against the evaluation of the condensed set of a method that only selects."""
    from condense.engine.arms import condensed_plan

    options = {"scorer": "random", "matcher": "none", "augmentation": "simple"}
    objective = make(**options, evaluator__steps=20)
    value = objective((0.5,), 1)
    pipeline = objective.pipeline((0.5,), 1)
    assert value == evaluate(pipeline, condensed_plan(pipeline, pipeline.condensed)).mean
    spent = objective.spent
    assert (spent.trainings, spent.steps, spent.matchings) == (2, 40, 0)  # two networks
    matched = make(**options, matched=True, evaluator__steps=20)
    assert matched((0.5,), 1) == value
    assert matched.spent.matchings == 1


def test_only_the_fit_part_is_scored_and_the_test_split_is_out_of_reach(make, digits):
    objective = make()
    pipeline = objective.pipeline((0.5,))
    assert len(pipeline.scores.values) == len(objective.data) < len(digits)
    flipped = replace(digits, test=replace(digits.test, labels=9 - digits.test.labels))
    same = make(data=flipped)
    assert same.data.fingerprint == objective.data.fingerprint
    assert torch.equal(same.data.test.labels, objective.data.test.labels)
