"""Progress where stderr is no terminal: a line now and then, so that a log shows life."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from condense.engine.runtime.display import Display, Table
from condense.engine.runtime.pace import Left, Pace, Whole
from condense.interfaces import Task

EVERY = 30.0  # seconds between two lines


class _Line:
    """One task of a :class:`LineProgress`.

    Args:
        title, unit: of the task.
        pace: of the task.
        tell: writes the line at a time, of a task, with figures at its end.
    """

    def __init__(
        self, title: str, unit: str, pace: Pace, tell: Callable[[float, _Line, str], None]
    ) -> None:
        self.title, self.unit, self.pace = title, unit, pace
        self._tell = tell

    def advance(self, n: int = 1, **figures: float) -> None:
        """``n`` more units are done; ``figures`` stand at the end of a line."""
        now = time.monotonic()
        self.pace.advance(n, now)
        if self.pace.done < self.pace.total:
            self._tell(now, self, "".join(f", {k} {float(v):.4g}" for k, v in figures.items()))


class _Units:
    """The units of the whole."""

    def __init__(self, title: str, total: int, whole: Whole) -> None:
        self.title, self.total, self.whole = title, total, whole

    def advance(self, n: int = 1, **figures: float) -> None:
        """``n`` more are done."""
        self.whole.advance(n, time.monotonic())

    @property
    def place(self) -> str:
        """What lines begin with."""
        return f"{self.title} {self.whole.done + 1}/{self.total} · " if self.title else ""


class LineProgress(Display):
    """Notes at once, and while a task is under way a line each :data:`EVERY` seconds, with
    the last that a study has found at its end.

    Args:
        spell: how messages name options here.
    """

    def __init__(self, spell: Callable[[str], str] = str) -> None:
        super().__init__(spell)
        self._written: float | None = None  # when the last line was, or the first task began
        self._units: _Units | None = None
        self._last: Callable[[], str] | None = None  # what no line has said yet of a study

    @contextmanager
    def task(self, title: str, total: int, unit: str = "it") -> Iterator[Task]:
        """A task of ``total`` units."""
        place = self._units.place if self._units is not None else ""
        with self._timed(total) as pace:
            if self._written is None:
                self._written = pace.begun
            yield _Line(place + self._stage + title, unit, pace, self._tell)

    def so_far(self, table: Table, last: Callable[[], str]) -> None:
        """The next line says the ``last`` of what a study has found."""
        self._last = last

    def _tell(self, now: float, line: _Line, figures: str) -> None:
        if self._written is not None and now - self._written < EVERY:
            return
        self._written = now
        pace, left = line.pace, ""
        if self._whole is not None:
            over_all = self._whole.left(now)
            left = "" if over_all is None else f", {over_all} in all"
        else:
            own = pace.left(now)
            left = "" if own is None else f", {Left(own)}"
        found, self._last = "" if self._last is None else f"; {self._last()}", None
        self.say(f"{line.title}: {line.unit} {pace.done} of {pace.total}{left}{figures}{found}")

    @contextmanager
    def _over_all(self, title: str, total: int, unit: str, whole: Whole) -> Iterator[Task]:
        self._units = units = _Units(title, total, whole)
        try:
            yield units
        finally:
            self._units = None

    def _write(self, line: str) -> None:
        sys.stderr.write(line + "\n")
        sys.stderr.flush()
