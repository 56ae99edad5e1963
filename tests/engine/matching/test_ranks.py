"""Several trajectories an iteration: what they draw, and how their steps become one."""

from types import SimpleNamespace

import torch

from condense.engine.matching.ranks import mean_of, mean_step
from condense.results import MatchPlan, MatchStep


class Draws:
    """Its loss is the number that it draws."""

    def __init__(self, trajectories):
        self.plan = MatchPlan(1, trajectories=trajectories)
        self.drawn = []

    def step(self, synthetic, rng):
        self.drawn.append(float(torch.rand((), generator=rng)))
        return MatchStep(torch.tensor(self.drawn[-1]), torch.zeros(2))


def test_a_trajectory_draws_the_same_however_many_there_are():
    few, many = Draws(2), Draws(5)
    rng, again = (torch.Generator().manual_seed(7) for _ in range(2))
    mean_step(few, SimpleNamespace(), rng)
    mean_step(many, SimpleNamespace(), again)
    assert few.drawn == many.drawn[:2]
    assert len(set(many.drawn)) == 5
    assert torch.equal(rng.get_state(), again.get_state())  # … and leaves the stream alike
    mean_step(few, SimpleNamespace(), rng)
    assert few.drawn[2] not in many.drawn  # the next iteration's are others


def test_one_trajectory_is_the_step_itself():
    one, rng = Draws(1), torch.Generator().manual_seed(7)
    mean_step(one, SimpleNamespace(), rng)
    assert one.drawn == [float(torch.rand((), generator=torch.Generator().manual_seed(7)))]


def test_learned_labels_have_the_mean_gradient_too():
    def step(value):
        return MatchStep(torch.tensor(value), *[torch.full((2,), k * value) for k in (1, 2)])

    mean = mean_of([step(1.0), step(4.0)])
    assert (float(mean.loss), mean.grad_inputs.tolist()) == (2.5, [2.5, 2.5])
    assert (mean.grad_labels.tolist(), mean.grad_step_size) == ([5.0, 5.0], None)


def test_steps_are_added_in_order():
    """1 + 1e8 - 1e8 is 0 in float32, and 1 in another order."""
    steps = [MatchStep(torch.tensor(0.0), torch.tensor([v])) for v in (1.0, 1e8, -1e8)]
    assert mean_of(steps).grad_inputs.item() == 0.0
    assert mean_of([steps[1], steps[2], steps[0]]).grad_inputs.item() != 0.0
