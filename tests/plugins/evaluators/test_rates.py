"""How the rate falls: once an epoch, and every step where so many steps are few epochs."""

import math

import pytest
import torch

from condense.data import TrainingSet
from condense.engine.runtime.rng import Seed
from condense.engine.training.dynamics import DynamicsOptions, dynamics_pass
from condense.engine.training.step import EagerStep
from condense.options import NetworkSpec
from condense.results import Arm
from condense_plugins.evaluators.accuracy import AccuracyEvaluator
from condense_plugins.reselectors._right import ShortOptions, right_samples

NETWORK = NetworkSpec.of("mlp", width=4)
WHOLE = 90  # samples of all classes, of which nine batches of ten make an epoch


def cosine(count):
    """From 0.1 down to 0.001 in ``count`` values."""
    turns = [math.cos(math.pi * k / max(count - 1, 1)) for k in range(count)]
    return pytest.approx([0.001 + 0.099 * (1 + turn) / 2 for turn in turns])


@pytest.fixture
def rates(monkeypatch):
    """Of every step taken."""
    seen, call = [], EagerStep.__call__

    def watched(self, *batch):
        seen.append(self.optimizer.lr)
        return call(self, *batch)

    monkeypatch.setattr(EagerStep, "__call__", watched)
    return seen


def evaluated(data, context, size, **options):
    """The arm of all ``data`` beside a condensed set of ``size`` samples, of as many steps."""
    given = {"network": NETWORK, "repeats": 1, "batch_size": 10, "lr": 0.1, **options}
    evaluator = AccuracyEvaluator(AccuracyEvaluator.Options(**given))
    arm = Arm("whole", lambda repeat: TrainingSet.of(data), size)
    none = context.host.registry("augmentation").get("none")
    rng = torch.Generator().manual_seed(0)
    test = TrainingSet.of(data.test)
    return evaluator.evaluate(arm, test, none(none.Options()), context, rng)


@pytest.mark.parametrize("options", [{"steps": 9}, {"steps": 13}, {"steps": 81}, {"epochs": 26}])
def test_an_arm_of_few_epochs_is_annealed_too(options, rates, tiny_images, context):
    """The whole split in 1, 2, 9 and 3 epochs; 27 are those of the set of ten samples."""
    found = evaluated(tiny_images, context, 10, **options)
    steps = options.get("steps", 27)
    assert rates == cosine(steps)
    assert found.protocol["steps"] == steps
    assert "in_steps" not in found.protocol


def test_ten_epochs_have_one_rate_each(rates, tiny_images, context):
    evaluated(tiny_images, context, 10, steps=90)
    assert rates[::9] == cosine(10)
    assert rates == [rate for rate in rates[::9] for _ in range(9)]


def test_a_round_of_reselection_is_annealed_too(rates, tiny_images, context):
    whole = TrainingSet.of(tiny_images)
    options = ShortOptions(network=NETWORK, steps=7, batch_size=10, lr=0.1)
    right_samples(whole, whole, context, options, Seed(1))
    assert rates == cosine(7)


def test_what_is_given_in_epochs_has_one_rate_an_epoch(rates, tiny_images, context):
    options = DynamicsOptions(network=NETWORK, networks=1, epochs=2, batch_size=10, lr=0.1)
    dynamics_pass(tiny_images, context, torch.Generator().manual_seed(0), options).run()
    assert rates == pytest.approx([0.1] * 9 + [0.001] * 9)
