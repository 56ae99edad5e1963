"""Keeping an eye on a plugin while it loads: a slow one is named, one that hangs is given up."""

from __future__ import annotations

import contextlib
import io
import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

from condense.errors import BrokenPlugin
from condense.randomness import random_states

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
    before = random_states()
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
