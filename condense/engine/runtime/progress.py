"""Where long stages report: nowhere by default, or bars, or lines, as stderr is."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from condense.interfaces import Progress


def make_progress(spell: Callable[[str], str]) -> Progress:
    """Bars if stderr is a terminal or a notebook, else a line now and then.

    Args:
        spell: how messages name options here.
    """
    if not sys.stderr.isatty() and "ipykernel" not in sys.modules:
        from condense.engine.runtime.lines import LineProgress

        return LineProgress(spell)
    from condense.engine.runtime.bars import TerminalProgress

    return TerminalProgress(spell)


class SilentTask:
    """A bar that is not drawn."""

    def advance(self, n: int = 1, **figures: float) -> None:
        """Nothing happens."""


class SilentProgress:
    """Draws no bars and swallows notes; for library use and tests."""

    @contextmanager
    def stage(self, name: str, number: int, total: int) -> Iterator[None]:
        """Nothing is said of it."""
        yield

    @contextmanager
    def task(self, title: str, total: int, unit: str = "it") -> Iterator[SilentTask]:
        """A context whose task is not drawn."""
        yield SilentTask()

    def note(self, message: str) -> None:
        """Nothing happens."""
