"""What a run of the trajectory matcher would take, from a few steps timed for real."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from condense.engine.runtime.rng import Seed
from condense.engine.training.batches import initial_set
from condense.engine.training.estimate import TimedPart, time_call
from condense.interfaces import Context, Cost, LabeledData, Selection
from condense_plugins.matchers.trajectory.experts import Experts
from condense_plugins.matchers.trajectory.memory import step_budget

if TYPE_CHECKING:
    from condense_plugins.matchers.trajectory.matcher import TrajectoryMatcher

TIMED_STEPS = 4


def trajectory_cost(
    matcher: TrajectoryMatcher, data: LabeledData, samples: int, context: Context
) -> Cost:
    """Seconds of all iterations; memory of the experts while they are matched, and of what the
    steps of a rollout leave for their backward passes.

    Args:
        samples: size of the synthetic set.
    """
    o = matcher.options
    rng = Seed(0).generator()
    memory = Experts.of(data, context, o, rng).bytes_of_one()[1]
    chosen = torch.arange(min(samples, len(data)))
    part = TimedPart.of(min(o.batch_size, len(chosen)), data.geometry, context.device)
    if part.cut:
        chosen = chosen[: part.timed]
    steps = 1 if part.cut else min(o.steps, TIMED_STEPS)
    # uncompiled: an upper estimate, without a minute of compiling
    short = {
        "steps": steps,
        "batch_size": min(o.batch_size, part.timed),
        "max_start_epoch": 1,
        "start_epoch_growth": 0,
        "compile": "off",
    }
    trial = type(matcher)(o.model_copy(update=short))
    trajectory = torch.zeros(o.expert_epochs + 1, memory // (4 * (o.last_epoch + 1)))
    trajectory[0] = matcher.start_vector(data, context)
    trial.use([trajectory], data, context, rng)
    selection = Selection(chosen, data.labels[chosen], (len(chosen),))
    mask = torch.ones(len(chosen), dtype=torch.bool)
    synthetic = initial_set(data, selection, mask, o.first_step_size(len(data))).to(context.device)
    rollout = time_call(lambda: trial.step(synthetic, rng), context.device)
    rollouts = part.scale * o.iterations * o.trajectories
    one = int(part.scale * trial.left_by_a_step(synthetic, rng))
    left = o.steps * min(one, step_budget(o))
    if part.cut:  # and what a step takes, which was not timed as a whole
        left += one
    return Cost(rollouts * rollout * o.steps / steps, memory=o.experts * memory + left)
