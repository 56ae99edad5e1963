"""Keeping an eye on a plugin while it loads: a slow one is named, one that reseeds is refused."""

from __future__ import annotations

import contextlib
import io
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

from condense.errors import BrokenPlugin
from condense.randomness import GlobalRandomness

Report = Callable[[str], None]

SLOW_SECONDS = 5.0  # after which a loading plugin is named


@contextlib.contextmanager
def contained() -> Iterator[list[BaseException]]:
    """Whatever code inside raises lands in the yielded list, a KeyboardInterrupt of its own too.

    What a real signal raises (Ctrl-C) goes on, also where that code swallows it or raises something
    else instead; a second signal then ends the process.
    """
    caught: list[BaseException] = []
    with _signals() as raised:
        try:
            yield caught
        except BaseException as error:  # noqa: BLE001 – a stranger's code
            caught.append(error)
    if raised:
        raise raised[0]


@contextlib.contextmanager
def _signals() -> Iterator[list[BaseException]]:
    """What the handlers of SIGINT and SIGTERM raise inside; they are put back at the end."""
    raised: list[BaseException] = []
    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        before = {number: handler for number, handler in handlers.items() if callable(handler)}

    def note(number: int, frame: FrameType | None) -> None:
        if raised:  # it swallowed the first
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        try:
            before[number](number, frame)
        except BaseException as error:
            raised.append(error)
            raise

    for number in before:
        signal.signal(number, note)
    try:
        yield raised
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def watched(label: str, report: Report | None) -> Iterator[None]:
    """Load a plugin inside: what it prints is kept off stdout, and it is named if it takes long.

    One that never finishes is named as well, but cannot be isolated: whoever starts the command
    leaves it out.

    Args:
        label: plugin and package, for messages.
        report: gets one line after :data:`SLOW_SECONDS`; None says nothing.

    Raises:
        BrokenPlugin: if the global randomness of numpy or torch was changed. That and Python's own
            are put back in any case.
    """
    randomness = GlobalRandomness()
    printed = io.StringIO()
    try:
        with _slow_note(label, report), contextlib.redirect_stdout(printed):
            yield
    finally:
        changed = randomness.restore()
    if printed.getvalue() and report is not None:
        first = printed.getvalue().strip().partition("\n")[0][:80]
        report(f"note: plugin {label} printed {first!r} while loading; kept off stdout")
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
