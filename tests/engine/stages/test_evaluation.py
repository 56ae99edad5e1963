"""Repeats of an evaluation are stored one by one, and are those of the whole evaluation."""

import pytest
import torch

from condense.data import TrainingSet
from condense.engine.arms import random_plan
from condense.engine.pipeline import Pipeline
from condense.engine.runtime.progress import SilentProgress
from condense.engine.runtime.store import Store
from condense.engine.stages.evaluation import EvaluationStage
from condense.errors import BrokenPlugin
from condense.options import assignments_of
from condense.resolve import Request, resolve


@pytest.fixture
def stage(tmp_path, host, tiny, tiny_images):
    """The evaluation of random subsets with so many repeats, on one store."""

    def make(repeats, store="store", **more):
        options = tiny | {"evaluator.repeats": repeats, "evaluator.steps": 6} | more
        no = ("matcher.", "scorer.", *(["evaluator."] if "evaluator" in more else []))
        options = {k: v for k, v in options.items() if not k.startswith(no)}
        recipe = resolve(host, Request(method="random", assignments=assignments_of(options)))
        tools = {"store": Store(tmp_path / store), "progress": SilentProgress()}
        p = Pipeline(recipe, host, device=torch.device("cpu"), data=tiny_images, **tools)
        return EvaluationStage(p, random_plan(p))

    return make


def times(store):
    entries = [e for e in store.entries() if e.kind == "evaluations"]
    return {e.key: (e.path / "entry.json").stat().st_mtime_ns for e in entries}


def test_more_repeats_use_those_that_are_stored(stage):
    three = stage(3)
    first = three.result
    before = times(three.bound.store)
    assert len(before) == 3 * len(three.plan.augmentations)
    five = stage(5)
    assert not five.stored
    second = five.result
    after = times(five.bound.store)
    assert len(after) == 5 * len(five.plan.augmentations)
    assert before.items() <= after.items()
    alone = stage(5, "another").result
    assert second.values == alone.values
    assert second.per_class == alone.per_class
    assert torch.equal(second.right, alone.right)
    tried = first.protocol["tried"]
    assert tried.keys() == second.protocol["tried"].keys()
    two = stage(2)
    assert two.stored
    assert len(two.result.values) == 2
    assert times(two.bound.store) == after


def test_stored_repeats_are_those_of_the_evaluator_alone(stage):
    made = stage(3)
    found, bound = made.result, made.bound
    augmentation = next(
        a for a in made.plan.augmentations if a.name == str(found.protocol["augmentation"])
    )
    whole = (
        bound.recipe["evaluator"]
        .create()
        .evaluate(
            made.plan.arm,
            TrainingSet.of(bound.test_split()),
            augmentation.create(),
            bound.context,
            bound.rng("evaluator"),
        )
    )
    assert found.values == whole.values
    assert found.per_class == whole.per_class
    assert torch.equal(found.right, whole.right)
    assert {k: v for k, v in found.protocol.items() if k != "tried"} == whole.protocol


def test_a_damaged_repeat_is_made_again_alone(stage):
    first = stage(3)
    wanted = first.result
    before = times(first.bound.store)
    key = first.keys()[1]
    (first.bound.store.path("evaluations", key) / "tensors.safetensors").write_bytes(b"x")
    again = stage(3)
    assert again.result.values == wanted.values
    changed = {k for k, at in times(again.bound.store).items() if before[k] != at}
    assert len(changed) == 1


def test_an_evaluator_without_repeats_is_one_piece(stage):
    made = stage(3, evaluator="coverage", **{"evaluator.feature_epochs": 1})
    assert len(made.keys()) == len(made.plan.augmentations)


def test_a_repeat_that_was_not_asked_for_is_refused(stage, monkeypatch):
    made = stage(2)
    cls = made.bound.recipe["evaluator"].cls
    inner = cls.evaluate_repeats

    def shifted(self, *given):
        for number, found in inner(self, *given):
            yield number + 7, found

    monkeypatch.setattr(cls, "evaluate_repeats", shifted)
    with pytest.raises(BrokenPlugin, match=r"evaluator 'accuracy' gave repeat 7 .* 0…1"):
        _ = made.result
    assert made.bound.store.entries() == []
