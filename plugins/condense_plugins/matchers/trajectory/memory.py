"""Which form of the meta-gradient to use: a rule on sizes, so that equal runs stay equal."""

from __future__ import annotations

from typing import Literal

import torch

from condense.engine.runtime.memory import machine_memory
from condense.engine.training.estimate import saved_bytes
from condense_plugins.matchers.trajectory.gradient import Batch, EagerSteps
from condense_plugins.matchers.trajectory.options import TrajectoryOptions

Form = Literal["constant", "unrolled"]


def step_bytes(steps: EagerSteps, batch: Batch) -> int:
    """Bytes that autograd keeps for one unrolled step on ``batch``."""
    device = steps.inputs.device
    theta = torch.zeros(
        steps.student.size, dtype=steps.inputs.dtype, device=device, requires_grad=True
    )
    raw = steps.inputs[batch.indices].requires_grad_()

    @torch.enable_grad()
    def step() -> None:
        loss = steps.loss(theta, raw, batch, steps.logits(batch))
        torch.autograd.grad(loss, theta, create_graph=True)

    return saved_bytes(step)


# Measured on two cores at 2 to 350 MiB of activations a step (docs/speed.md): the constant form
# takes 0.69-0.9 of plain unrolling's time through the tangent rules and 1.2-1.4 without, whether
# or not the activations stay in the CPU's cache. So no size decides, beyond what fits.
SHARE = 0.25  # of the machine's memory that unrolling may take


def choose_form(
    options: TrajectoryOptions, steps: EagerSteps, batch: Batch, *, tangent: bool = False
) -> Form:
    """``options.memory``, with ``auto`` resolved to the quicker form that fits.

    Args:
        tangent: whether the constant form would go through the tangent rules.
    """
    if options.memory != "auto":
        return options.memory
    # on a GPU the constant form is captured in graphs, which the unrolled one is not
    if tangent or steps.inputs.device.type == "cuda":
        return "constant"
    fits = step_bytes(steps, batch) * options.steps < SHARE * machine_memory()
    return "unrolled" if fits else "constant"


def step_budget(options: TrajectoryOptions) -> int:
    """Bytes that each step may leave for its backward pass, on a CPU."""
    return int(SHARE * machine_memory() / options.steps) if options.memory == "auto" else 0
