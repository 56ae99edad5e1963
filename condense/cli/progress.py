"""How long stages show on stderr: bars on a terminal, nothing elsewhere; notes always."""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from condense.engine.runtime.progress import SilentProgress

if TYPE_CHECKING:
    from condense.interfaces import Progress

DELAY = 1.0  # seconds a task must last before its bar shows
REDRAW = 0.1  # seconds between two updates of a bar, so that a hot loop pays nothing
WINDOW = 30.0  # seconds over which the rate is measured


def make_progress() -> Progress:
    """Bars if stderr is a terminal, else only notes."""
    return TerminalProgress() if sys.stderr.isatty() else QuietProgress()


class QuietProgress(SilentProgress):
    """No bars; notes as lines on stderr."""

    def note(self, message: str) -> None:
        """Print ``message`` on a line of its own."""
        click.echo(" ".join(message.split()), err=True)


class Pace:
    """How fast a task goes, over the last :data:`WINDOW` seconds.

    Args:
        total: units to do.
        now: start, in seconds of a monotonic clock.
    """

    def __init__(self, total: int, now: float) -> None:
        self.total = total
        self.done = 0
        self._samples: deque[tuple[float, int]] = deque([(now, 0)])

    def advance(self, n: int, now: float) -> None:
        """``n`` more units are done at time ``now``."""
        if self.done == 0 and n > 1:  # a resumed task jumps ahead; that is not its pace
            self._samples.clear()
        self.done += n
        if len(self._samples) < 2 or now - self._samples[-2][0] >= REDRAW:
            self._samples.append((now, self.done))
        else:
            self._samples[-1] = (now, self.done)
        while len(self._samples) > 2 and now - self._samples[0][0] > WINDOW:
            self._samples.popleft()

    @property
    def rate(self) -> float:
        """Units a second; 0 while unknown."""
        (start, before), (end, after) = self._samples[0], self._samples[-1]
        return (after - before) / (end - start) if end > start else 0.0

    def text(self, unit: str) -> str:
        """``"12.3 it/s, 0:41 left"`` or ``"2.1 s/it, 3:05 left"``."""
        if not self.rate:
            return ""
        speed = f"{self.rate:.1f} {unit}/s" if self.rate >= 1 else f"{1 / self.rate:.1f} s/{unit}"
        minutes, rest = divmod(round(max(0, self.total - self.done) / self.rate), 60)
        hours, minutes = divmod(minutes, 60)
        clock = f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
        return f"{speed}, {clock} left"


class Bar:
    """One task of a :class:`TerminalProgress`."""

    def __init__(self, bars: Any, task_id: int, total: int, unit: str) -> None:
        self._bars, self._id, self._unit = bars, task_id, unit
        self._drawn = time.monotonic()
        self._pace = Pace(total, self._drawn)

    def advance(self, n: int = 1, **figures: float) -> None:
        """``n`` more units are done; ``figures`` are shown beside the bar."""
        now = time.monotonic()
        self._pace.advance(n, now)
        if now - self._drawn < REDRAW:
            return
        self._drawn = now
        shown = "  ".join(f"{name} {float(value):.4g}" for name, value in figures.items())
        # no figures this time: keep the last ones on show
        extra = {"figures": shown} if shown else {}
        done = self._pace.done
        self._bars.update(self._id, completed=done, pace=self._pace.text(self._unit), **extra)


class TerminalProgress:
    """Bars by rich; each appears once its task has lasted :data:`DELAY` seconds.

    Args:
        console: a rich console; None makes one on stderr.
        delay: seconds a task must last to be shown.

    Attributes:
        above: a rich renderable shown over the bars, such as a table of results so far.
    """

    def __init__(self, console: Any = None, delay: float = DELAY) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        self._delay = delay
        self._lock = threading.Lock()
        self._live: set[int] = set()
        self._shown: set[int] = set()
        self.above: Any = None

        class Bars(Progress):
            def get_renderables(bars) -> Iterator[Any]:
                if self.above is not None:
                    yield self.above
                yield from super().get_renderables()

        self._bars = Bars(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[pace]}", markup=False),
            TextColumn("{task.fields[figures]}", markup=False),
            console=console or Console(stderr=True),
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    @contextmanager
    def task(self, title: str, total: int, unit: str = "it") -> Iterator[Bar]:
        """A bar of ``total`` units that lives as long as the context."""
        task_id = self._bars.add_task(title, total=total, visible=False, pace="", figures="")
        self._live.add(task_id)
        timer = threading.Timer(self._delay, self._show, [task_id])
        timer.daemon = True
        timer.start()
        try:
            yield Bar(self._bars, task_id, total, unit)
        finally:
            timer.cancel()
            self._hide(task_id)

    def note(self, message: str) -> None:
        """Print ``message`` on a line of its own, above the bars."""
        line = " ".join(message.split())
        self._bars.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def _show(self, task_id: Any) -> None:
        with self._lock:
            if task_id in self._live:  # it may have ended while the timer fired
                self._bars.update(task_id, visible=True)
                self._shown.add(task_id)
                self._bars.start()

    def _hide(self, task_id: Any) -> None:
        with self._lock:
            self._live.discard(task_id)
            self._shown.discard(task_id)
            self._bars.remove_task(task_id)
            if not self._shown and self._bars.live.is_started:
                self._bars.stop()
