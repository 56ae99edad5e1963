"""``torchrun --nproc-per-node R -m condense run``: one command in R processes.

Imports nothing that is heavy, as every command asks whether it was started so.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from condense.engine.matching.ranks import Team


@dataclass(frozen=True)
class Launch:
    """How torchrun started this process: which of how many, and which of those on this machine."""

    rank: int
    size: int
    local: int


def launch() -> Launch | None:
    """What torchrun said; None where it did not start this process."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return None
    return Launch(*(int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK")))


def set_threads() -> None:
    """``$OMP_NUM_THREADS`` threads, else one: results depend on it, and torchrun itself sets it
    only where it starts several ranks."""
    import torch

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS") or 1))


def die_with_the_parent(number: int) -> None:
    """Whoever started this process may be killed, and nobody would end it then; by a signal."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, number)  # PR_SET_PDEATHSIG


@cache
def team() -> Team | None:
    """The other ranks, waited for at the first call; None where there is none."""
    found = launch()
    if found is None or found.size == 1:
        return None
    from condense.engine.matching.ranks import Team

    return Team(found.rank, found.size)


def dismissed() -> None:
    """Let the other ranks go, at the end of a command that went well.

    After one that failed torchrun ends them.
    """
    others = team()
    if others is not None:
        others.end()
