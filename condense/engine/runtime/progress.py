"""Where long stages report: nowhere by default, or bars, or lines, as stderr is."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING

from condense.engine.runtime.display import Display, SilentTask as SilentTask
from condense.services import ShowsWhole

if TYPE_CHECKING:
    from condense.engine.runtime.pace import Parts
    from condense.interfaces import Progress, Task


def make_progress(spell: Callable[[str], str]) -> Display:
    """Bars if stderr is a terminal or a notebook, else a line now and then.

    Args:
        spell: how messages name options here.
    """
    if not sys.stderr.isatty() and "ipykernel" not in sys.modules:
        from condense.engine.runtime.lines import LineProgress

        return LineProgress(spell)
    from condense.engine.runtime.bars import TerminalProgress

    return TerminalProgress(spell)


def over_all(
    progress: Progress,
    title: str,
    total: int,
    unit: str,
    expected: Callable[[], Sequence[Parts]],
) -> AbstractContextManager[Task]:
    """A bar of all there is to do, with the time left where ``progress`` shows that.

    Args:
        title, total, unit, expected: as for :meth:`condense.services.ShowsWhole.whole`.
    """
    if isinstance(progress, ShowsWhole):
        return progress.whole(title, total, unit, expected)
    return progress.task(title or "run", total, unit)


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
