"""The global generators of Python, numpy and torch: seen, and put back as they were."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from functools import partial
from typing import Any


def random_states() -> dict[str, tuple[Any, Callable[[Any], bool]]]:
    """Global random states of what is imported already, each with a function that restores it.

    The functions tell whether there was anything to restore. numpy and torch are not imported for
    this: a plugin that brings them in itself finds nobody before it that could be disturbed.
    """
    states: dict[str, tuple[Any, Callable[[Any], bool]]] = {
        "random": (random.getstate(), partial(_restore_python, modules=len(sys.modules)))
    }
    if "numpy" in sys.modules:
        import numpy as np

        states["numpy"] = (np.random.get_state(legacy=True), _restore_numpy)
    if "torch" in sys.modules:
        import torch

        states["torch"] = (torch.get_rng_state(), _restore_torch)
    return states


def _restore_python(state: Any, modules: int) -> bool:
    now = random.getstate()
    random.setstate(state)
    if now == state:
        return False
    # some libraries (rich, and with it scikit-learn) draw numbers while they are imported
    return len(sys.modules) == modules or not _reached_by_drawing(state, now)


def _reached_by_drawing(state: Any, now: Any, most: int = 4096) -> bool:
    """Whether ``now`` lies at most ``most`` words after ``state``; after a new seed it does not."""
    replay = random.Random()
    replay.setstate(state)
    for _ in range(most):
        replay.getrandbits(32)
        if replay.getstate() == now:
            return True
    return False


def _restore_numpy(state: Any) -> bool:
    import numpy as np

    now: Any = np.random.get_state(legacy=True)
    changed = any(not np.array_equal(a, b) for a, b in zip(now, state, strict=True))
    np.random.set_state(state)
    return changed


def _restore_torch(state: Any) -> bool:
    import torch

    changed = not torch.equal(torch.get_rng_state(), state)
    torch.set_rng_state(state)
    return changed


class GlobalRandomness:
    """The global random states of Python, numpy and torch (CPU) at the time it was made."""

    def __init__(self) -> None:
        import numpy  # noqa: F401 - so that all three are looked at
        import torch  # noqa: F401

        self._states = random_states()

    def restore(self) -> list[str]:
        """Put them back as they were; returns the names of those that had changed."""
        return [name for name, (state, restore) in self._states.items() if restore(state)]
