"""Which device a run uses, and what it may ask of it."""

from __future__ import annotations

import resource
import sys

import torch

from condense.errors import OptionError


def pick_device(name: str | None = None) -> torch.device:
    """The device called ``name``, or the first CUDA device, or the CPU.

    Raises:
        OptionError: if there is no such device here.
    """
    if name in (None, "", "auto"):
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(str(name))
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError):
        here = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
        raise OptionError(
            f"device '{name}' is not available (available: {', '.join(here)})"
        ) from None
    return device


def peak_memory_mb() -> float:
    """Highest resident memory of this process so far, in 2²⁰ bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 if sys.platform != "darwin" else 1024**2)
