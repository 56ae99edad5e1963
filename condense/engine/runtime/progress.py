"""The default :class:`condense.interfaces.Progress`: says nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class SilentTask:
    """A bar that is not drawn."""

    def advance(self, n: int = 1, **figures: float) -> None:
        """Nothing happens."""


class SilentProgress:
    """Draws no bars and swallows notes; for library use and tests."""

    @contextmanager
    def task(self, title: str, total: int, unit: str = "it") -> Iterator[SilentTask]:
        """A context whose task is not drawn."""
        yield SilentTask()

    def note(self, message: str) -> None:
        """Nothing happens."""
