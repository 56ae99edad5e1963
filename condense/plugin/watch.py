"""Keeping an eye on a plugin while it loads: a slow one is named, one that hangs is given up."""

from __future__ import annotations

import contextlib
import io
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from types import FrameType
from typing import Any

from condense.errors import BrokenPlugin

Report = Callable[[str], None]

SLOW_SECONDS = 5.0  # after which a loading plugin is named
HANG_SECONDS = 30.0  # after which it is given up, where a signal can reach it


@contextlib.contextmanager
def watched(label: str, report: Report | None) -> Iterator[None]:
    """Load a plugin inside: what it prints is kept off stdout, and it is named if it takes long.

    Args:
        label: plugin and package, for messages.
        report: gets one line after :data:`SLOW_SECONDS`; None says nothing.

    Raises:
        BrokenPlugin: after :data:`HANG_SECONDS`, in the main thread of a POSIX system (a signal
            interrupts it there; elsewhere it can only be named); or if global randomness was
            reseeded, which is put back first.
    """
    before = _random_states()
    printed = io.StringIO()
    with _slow_note(label, report), _hang_guard(label), contextlib.redirect_stdout(printed):
        yield
    if printed.getvalue() and report is not None:
        first = printed.getvalue().strip().partition("\n")[0][:80]
        report(f"note: plugin {label} printed {first!r} while loading; kept off stdout")
    changed = [name for name, (state, restore) in before.items() if restore(state)]
    if changed:
        raise BrokenPlugin(
            f"reseeded the global randomness of {', '.join(changed)} while loading, which every "
            "other component would have felt; draw from the rng a component is given"
        )


@contextlib.contextmanager
def _slow_note(label: str, report: Report | None) -> Iterator[None]:
    """Call ``report`` once if the body lasts longer than :data:`SLOW_SECONDS`."""
    if report is None:
        yield
        return
    line = (
        f"warning: plugin {label} is still loading after {SLOW_SECONDS:g} s; leave it out with "
        "CONDENSE_PLUGINS (empty = no third-party plugin, a,b = only those)"
    )
    timer = threading.Timer(SLOW_SECONDS, report, [line])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


@contextlib.contextmanager
def _hang_guard(label: str) -> Iterator[None]:
    """Raise in the body once it has lasted :data:`HANG_SECONDS`."""
    main = threading.main_thread()
    if threading.current_thread() is not main or not hasattr(signal, "pthread_kill"):
        yield
        return
    start = time.monotonic()

    def give_up(number: int, frame: FrameType | None) -> None:
        if time.monotonic() - start < HANG_SECONDS and callable(before):
            before(number, frame)  # somebody else's alarm
            return
        raise BrokenPlugin(
            f"did not finish loading within {HANG_SECONDS:g} s and was given up; "
            "see what its module does on import"
        )

    # a signal of our own making and no timer: somebody else's alarm stays as it is set
    before: Any = signal.signal(signal.SIGALRM, give_up)
    timer = threading.Timer(HANG_SECONDS, signal.pthread_kill, [main.ident, signal.SIGALRM])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        signal.signal(signal.SIGALRM, before)


def _random_states() -> dict[str, tuple[Any, Callable[[Any], bool]]]:
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

        self._states = _random_states()

    def restore(self) -> list[str]:
        """Put them back as they were; returns the names of those that had changed."""
        return [name for name, (state, restore) in self._states.items() if restore(state)]
