"""How long stages show on stderr, with options spelt as they are typed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from condense.engine.runtime.progress import make_progress as make
from condense.spelling import on_command_line

if TYPE_CHECKING:
    from condense.interfaces import Progress

EVERY = 30.0  # seconds between two lines on a stderr that is no terminal


def make_progress() -> Progress:
    """Bars if stderr is a terminal, else a line now and then."""
    return make(on_command_line)


class Live:
    """Shows the result so far above the bars; where stderr is no terminal, a line now and then.

    Args:
        progress: that the study reports to.
        headers: of the table.
        total: runs of the study.
    """

    def __init__(self, progress: Any, headers: Sequence[str], total: int) -> None:
        self._progress, self._headers, self._total = progress, headers, total
        self._shown = time.monotonic()

    def __call__(
        self, done: int, rows: Callable[[], Sequence[Sequence[str]]], last: Callable[[], str]
    ) -> None:
        """After ``done`` runs.

        Args:
            done: how many.
            rows: of the table.
            last: what the last run gave, in words.
        """
        if hasattr(self._progress, "above"):
            from rich.table import Table

            table = Table(*self._headers, box=None, pad_edge=False)
            for row in rows():
                table.add_row(*row)
            self._progress.above = table
            return
        # the first and the last are left out: a log wants to know that it goes on
        if 0 < done < self._total and time.monotonic() - self._shown >= EVERY:
            self._shown = time.monotonic()
            self._progress.note(f"{done} of {self._total} runs done; last {last()}")
