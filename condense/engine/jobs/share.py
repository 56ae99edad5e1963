"""How much of a GPU a job takes, from what a few steps of its stage take there."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import torch

from condense.engine.stages.stage import Stage
from condense.engine.training.concurrent import MAX_ON_GPU
from condense.interfaces import Cost

CUDA = 2**29  # bytes that CUDA takes for itself in every process
FILLED = 0.9  # of a GPU's memory, at most

# makes an estimate, and says how many bytes of the GPU that took at most
Peak = Callable[[Stage[Any]], tuple[Cost | None, int]]


def share(need: int, total: int) -> float:
    """Such that as many jobs as have room share a GPU, at most as many as train side by side.

    Args:
        need: bytes of one job.
        total: bytes of the GPU.

    Returns:
        one over their number, in steps of 0.0001, as Ray counts.
    """
    count = max(1, min(MAX_ON_GPU, int(FILLED * total) // (need + CUDA)))
    return int(10_000 / count) / 10_000


def gpu_memory(device: torch.device) -> int:
    """Bytes of the GPU."""
    return int(torch.cuda.get_device_properties(device).total_memory)


def timed_on_gpu(stage: Stage[Any]) -> tuple[Cost | None, int]:
    """The estimate of ``stage``, and what its timed steps took of the GPU."""
    device = stage.bound.device
    torch.cuda.reset_peak_memory_stats(device)
    cost = stage.cost()
    return cost, torch.cuda.max_memory_allocated(device)


class Shares:
    """Shares of jobs, those of equal stages estimated once.

    Args:
        total: bytes of a GPU.
        peak: how an estimate is made.
    """

    def __init__(self, total: int, peak: Peak = timed_on_gpu) -> None:
        self._total, self._peak = total, peak
        self._known: dict[str, float] = {}

    def of(self, stage: Stage[Any]) -> float:
        """Of a job of ``stage``; a whole GPU where the component makes no estimate.

        By the kind of stage, not its name: the arms of a run have one estimate in common, so that
        only the first of them has anything measured.
        """
        bound = stage.bound
        likeness = [bound.component_key(stage.component), bound.data.fingerprint, stage.samples]
        key = json.dumps([type(stage).__name__, *likeness], sort_keys=True)
        if key not in self._known:
            cost, taken = self._peak(stage)
            inputs = bound.data.inputs  # which a few steps do not take to the GPU as a whole
            need = taken + inputs.numel() * inputs.element_size()
            self._known[key] = 1.0 if cost is None else share(need + cost.memory, self._total)
        return self._known[key]
