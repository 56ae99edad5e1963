"""What bars and lines have in common: notes, each said once, and where in the whole it is."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

from condense.engine.runtime.pace import Pace, Parts, Whole
from condense.interfaces import Task

# headers and rows of text
Table = Callable[[], tuple[Sequence[str], Sequence[Sequence[str]]]]


class SilentTask:
    """A bar that is not drawn."""

    def advance(self, n: int = 1, **figures: float) -> None:
        """Nothing happens."""


class Display(ABC):
    """What all that reports has in common.

    Args:
        spell: how messages name options here.
    """

    def __init__(self, spell: Callable[[str], str]) -> None:
        self._spell = spell
        self._noted: set[str] = set()
        self._stage = ""  # what titles of tasks begin with
        self._whole: Whole | None = None
        self._within: Pace | None = None  # the task of the whole that is under way

    @contextmanager
    def stage(self, name: str, number: int, total: int) -> Iterator[None]:
        """Titles of tasks within begin with the stage."""
        self._stage = f"{number}/{total} {name} · "
        try:
            yield
        finally:
            self._stage = ""

    @contextmanager
    def whole(
        self, title: str, total: int, unit: str, expected: Callable[[], Sequence[Parts]]
    ) -> Iterator[Task]:
        """A bar of all there is to do, with the time that it has left; within one, nothing more."""
        if self._whole is not None:
            yield SilentTask()
            return
        with self.task("estimate", 1):
            parts = expected()
        self._whole = Whole(parts, time.monotonic())
        try:
            with self._over_all(title, total, unit, self._whole) as task:
                yield task
        finally:
            self._whole = None

    def note(self, message: str) -> None:
        """Say ``message`` on a line of its own; the runs of a study may well say the same."""
        if message not in self._noted:
            self._noted.add(message)
            self.say(message)

    def say(self, message: str) -> None:
        """Say ``message`` on a line of its own, however often."""
        self._write(self._spell(" ".join(message.split())))

    @contextmanager
    def _timed(self, total: int) -> Iterator[Pace]:
        """The pace of a task that begins here."""
        pace = Pace(total, time.monotonic())
        outermost = self._whole is not None and self._within is None
        if self._whole is not None and outermost:
            self._whole.begin(pace)
            self._within = pace
        try:
            yield pace
        finally:
            if self._whole is not None and outermost:
                self._whole.end()
                self._within = None

    @abstractmethod
    def task(self, title: str, total: int, unit: str = "it") -> AbstractContextManager[Task]:
        """A task of ``total`` units that lives as long as the context."""

    @abstractmethod
    def so_far(self, table: Table, last: Callable[[], str]) -> None:
        """Show what a study has found: as a table where there is room, else the last of it."""

    @abstractmethod
    def _over_all(
        self, title: str, total: int, unit: str, whole: Whole
    ) -> AbstractContextManager[Task]:
        """Draw ``whole``."""

    @abstractmethod
    def _write(self, line: str) -> None:
        """Write ``line``."""
