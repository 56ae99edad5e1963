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
    """

    def __init__(self, progress: Any) -> None:
        self._progress, self._shown = progress, time.monotonic()

    def __call__(
        self,
        done: int,
        total: int,
        table: Callable[[], tuple[Sequence[str], Sequence[Sequence[str]]]],
        last: Callable[[], str],
    ) -> None:
        """After ``done`` runs of ``total``.

        Args:
            done, total: runs of the study.
            table: headers and rows of the result so far.
            last: what the last run gave, in words.
        """
        if hasattr(self._progress, "above"):
            from rich.table import Table

            headers, rows = table()
            shown = Table(*headers, box=None, pad_edge=False)
            for row in rows:
                shown.add_row(*row)
            self._progress.above = shown
            return
        # the first and the last are left out: a log wants to know that it goes on
        if 0 < done < total and time.monotonic() - self._shown >= EVERY:
            self._shown = time.monotonic()
            self._progress.note(f"{done} of {total} runs done; last {last()}")


def run_in_words(name: str, seed: int, accuracy: float | None) -> str:
    """What a run gave: ``"selector=random, seed 1: 93.50 %"``."""
    return f"{name}, seed {seed}: " + ("failed" if accuracy is None else f"{100 * accuracy:.2f} %")
