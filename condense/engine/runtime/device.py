"""Which device a run uses, and what it may ask of it."""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path

import torch

from condense.errors import OptionError


def pick_device(name: str | None = None) -> torch.device:
    """The device called ``name``, or the first CUDA device, or the CPU.

    Raises:
        OptionError: if there is no such device here.
    """
    if name in (None, "auto"):
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(str(name))
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError):
        here = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
        raise OptionError(
            f"device '{name}' is not available (available: {', '.join(here)})"
        ) from None
    if device.type == "cuda":
        torch.cuda.set_device(device)  # streams and graphs are made on the present device
    return device


def peak_memory_mb() -> float:
    """Highest resident memory of this process so far, in 2²⁰ bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 if sys.platform != "darwin" else 1024**2)


def available_memory() -> int:
    """Bytes of main memory that may still be taken, here or in this container."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        free = next(int(x.split()[1]) * 1024 for x in lines if x.startswith("MemAvailable"))
    except (OSError, StopIteration, ValueError):
        free = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        return min(free, int(CGROUP_LIMIT.read_text()))
    except (OSError, ValueError):  # no cgroup, or "max"
        return free


CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")
