"""What bars and lines have in common: notes, each said once, and the stage that it is at."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Notes(ABC):
    """What all that reports has in common.

    Args:
        spell: how messages name options here.
    """

    def __init__(self, spell: Callable[[str], str]) -> None:
        self._spell = spell
        self._noted: set[str] = set()
        self._stage = ""  # what titles of tasks begin with

    @contextmanager
    def stage(self, name: str, number: int, total: int) -> Iterator[None]:
        """Titles of tasks within begin with the stage."""
        self._stage = f"{number}/{total} {name} · "
        try:
            yield
        finally:
            self._stage = ""

    def note(self, message: str) -> None:
        """Say ``message`` on a line of its own; the runs of a study may well say the same."""
        if message not in self._noted:
            self._noted.add(message)
            self.say(message)

    def say(self, message: str) -> None:
        """Say ``message`` on a line of its own, however often."""
        self._write(self._spell(" ".join(message.split())))

    @abstractmethod
    def _write(self, line: str) -> None:
        """Write ``line``."""
