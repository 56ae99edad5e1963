"""Trainings between store and caller: each done once, in time, whoever else is at work."""

import pytest
import torch

from condense.data import TrainingSet
from condense.engine.training.batches import Batcher
from condense.engine.training.concurrent import cached_trainings
from condense.engine.training.loop import Training
from condense.engine.training.schedule import Schedule
from condense.options import AugmentationSpec, NetworkSpec

KEYS = [{"number": k} for k in range(5)]


@pytest.fixture
def made():
    """Numbers of the trainings made."""
    return []


@pytest.fixture
def ask(context, tiny_images, made):
    """A function that asks for results 0 … 4: the first logit bias and the number."""
    batcher = Batcher(TrainingSet.of(tiny_images), torch.device("cpu"))
    none = context.augmentation(AugmentationSpec.of("none"))

    def make(number):
        made.append(number)
        rng = torch.Generator().manual_seed(number)
        network = context.network(NetworkSpec.of("mlp", depth=0), tiny_images.geometry, rng)
        return Training(network, batcher, Schedule(5 - number, 20, 0.1), none, rng)

    def result(number, training):
        bias = list(training.network.parameters())[-1]
        return {"bias": bias.detach().clone(), "number": torch.tensor(number)}

    def ask(max_concurrent=1, keys=KEYS, cache=context.cache):
        return list(cached_trainings(cache, "tests", keys, make, result, max_concurrent))

    return ask


@pytest.mark.parametrize("max_concurrent", [1, 2, 5, 9])
def test_results_are_in_order_and_made_once(ask, made, context, max_concurrent):
    alone = ask()
    context.cache.clean()
    made.clear()
    got = ask(max_concurrent)  # the later ones are shorter and are done first
    assert [int(t["number"]) for t in got] == [0, 1, 2, 3, 4]
    assert all(torch.equal(a["bias"], b["bias"]) for a, b in zip(alone, got, strict=True))
    assert sorted(made) == [0, 1, 2, 3, 4]
    made.clear()
    assert all(torch.equal(a["bias"], b["bias"]) for a, b in zip(ask(2), got, strict=True))
    assert made == []


def test_only_what_is_missing_is_trained(ask, made, context):
    ask(1, KEYS[:2])
    made.clear()
    assert [int(t["number"]) for t in ask(3)] == [0, 1, 2, 3, 4]
    assert sorted(made) == [2, 3, 4]


def test_what_another_process_has_stored_meanwhile_is_not_trained(ask, made, context):
    class Neighbour:
        """Somebody stores result 2 while ours is at the first."""

        def has(self, kind, key):
            return context.cache.has(kind, key)

        def tensors(self, kind, key, compute, expected=None):
            if key == KEYS[0]:
                context.cache.tensors("tests", KEYS[2], lambda: {"number": torch.tensor(-2)})
            return context.cache.tensors(kind, key, compute)

    got = ask(1, cache=Neighbour())
    assert [int(t["number"]) for t in got] == [0, 1, -2, 3, 4]
    assert made == [0, 1, 3, 4]


def test_a_damaged_entry_is_trained_again(ask, made, context):
    ask()
    made.clear()
    for file in context.cache.path("tests", KEYS[3]).iterdir():
        if file.suffix == ".safetensors":
            file.write_bytes(b"damaged")
    assert [int(t["number"]) for t in ask(2)] == [0, 1, 2, 3, 4]
    assert made == [3]


def test_a_damaged_entry_waits_for_nothing_else(ask, made, context):
    ask(1, KEYS[:2])
    for file in context.cache.path("tests", KEYS[1]).iterdir():
        if file.suffix == ".safetensors":
            file.write_bytes(b"damaged")
    context.cache.path("tests", KEYS[0]).rename(context.cache.root / "gone")
    made.clear()
    assert [int(t["number"]) for t in ask(2)] == [0, 1, 2, 3, 4]
    assert made == [0, 2, 3, 1, 4]  # 2 and 3 trained along with 0, as 1 seemed to be there


def test_an_interrupted_cohort_keeps_what_was_done(ask, made, context):
    class Stop:
        has = staticmethod(context.cache.has)

        def tensors(self, kind, key, compute, expected=None):
            if key == KEYS[2]:
                raise KeyboardInterrupt
            return context.cache.tensors(kind, key, compute)

    with pytest.raises(KeyboardInterrupt):
        ask(1, cache=Stop())
    made.clear()
    ask()
    assert made == [2, 3, 4]
