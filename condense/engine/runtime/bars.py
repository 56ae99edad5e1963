"""Progress on a terminal, by rich; imported only where stderr is one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from condense.engine.runtime.notes import Notes

DELAY = 1.0  # seconds a task must last before its bar shows
REDRAW = 0.1  # seconds between two updates of a bar, so that a hot loop pays nothing
# Seconds over which speed is measured. rich keeps 1000 updates at most, 100 s of a fast task; a
# slow one, of which a single unit takes minutes, needs the long period to have a speed at all.
WINDOW = 3600.0


class SpeedColumn(ProgressColumn):
    """``"12.3 it/s"`` or ``"2.1 s/it"``; nothing while it is unknown."""

    def render(self, task: Task) -> Text:
        """The speed that rich has measured, by the unit of the task."""
        speed, unit = task.speed, task.fields["unit"]
        if not speed:
            return Text()
        return Text(f"{speed:.1f} {unit}/s" if speed >= 1 else f"{1 / speed:.1f} s/{unit}")


class Bar:
    """One task of a :class:`TerminalProgress`."""

    def __init__(self, bars: Progress, task_id: TaskID) -> None:
        self._bars, self._id = bars, task_id
        self._done = 0
        self._drawn = time.monotonic()

    def advance(self, n: int = 1, **figures: float) -> None:
        """``n`` more units are done; ``figures`` are shown beside the bar."""
        self._done += n
        now = time.monotonic()
        if now - self._drawn < REDRAW:
            return
        self._drawn = now
        self._bars.update(self._id, completed=self._done)
        if figures:  # else the last ones stay on show
            shown = "  ".join(f"{name} {float(value):.4g}" for name, value in figures.items())
            self._bars.update(self._id, figures=shown)


class _Bars(Progress):
    """rich's bars, with something of ours above them."""

    above: RenderableType | None = None

    def get_renderables(self) -> Iterator[RenderableType]:
        if self.above is not None:
            yield self.above
        yield from super().get_renderables()


class TerminalProgress(Notes):
    """Bars by rich; each appears once its task has lasted ``delay`` seconds.

    Args:
        spell: how messages name options here.
        console: None makes one on stderr.
        delay: seconds a task must last to be shown.
    """

    def __init__(
        self,
        spell: Callable[[str], str] = str,
        console: Console | None = None,
        delay: float = DELAY,
    ) -> None:
        super().__init__(spell)
        self._delay = delay
        self._lock = threading.Lock()
        self._bars = _Bars(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            SpeedColumn(),
            TimeRemainingColumn(compact=True),
            TextColumn("left"),
            TextColumn("{task.fields[figures]}", markup=False),
            console=console or Console(stderr=True),
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            speed_estimate_period=WINDOW,
        )

    @property
    def above(self) -> RenderableType | None:
        """What is shown over the bars, such as a table of results so far."""
        return self._bars.above

    @above.setter
    def above(self, shown: RenderableType | None) -> None:
        self._bars.above = shown

    @contextmanager
    def stage(self, name: str, number: int, total: int) -> Iterator[None]:
        """Bars within begin with the stage; one that lasts leaves a line when it is done."""
        begun = time.monotonic()
        with super().stage(name, number, total):
            yield
        seconds = time.monotonic() - begun
        if seconds >= self._delay:
            self.say(f"{number}/{total} {name}: {seconds:.1f} s")

    @contextmanager
    def task(self, title: str, total: int, unit: str = "it") -> Iterator[Bar]:
        """A bar of ``total`` units that lives as long as the context."""
        title = self._stage + title
        task_id = self._bars.add_task(title, total=total, visible=False, unit=unit, figures="")
        timer = threading.Timer(self._delay, self._show, [task_id])
        timer.daemon = True
        timer.start()
        try:
            yield Bar(self._bars, task_id)
        finally:
            timer.cancel()
            self._hide(task_id)

    def _write(self, line: str) -> None:
        self._bars.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def _show(self, task_id: TaskID) -> None:
        with self._lock:
            if task_id in self._bars.task_ids:  # it may have ended while the timer fired
                self._bars.update(task_id, visible=True)
                self._bars.start()

    def _hide(self, task_id: TaskID) -> None:
        with self._lock:
            self._bars.remove_task(task_id)
            shown = any(task.visible for task in self._bars.tasks)
            if self._bars.live.is_started and not shown:
                self._bars.stop()
