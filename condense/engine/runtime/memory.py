"""How much main memory there is, may still be taken, and was taken at most.

A container's limit counts as the machine's: the memory controller of cgroup v2
(``memory.max``, ``memory.current``) or v1 (``memory.limit_in_bytes``, ``memory.usage_in_bytes``),
of this process's group and of every group around it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROC, CGROUPS = Path("/proc"), Path("/sys/fs/cgroup")
RECLAIMABLE = {"inactive_file", "active_file", "total_inactive_file", "total_active_file"}


@dataclass(frozen=True)
class _Group:
    """One control group: its limit, and what is in use of it (file cache aside), in bytes."""

    limit: int
    used: int


def in_bytes(count: float) -> str:
    """``count`` bytes in the largest unit of which there is one: ``"1.5 GiB"``, ``"320.0 KiB"``."""
    for unit in ("bytes", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.1f} {unit}" if unit != "bytes" else f"{count:.0f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"


def machine_memory() -> int:
    """Bytes of main memory of this machine, or what its container may use of it.

    Not what is free now: that differs from run to run.
    """
    if sys.platform == "win32":
        from condense.engine.runtime.windows import memory_status

        return memory_status()[0]
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min([total, *(group.limit for group in _groups())])


def available_memory() -> int:
    """Bytes of main memory that may still be taken, here or in this container."""
    if sys.platform == "win32":
        from condense.engine.runtime.windows import memory_status

        return memory_status()[1]
    try:
        lines = (PROC / "meminfo").read_text().splitlines()
        free = next(int(x.split()[1]) * 1024 for x in lines if x.startswith("MemAvailable"))
    except (OSError, StopIteration, ValueError):  # not Linux
        free = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return max(0, min([free, *(group.limit - group.used for group in _groups())]))


def peak_memory_mb() -> float:
    """Highest resident memory of this process so far, in 2²⁰ bytes."""
    if sys.platform == "win32":
        from condense.engine.runtime.windows import peak_bytes

        return peak_bytes() / 2**20
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 if sys.platform != "darwin" else 1024**2)


def _groups() -> Iterator[_Group]:
    """The groups with a memory limit that this process is in."""
    try:
        lines = (PROC / "self" / "cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:  # hierarchy:controllers:path, without controllers in v2
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            root, limit, usage = CGROUPS, "memory.max", "memory.current"
        elif "memory" in controllers.split(","):
            root = CGROUPS / "memory"
            limit, usage = "memory.limit_in_bytes", "memory.usage_in_bytes"
        else:
            continue
        own = root / path.lstrip("/")
        for folder in (own, *own.parents):
            if folder.is_relative_to(root):
                yield from _group(folder, limit, usage)


def _group(folder: Path, limit: str, usage: str) -> Iterator[_Group]:
    """The group at ``folder``; nothing where it has no limit or cannot be read."""
    try:
        most = int((folder / limit).read_text())  # "max" where v2 has no limit
        used = int((folder / usage).read_text())
        rows = [line.split() for line in (folder / "memory.stat").read_text().splitlines()]
        # what the kernel keeps of files it gives up as soon as memory is asked for
        figures = {name: int(value) for name, value in rows if name in RECLAIMABLE}
    except (OSError, ValueError):
        return
    total = any(name.startswith("total_") for name in figures)  # v1: with the groups inside
    cache = sum(v for name, v in figures.items() if name.startswith("total_") == total)
    yield _Group(most, max(0, used - cache))
