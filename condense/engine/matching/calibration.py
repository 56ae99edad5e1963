"""Where the step size starts that nobody sets: the matcher's own, halved while that helps."""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import Generator

from condense.engine.matching.state import carried_by, hand_back
from condense.interfaces import Matcher, MatchStep, SyntheticSet

STUDENTS = 3  # whose losses are compared, with equal draws
MOST = 10  # halvings


def calibrate_step_size(
    matcher: Matcher, synthetic: SyntheticSet, rng: Generator, step: Callable[[], MatchStep]
) -> None:
    """Halve ``synthetic``'s step size as long as the loss of a few steps falls.

    A step that is right for many small ones overshoots where few large ones stand for them. ``rng``
    is left as it was, and what the matcher carries from step to step. ``step`` takes one, which it
    draws from ``rng``.
    """
    before = rng.get_state()
    carried = {name: tensor.clone() for name, tensor in carried_by(matcher).items()}

    def loss() -> float:
        rng.set_state(before)
        hand_back(matcher, carried)
        found = sum(float(step().loss) for _ in range(STUDENTS))
        return found if math.isfinite(found) else math.inf

    now = loss()
    for _ in range(MOST):
        synthetic.step_size.mul_(0.5)
        half = loss()
        if half >= now < math.inf:
            synthetic.step_size.mul_(2)
            break
        now = half
    rng.set_state(before)
    hand_back(matcher, carried)
