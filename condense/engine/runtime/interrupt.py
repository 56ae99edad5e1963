"""Ctrl-C, and SIGTERM as batch systems send it: between two iterations, with a checkpoint."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType

SIGNALS = (signal.SIGINT,) if sys.platform == "win32" else (signal.SIGINT, signal.SIGTERM)


class Terminated(KeyboardInterrupt):
    """The process was asked to end by SIGTERM; whatever minds Ctrl-C minds it as well."""


@contextlib.contextmanager
def terminable() -> Iterator[None]:
    """Inside, SIGTERM raises :class:`Terminated`, unless someone else has a use for it."""
    ours = signal.SIGTERM in SIGNALS and threading.current_thread() is threading.main_thread()
    if not ours or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return

    def end(number: int, frame: FrameType | None) -> None:
        raise Terminated

    signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextlib.contextmanager
def deferred_interrupt() -> Iterator[Callable[[], bool]]:
    """Inside, the first Ctrl-C or SIGTERM is only noted; the yielded function tells if one came.

    The body looks at it where its state is whole, saves, and raises KeyboardInterrupt itself; the
    signal then does what it would have done at once. A second one interrupts at once. Signals that
    are ignored stay so. Outside the main thread nothing is changed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    noted: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        noted.append(number)
        if len(noted) > 1:
            raise KeyboardInterrupt

    before = {number: signal.getsignal(number) for number in SIGNALS}
    taken = [n for n, handler in before.items() if handler not in (signal.SIG_IGN, None)]
    for number in taken:
        signal.signal(number, note)
    try:
        try:
            yield lambda: bool(noted)
        finally:
            for number in taken:
                signal.signal(number, before[number])
    except KeyboardInterrupt:
        if noted:
            signal.raise_signal(noted[-1])
        raise
