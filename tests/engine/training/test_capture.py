"""What counts as rounding, and what as another result."""

import pytest
import torch

from condense.engine.runtime.precision import numeric_precision
from condense.engine.training.capture import TOLERANCE, agrees, capture_checked, relative_error
from condense.engine.training.step import EagerStep, StepState


def test_relative_error_by_hand():
    assert relative_error(torch.tensor([3.0, 4.5]), torch.tensor([3.0, 4.0])) == 0.1
    assert relative_error(torch.zeros(2), torch.zeros(2)) == 0
    assert relative_error(torch.ones(2), torch.zeros(2)) == float("inf")
    inf = float("inf")
    assert relative_error(torch.tensor([inf, 1.0]), torch.tensor([inf, 1.0])) == 0
    assert relative_error(torch.tensor([2.0, 1.0]), torch.tensor([inf, 1.0])) == inf
    assert relative_error(torch.tensor([float("nan")]), torch.tensor([1.0])) == inf


@pytest.mark.parametrize("precision", ["fp32", "tf32", "bf16"])
def test_the_tolerance_is_that_of_the_precision(precision, recwarn):
    expected = [torch.randn(100), torch.ones(3)]
    limit = TOLERANCE[precision]
    assert agrees([expected[0], expected[1] * (1 + 0.9 * limit)], expected, precision, "it")
    assert not recwarn.list
    with pytest.warns(RuntimeWarning, match=rf"^it differs .* rounding in {precision} explains"):
        assert not agrees([expected[0], expected[1] * (1 + 1.1 * limit)], expected, precision, "it")


def test_float64_is_held_to_its_own_tolerance():
    one = torch.ones(3, dtype=torch.float64)
    assert agrees([one * (1 + 1e-7)], [one], "bf16", "it")
    with pytest.warns(RuntimeWarning):
        assert not agrees([one * (1 + 1e-5)], [one], "bf16", "it")


def test_what_cannot_be_recorded_is_not_compared(recwarn):
    ran = []
    body = lambda: ran.append(1)  # noqa: E731
    assert capture_checked(body, lambda b: b, list, "fp32", "it") is body
    assert len(ran) == 1


@pytest.mark.parametrize(("precision", "least"), [("bf16", 5e-3), ("fp32", 0)])
def test_a_real_step_differs_by_rounding_less_than_the_tolerance(
    context, tiny_images, precision, least
):
    """bf16 against float32, and float32 against inputs that are 1e-6 off."""
    from condense.data import TrainingSet
    from condense.engine.training.batches import Batcher
    from condense.engine.training.schedule import Schedule
    from condense.options import AugmentationSpec, NetworkSpec

    rng = torch.Generator().manual_seed(0)
    spec = NetworkSpec.of("convnet", width=16, depth=2)
    data = Batcher(TrainingSet.of(tiny_images), torch.device("cpu"))
    none = context.augmentation(AugmentationSpec.of("none"))
    network = context.network(spec, tiny_images.geometry, rng)
    step = EagerStep(network, data, Schedule(1, 60, 0.1, 0.9), none)
    before = StepState(step)

    def outcome(at, scale):
        prepare = data.prepare
        data.prepare = lambda inputs: prepare(inputs) * scale
        with numeric_precision(at, torch.device("cpu")):
            logits = step(torch.arange(60), torch.empty(60, 0))
        data.prepare = prepare
        found = [logits.float(), *(c.clone() for c in before.changes())]
        before.restore()
        return found

    exact = outcome("fp32", 1)
    rounded = outcome(precision, 1 if precision == "bf16" else 1 + 1e-6)
    errors = [relative_error(a, b) for a, b in zip(rounded, exact, strict=True)]
    assert least <= max(errors) < TOLERANCE[precision]
    another = step(torch.arange(60).roll(30).clamp(max=29), torch.empty(60, 0))  # half a batch
    other = [another.float(), *(c.clone() for c in before.changes())]
    assert max(relative_error(a, b) for a, b in zip(other, exact, strict=True)) > 0.5
