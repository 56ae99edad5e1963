"""Built-in scorers."""

from __future__ import annotations

from collections.abc import Callable

from condense import hookimpl
from condense.interfaces import Scorer
from condense_plugins.scorers.cscore import CScorer
from condense_plugins.scorers.el2n import El2nScorer
from condense_plugins.scorers.file import FileScorer
from condense_plugins.scorers.forgetting import ForgettingScorer
from condense_plugins.scorers.random import RandomScorer


@hookimpl
def condense_register_scorers(register: Callable[[type[Scorer]], None]) -> None:
    register(CScorer)
    register(El2nScorer)
    register(FileScorer)
    register(ForgettingScorer)
    register(RandomScorer)
