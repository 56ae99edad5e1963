"""A budget of time for a long run: where the engine's bars look in, the clock may end it."""

from __future__ import annotations

import contextlib
import math
import signal
import time
from collections.abc import Callable, Iterator, Sequence

from condense.engine.runtime.pace import Parts
from condense.engine.runtime.progress import over_all
from condense.interfaces import Progress, Task

KEEP_SECONDS = 60.0


class Clock:
    """Progress that ends the run at a deadline.

    It sends this process the interrupt of a Ctrl-C: matching then finishes its iteration and saves.

    Args:
        inner: where bars are drawn.
        seconds: until the deadline.
    """

    def __init__(self, inner: Progress, seconds: float) -> None:
        self.inner = inner
        self.deadline = time.monotonic() + seconds
        self.over = False
        self.keeper: Callable[[], None] | None = None  # called every KEEP_SECONDS
        self._kept = time.monotonic()

    @contextlib.contextmanager
    def task(self, title: str, total: int, unit: str = "it") -> Iterator[Task]:
        """A bar of the inner progress that watches the clock."""
        with self.inner.task(title, total, unit) as task:
            yield _Timed(self, task)

    def whole(
        self, title: str, total: int, unit: str, expected: Callable[[], Sequence[Parts]]
    ) -> contextlib.AbstractContextManager[Task]:
        """As the inner progress."""
        return over_all(self.inner, title, total, unit, expected)

    def stage(self, name: str, number: int, total: int) -> contextlib.AbstractContextManager[None]:
        """As the inner progress."""
        return self.inner.stage(name, number, total)

    def note(self, message: str) -> None:
        """As the inner progress."""
        self.inner.note(message)

    def end_before(self, seconds: float) -> None:
        """Interrupt the run now if work of ``seconds`` would not be done by the deadline."""
        if time.monotonic() + seconds > self.deadline:
            self.deadline = -math.inf
            self.look()

    def look(self) -> None:
        """Interrupt the run, once, when its time is over."""
        now = time.monotonic()
        if self.keeper is not None and now - self._kept > KEEP_SECONDS:
            self.keeper()
            self._kept = time.monotonic()
        if now > self.deadline and not self.over:
            self.over = True
            signal.raise_signal(signal.SIGINT)


class _Timed:
    def __init__(self, clock: Clock, task: Task) -> None:
        self.clock = clock
        self.inner = task

    def advance(self, n: int = 1, **figures: float) -> None:
        self.inner.advance(n, **figures)
        self.clock.look()


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Inside, an interrupt ends the body quietly; a shell's background job would ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with contextlib.suppress(KeyboardInterrupt):
            yield
    finally:
        signal.signal(signal.SIGINT, before)
