"""How long stages show on stderr, with options spelt as they are typed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from condense.engine.runtime.progress import make_progress as make
from condense.spelling import on_command_line

if TYPE_CHECKING:
    from condense.engine.runtime.display import Display


def make_progress() -> Display:
    """Bars if stderr is a terminal, else a line now and then."""
    return make(on_command_line)


def run_in_words(name: str, seed: int, accuracy: float | None) -> str:
    """The last run of a study: ``"last selector=random, seed 1: 93.50 %"``."""
    figure = "failed" if accuracy is None else f"{100 * accuracy:.2f} %"
    return f"last {name}, seed {seed}: {figure}"
