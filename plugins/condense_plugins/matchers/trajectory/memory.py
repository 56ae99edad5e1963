"""Which form of the meta-gradient to use: a rule on sizes, so that equal runs stay equal."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from condense_plugins.matchers.trajectory.gradient import Batch, EagerSteps
from condense_plugins.matchers.trajectory.options import TrajectoryOptions

Form = Literal["constant", "unrolled"]


def step_bytes(steps: EagerSteps, batch: Batch) -> int:
    """Bytes that autograd keeps for one unrolled step on ``batch``."""
    seen: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        seen[storage.data_ptr()] = storage.nbytes()
        return tensor

    device = steps.inputs.device
    theta = torch.zeros(
        steps.student.size, dtype=steps.inputs.dtype, device=device, requires_grad=True
    )
    raw = steps.inputs[batch.indices].requires_grad_()
    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        torch.autograd.grad(steps.loss(theta, raw, batch), theta, create_graph=True)
    return sum(seen.values())


def machine_bytes() -> int:
    """Memory of this machine, or what its container may use of it.

    Not what is free now: that differs from run to run, and with it the form and the last bits.
    """
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        return min(total, int(CGROUP_LIMIT.read_text()))
    except (OSError, ValueError):  # no cgroup, or "max"
        return total


CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")

# Without tangent rules, a step whose activations stay in a CPU's cache is bound by arithmetic and
# launches, where plain unrolling does a quarter less.
CACHE_BYTES = 24 * 2**20


def choose_form(
    options: TrajectoryOptions, steps: EagerSteps, batch: Batch, *, tangent: bool = False
) -> Form:
    """``options.memory``, with ``auto`` settled by the size of one step's activations.

    Args:
        tangent: whether the constant form would go through the tangent rules, in which it is
            about as quick as the unrolled one on small steps and quicker on large ones.
    """
    if options.memory != "auto":
        return options.memory
    if steps.inputs.device.type == "cuda":
        return "constant"  # captured in graphs, which the unrolled form is not
    if tangent:
        return "constant"
    one = step_bytes(steps, batch)
    fits = one * options.steps < 0.25 * machine_bytes()
    return "unrolled" if one <= CACHE_BYTES and fits else "constant"
