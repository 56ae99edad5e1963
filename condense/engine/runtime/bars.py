"""Progress on a terminal, by rich; imported only where stderr is one."""

from __future__ import annotations

import io
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.progress import Progress, Task, TaskID
from rich.progress_bar import ProgressBar
from rich.segment import Segment
from rich.table import Column, Table
from rich.text import Text

from condense.engine.runtime.display import Display, Table as Texts
from condense.engine.runtime.pace import Left, Pace, Whole
from condense.figures.formats import seconds as in_words
from condense.interfaces import Task as Advances

DELAY = 1.0  # seconds a task must last before its bar shows
CELL = 100  # columns in a notebook
PICTURE = 0.5  # seconds between two pictures there
NARROWEST, WIDEST = 4, 24  # columns of a bar
ECHO = 2  # columns left for the ^C of a terminal, which would wrap and move the bars by a line
REDRAW = 0.1  # seconds between two updates of a bar, so that a hot loop pays nothing
# Seconds over which speed is measured. rich keeps 1000 updates at most, 100 s of a fast task; a
# slow one, of which a single unit takes minutes, needs the long period to have a speed at all.
WINDOW = 3600.0


class Row:
    """A task of the bars in one line: its title, a bar, and how far it is.

    A row of its own, not one of a table: what one of them has to say makes no other one narrower.
    Where a terminal is, the bar gives way, then the title, and never the time that is left.
    """

    def __init__(self, task: Task) -> None:
        self.task = task

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The line, in the room there is."""
        title, told, fields = Text(self.task.description), self.told(), self.task.fields
        # as wide as it has been, so that no bar twitches when a figure gets shorter
        fields["widest"] = max(fields["widest"], told.cell_len)
        room = options.max_width - ECHO - fields["widest"] - 2
        width = min(WIDEST, max(NARROWEST, room - title.cell_len))
        title.truncate(max(room - width, 1), overflow="ellipsis")
        line = Table.grid(*(Column(no_wrap=True) for _ in range(3)), padding=(0, 1))
        line.add_row(title, self.bar(width), told)
        yield line

    def bar(self, width: int) -> ProgressBar:
        """Its bar; that of the whole by time, not by its units."""
        whole: Whole | None = self.task.fields["whole"]
        total, done = self.task.total or 1.0, self.task.completed
        if whole is not None:
            total, done = 1.0, whole.share(time.monotonic())
        return ProgressBar(total, done, width, animation_time=time.monotonic())

    def told(self) -> Text:
        """``"20/300  3.8 it/s  1:23 left  loss 0.25"``; the time of the whole, where there is one.

        What is not known is left out.
        """
        fields, total = self.task.fields, f"{self.task.total or 0:.0f}"
        parts = [Text(f"{self.task.completed:{len(total)}.0f}/{total}", "progress.download")]
        speed = self.task.speed
        if speed and fields["whole"] is None:  # whose units are of different lengths
            unit = fields["unit"]
            text = f"{speed:.1f} {unit}/s" if speed >= 1 else f"{1 / speed:.1f} s/{unit}"
            parts.append(Text(text, "progress.data.speed"))
        left: Left | None = fields["left"](time.monotonic())
        parts.append(Text("" if left is None else str(left), "progress.remaining"))
        parts.append(Text(fields["figures"]))
        return Text("  ").join(part for part in parts if part)


class Bar:
    """One task of a :class:`TerminalProgress`."""

    def __init__(self, bars: Progress, task_id: TaskID, pace: Pace) -> None:
        self._bars, self._id, self._pace = bars, task_id, pace
        self._drawn = pace.begun

    def advance(self, n: int = 1, **figures: float) -> None:
        """``n`` more units are done; ``figures`` are shown beside the bar."""
        now = time.monotonic()
        self._pace.advance(n, now)
        if now - self._drawn < REDRAW:
            return
        self._drawn = now
        self._bars.update(self._id, completed=self._pace.done)
        if figures:  # else the last ones stay on show
            shown = "  ".join(f"{name} {float(value):.4g}" for name, value in figures.items())
            self._bars.update(self._id, figures=shown)


class _Units:
    """The units of the whole."""

    def __init__(self, bars: Progress, task_id: TaskID, whole: Whole) -> None:
        self._bars, self._id, self._whole = bars, task_id, whole

    def advance(self, n: int = 1, **figures: float) -> None:
        """``n`` more are done."""
        self._whole.advance(n, time.monotonic())
        self._bars.update(self._id, completed=self._whole.done)


class Cell:
    """The text that ``draw`` gives in the output of a notebook's cell, redrawn until it is closed.

    By IPython alone: rich's own bars need ipywidgets there.
    """

    def __init__(self, draw: Callable[[], str]) -> None:
        from IPython.display import display

        self._draw, self._over = draw, threading.Event()
        self._handle: Any = display(self._picture(), raw=True, display_id=True)
        self._thread = threading.Thread(target=self._redraw, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Take it away; an empty text alone would leave an empty line."""
        self._over.set()
        self._thread.join()
        self._handle.update({"text/html": "", "text/plain": ""}, raw=True)

    def _redraw(self) -> None:
        while not self._over.wait(PICTURE):
            self._handle.update(self._picture(), raw=True)

    def _picture(self) -> dict[str, str]:
        return {"text/plain": self._draw()}


