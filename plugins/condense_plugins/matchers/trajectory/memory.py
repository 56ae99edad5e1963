"""Which form of the meta-gradient to use: a rule on sizes, so that equal runs stay equal."""

from __future__ import annotations

import os
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


def available_bytes(device: torch.device) -> int:
    """Memory that is free on ``device`` now."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


# A step whose activations stay in a CPU's cache is bound by arithmetic and launches, where plain
# unrolling does a quarter less; beyond that, memory traffic rules and constant memory is as quick.
CACHE_BYTES = 24 * 2**20


def choose_form(options: TrajectoryOptions, steps: EagerSteps, batch: Batch) -> Form:
    """``options.memory``, with ``auto`` settled by the size of one step's activations."""
    if options.memory != "auto":
        return options.memory
    if steps.inputs.device.type == "cuda":
        return "constant"  # captured in graphs, which the unrolled form is not
    one = step_bytes(steps, batch)
    fits = one * options.steps < 0.25 * available_bytes(steps.inputs.device)
    return "unrolled" if one <= CACHE_BYTES and fits else "constant"
