"""The evaluator `coverage`, and what the engine lends it."""

from dataclasses import replace

import pytest
import torch

from condense.data import TrainingSet
from condense.engine.arms import evaluate, random_plan, whole_plan
from condense.engine.checked import run_evaluator
from condense.engine.pipeline import Pipeline
from condense.engine.runtime.progress import SilentProgress
from condense.engine.runtime.store import Store
from condense.engine.stages.evaluation import EvaluationStage
from condense.errors import BrokenPlugin, DataError
from condense.options import parse_assignment
from condense.resolve import Request, resolve
from condense.results import Arm, Evaluation

SMALL = {
    "feature_network": {"component": "convnet", "width": 8},
    "feature_epochs": 2,
    "feature_batch_size": 15,
}


@pytest.fixture
def evaluator(host):
    cls = host.registry("evaluator").get("coverage")
    return lambda **changes: cls(cls.Options(**SMALL | changes))


def run(evaluator, context, train, tests, training):
    plain = context.host.registry("augmentation").get("none")
    arm = Arm("toy", lambda repeat: train, len(train), training)
    rng = torch.Generator().manual_seed(0)
    return evaluator.evaluate(arm, tests, plain(plain.Options()), context, rng)


def test_the_test_split_covers_itself(evaluator, context, tiny_images):
    training, tests = TrainingSet.of(tiny_images), TrainingSet.of(tiny_images.test)
    result = run(evaluator(), context, tests, tests, training)
    assert result.values == (1.0, 1.0)
    assert result.per_class == (1.0, 1.0, 1.0)
    assert result.protocol["area"] == pytest.approx([1.0, 1.0], abs=1e-5)


def test_a_value_for_each_network_by_plain_distances(evaluator, context, tiny_images):
    from condense.engine.feature_space.network import FeatureNetworks

    training, tests = TrainingSet.of(tiny_images), TrainingSet.of(tiny_images.test)
    small = TrainingSet.of(tiny_images.subset(torch.arange(0, 90, 11)))
    subject = evaluator(networks=3, radius_quantile=0.5)
    result = run(subject, context, small, tests, training)
    expected = []
    for k in range(3):
        network = FeatureNetworks(training, tests, context, subject.options).trained(k)
        every, held, few = (
            network.features(s, context.device).double() for s in (training, tests, small)
        )
        own = torch.cdist(every, every).fill_diagonal_(torch.inf).amin(1)
        near = torch.cdist(held, few).amin(1) <= own.quantile(0.5)
        expected.append(float(near.double().mean()))
    assert list(result.values) == pytest.approx(expected)
    assert 0 < result.mean < 1
    assert result.mean == pytest.approx(sum(result.per_class) / 3)  # classes of equal size
    assert result.right is None


def test_an_arm_without_the_training_split_is_an_error(evaluator, context, tiny_images):
    tests = TrainingSet.of(tiny_images.test)
    with pytest.raises(DataError, match=r"whole training split, which arm toy comes without"):
        run(evaluator(), context, tests, tests, None)


def pipeline_of(host, store, data, *texts):
    assignments = tuple(parse_assignment(text) for text in texts)
    recipe = resolve(host, Request(in_memory=True, ipc=2, assignments=assignments))
    tools = {"store": store, "device": torch.device("cpu"), "progress": SilentProgress()}
    return Pipeline(recipe, host, data=data, **tools)


@pytest.fixture
def pipeline(host, tmp_path):
    store = Store(tmp_path / "store")
    options = [
        *("evaluator=coverage", "evaluator.feature_network.width=8"),
        *("evaluator.feature_epochs=1", "evaluator.feature_batch_size=15"),
    ]
    return lambda data, *texts: pipeline_of(host, store, data, *(texts or options))


def test_the_engine_lends_the_training_split_to_every_trial(pipeline, tiny_images):
    p = pipeline(tiny_images)
    whole = evaluate(p, whole_plan(p))
    few = evaluate(p, random_plan(p))
    assert 0.8 < whole.mean <= 1
    assert few.mean < whole.mean


def test_the_cache_key_has_the_training_split_only_where_it_is_needed(pipeline, tiny_images):
    other = replace(tiny_images, inputs=255 - tiny_images.inputs)
    trial = whole_plan(pipeline(tiny_images))
    one, two = (EvaluationStage(pipeline(data), trial).keys() for data in (tiny_images, other))
    assert one != two
    assert "training" in one[0]
    same, again = (
        EvaluationStage(pipeline(data, "evaluator=accuracy"), trial).keys()
        for data in (tiny_images, other)
    )
    assert same == again
    assert "training" not in same[0]


def test_accuracy_says_which_samples_were_right(pipeline, tiny_images):
    options = [
        *("evaluator=accuracy", "evaluator.network.width=8", "evaluator.steps=3"),
        *("evaluator.repeats=3", "evaluator.batch_size=10"),
    ]
    p = pipeline(tiny_images, *options)
    first, stored = evaluate(p, whole_plan(p)), evaluate(p, whole_plan(p))
    labels = tiny_images.test.labels
    for result in (first, stored):
        assert result.right.shape == labels.shape
        assert float(result.right.mean()) == pytest.approx(result.mean, abs=1e-6)
        for label, rate in enumerate(result.per_class):
            assert float(result.right[labels == label].mean()) == pytest.approx(rate, abs=1e-6)
    assert torch.equal(first.right, stored.right)
    assert 0 < first.mean < 1
    assert p.timings["whole"].cached is False


@pytest.mark.parametrize("right", [torch.ones(5), torch.ones(36, dtype=torch.float64)])
def test_right_of_another_form_is_refused(context, tiny_images, right):
    class Odd:
        name, version = "odd", "1"

        def evaluate(self, arm, test, augmentation, context, rng):
            return Evaluation((0.5,), right=right)

    tests = TrainingSet.of(tiny_images.test)
    arm = Arm("toy", lambda repeat: tests, 36)
    with pytest.raises(BrokenPlugin, match=r"returned right float\d\d .*expected float32 \(36,\)"):
        run_evaluator(Odd(), arm, tests, None, context, torch.Generator())