class _Top:
    """The first lines of something, so that the bars below it stay on the screen."""

    def __init__(self, shown: RenderableType, most: int) -> None:
        self.shown, self.most = shown, most

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """``most`` lines, the last one "…" where there are more."""
        lines = console.render_lines(self.shown, options.update(height=None), pad=False)
        if len(lines) > self.most:
            lines = [*lines[: max(self.most - 1, 0)], [Segment("…")]]
        for line in lines:
            yield from line
            yield Segment.line()


class _Bars(Progress):
    """rich's bars, with something of ours above them."""

    above: RenderableType | None = None
    _cell: Cell | None = None  # of a notebook

    def get_renderables(self) -> Iterator[RenderableType]:
        rows = [Row(task) for task in self.tasks if task.visible]
        if self.above is not None:
            yield _Top(self.above, self.console.height - len(rows) - 1)
        yield from rows

    def start(self) -> None:
        """Show them; those that are shown stay as they are."""
        if not self.console.is_jupyter:
            super().start()
        elif self._cell is None:
            self._cell = Cell(self._text)

    def _text(self) -> str:
        """As plain text."""
        text = io.StringIO()
        plain = Console(file=text, width=CELL, color_system=None, force_jupyter=False)
        plain.print(self.get_renderable())
        return text.getvalue().rstrip("\n")

    def stop(self) -> None:
        """Take them away, if they are shown."""
        if self._cell is not None:
            self._cell.close()
            self._cell = None
        elif self.live.is_started:
            super().stop()


class TerminalProgress(Display):
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

    def so_far(self, table: Texts, last: Callable[[], str]) -> None:
        """The ``table`` stands above the bars."""
        headers, rows = table()
        self.above = shown = Table(*headers, box=None, pad_edge=False)
        for row in rows:
            shown.add_row(*row)

    @contextmanager
    def stage(self, name: str, number: int, total: int) -> Iterator[None]:
        """Bars within begin with the stage; one that lasts leaves a line when it is done."""
        begun = time.monotonic()
        with super().stage(name, number, total):
            yield
        seconds = time.monotonic() - begun
        if seconds >= self._delay:
            self.say(f"{number}/{total} {name}: {in_words(seconds)}")

    @contextmanager
    def task(self, title: str, total: int, unit: str = "it") -> Iterator[Advances]:
        """A bar of ``total`` units that lives as long as the context."""
        with self._timed(total) as pace:

            def left(now: float) -> Left | None:
                own = pace.left(now) if self._whole is None else None
                return None if own is None else Left(own)

            with self._drawn(self._stage + title, total, unit, left=left) as task_id:
                yield Bar(self._bars, task_id, pace)

    @contextmanager
    def _over_all(self, title: str, total: int, unit: str, whole: Whole) -> Iterator[Advances]:
        title = title or "all stages"
        with self._drawn(title, total, unit, left=whole.left, whole=whole) as task_id:
            yield _Units(self._bars, task_id, whole)

    @contextmanager
    def _drawn(self, title: str, total: int, unit: str, **fields: Any) -> Iterator[TaskID]:
        """A row of the bars, from when it has lasted until the context ends."""
        shown = {"unit": unit, "figures": "", "whole": None, "widest": 0, **fields}
        task_id = self._bars.add_task(title, total=total, visible=False, **shown)
        timer = threading.Timer(self._delay, self._show, [task_id])
        timer.daemon = True
        timer.start()
        try:
            yield task_id
        finally:
            timer.cancel()
            self._hide(task_id)

    def _write(self, line: str) -> None:
        console = self._bars.console
        # no word is broken, as rich would: paths stay whole
        wrap = textwrap.TextWrapper(
            console.width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
        )
        console.print(wrap.fill(line), markup=False, highlight=False, soft_wrap=True)

    def _show(self, task_id: TaskID) -> None:
        with self._lock:
            if task_id in self._bars.task_ids:  # it may have ended while the timer fired
                self._bars.update(task_id, visible=True)
                self._bars.start()

    def _hide(self, task_id: TaskID) -> None:
        with self._lock:
            self._bars.remove_task(task_id)
            shown = any(task.visible for task in self._bars.tasks)
            if not shown:
                self._bars.stop()
