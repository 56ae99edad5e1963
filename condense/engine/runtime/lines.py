"""Progress where stderr is no terminal: a line now and then, so that a log shows life."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from condense.engine.runtime.notes import Notes

EVERY = 30.0  # seconds between two lines of one task


class _Lines:
    """One task of a :class:`LineProgress`."""

    def __init__(self, write: Callable[[str], None], title: str, total: int, unit: str) -> None:
        self._write = write
        self._title, self._total, self._unit = title, total, unit
        self._done = 0
        self._begun = self._written = time.monotonic()

    def advance(self, n: int = 1, **figures: float) -> None:
        """``n`` more units are done; ``figures`` stand at the end of a line."""
        self._done += n
        now = time.monotonic()
        if now - self._written < EVERY or self._done >= self._total:
            return
        self._written = now
        left = (now - self._begun) / max(self._done, 1) * (self._total - self._done)
        shown = "".join(f", {name} {float(value):.4g}" for name, value in figures.items())
        self._write(
            f"{self._title}: {self._done} of {self._total} {self._unit}, "
            f"{left // 60:.0f}:{left % 60:02.0f} left{shown}"
        )


class LineProgress(Notes):
    """Notes at once, and of every task that lasts a line each :data:`EVERY` seconds.

    Args:
        spell: how messages name options here.
    """

    def __init__(self, spell: Callable[[str], str] = str) -> None:
        super().__init__(spell)

    @contextmanager
    def task(self, title: str, total: int, unit: str = "it") -> Iterator[_Lines]:
        """A task of ``total`` units."""
        yield _Lines(self.say, self._stage + title, total, unit)

    def _write(self, line: str) -> None:
        sys.stderr.write(line + "\n")
        sys.stderr.flush()
