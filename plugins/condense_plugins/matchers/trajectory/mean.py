"""The meta-gradient of an iteration as the mean over several trajectories."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Generator, Tensor

from condense.engine.runtime.rng import Seed
from condense.interfaces import MatchStep


def streams(rng: Generator, trajectories: int) -> list[Generator]:
    """What trajectory 0, 1, … draws from: a CPU generator each, forked by its number.

    So a trajectory's draws do not depend on how many others there are, nor on who computes them.
    ``rng`` is moved on by one draw.
    """
    seed = Seed(int(torch.randint(2**62, (), generator=rng)))
    return [seed.fork("trajectory", number).generator() for number in range(trajectories)]


def mean_step(steps: Iterable[MatchStep]) -> MatchStep:
    """The mean of ``steps``, one at least, added in their order: the same bytes wherever each was
    computed."""
    total: list[Tensor | None] = []
    count = 0
    for step in steps:
        parts = [step.loss, step.grad_inputs, step.grad_labels, step.grad_step_size]
        total = [_sum(a, b) for a, b in zip(total, parts, strict=True)] if count else parts
        count += 1
    loss, inputs, labels, slope = (None if t is None else t / count for t in total)
    assert loss is not None
    assert inputs is not None
    return MatchStep(loss, inputs, labels, slope)


def _sum(one: Tensor | None, other: Tensor | None) -> Tensor | None:
    """None where either is, as of labels that nobody learns."""
    return None if one is None or other is None else one + other
