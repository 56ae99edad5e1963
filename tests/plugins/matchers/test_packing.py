"""Experts as they are stored, and the refusal of more than memory holds."""

import pytest
import torch

from condense.engine.runtime.rng import Seed
from condense.engine.training.concurrent import train_concurrently
from condense.errors import CapacityError
from condense.options import NetworkSpec
from condense_plugins.matchers.trajectory import experts
from condense_plugins.matchers.trajectory.options import TrajectoryOptions

SMALL = TrajectoryOptions(
    experts=2,
    max_start_epoch=3,
    expert_epochs=1,
    expert_batch_size=30,
    network=NetworkSpec.of("convnet", width=8),
)


def way(epochs=60, size=500):
    """A trajectory that moves far less than it measures, as experts do late in training."""
    rng = torch.Generator().manual_seed(0)
    return torch.cumsum(
        torch.cat([torch.randn(1, size, generator=rng), 1e-3 * torch.randn(epochs, size)]), 0
    )


def test_float32_is_kept_as_it_is():
    trajectory = way()
    assert torch.equal(experts.unpacked(experts.packed(trajectory, "fp32")), trajectory)


def test_bf16_keeps_every_epochs_way_and_errors_do_not_add_up():
    trajectory = way()
    stored = experts.packed(trajectory, "bf16")
    got = experts.unpacked(stored)
    assert stored["deltas"].dtype == torch.bfloat16
    assert sum(t.nbytes for t in stored.values()) < 0.52 * trajectory.nbytes
    error = (got - trajectory).norm(dim=1) / (trajectory[1] - trajectory[0]).norm()
    assert error[0] == 0
    assert 0 < error[-1] < 1 / 256  # after 60 epochs still one rounding, not sixty
    plain = trajectory.bfloat16().float()  # what storing snapshots as they are would do
    way_of_two = (trajectory[-1] - trajectory[-3]).norm()
    assert (plain[-1] - trajectory[-1]).norm() / way_of_two > 0.5


def test_an_expert_comes_back_from_the_store_as_it_was_trained(tiny_images, context):
    options = SMALL.model_copy(update={"expert_dtype": "bf16"})
    rng = torch.Generator().manual_seed(1)
    first = experts.Experts.of(tiny_images, context, options, rng).load()
    again = experts.Experts.of(tiny_images, context, options, rng).load()
    exact = experts.Experts.of(tiny_images, context, SMALL, rng).load()  # another key
    for one, two, truth in zip(first, again, exact, strict=True):
        assert torch.equal(one, two)
        assert one.dtype == torch.float32
        assert not torch.equal(one, truth)
        moved = (truth[1:] - truth[:-1]).norm(dim=1).min()
        assert ((one - truth).norm(dim=1) / moved).max() < 1 / 256


def test_estimates_are_what_is_stored(tiny_images, context):
    for dtype in ("fp32", "bf16"):
        options = SMALL.model_copy(update={"expert_dtype": dtype})
        subject = experts.Experts(tiny_images, context, options, Seed(1))
        training = subject.training(0)
        list(train_concurrently([training]))
        trajectory = experts.trajectory_of(training)
        disk, memory = subject.bytes_of_one()
        assert memory == trajectory.nbytes
        assert disk == sum(t.nbytes for t in experts.packed(trajectory, dtype).values())


def test_more_than_memory_holds_is_refused_before_training(tiny_images, context, monkeypatch):
    monkeypatch.setattr(experts, "available_memory", lambda: 30_000)
    monkeypatch.setattr(experts.Experts, "training", None)
    with pytest.raises(CapacityError, match=r"2 experts take .* lower matcher\.experts"):
        experts.Experts.of(tiny_images, context, SMALL, torch.Generator().manual_seed(1)).load()
