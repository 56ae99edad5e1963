"""Built-in scorers."""

from __future__ import annotations

from collections.abc import Callable

from condense import hookimpl
from condense.interfaces import Scorer
from condense_plugins.scorers.aum import AumScorer
from condense_plugins.scorers.cscore import CScorer
from condense_plugins.scorers.dual import DualScorer
from condense_plugins.scorers.el2n import El2nScorer
from condense_plugins.scorers.entropy import EntropyScorer
from condense_plugins.scorers.file import FileScorer
from condense_plugins.scorers.forgetting import ForgettingScorer
from condense_plugins.scorers.grand import GrandScorer
from condense_plugins.scorers.knn import KnnScorer
from condense_plugins.scorers.loss import LossScorer
from condense_plugins.scorers.random import RandomScorer
from condense_plugins.scorers.tdds import TddsScorer


@hookimpl
def condense_register_scorers(register: Callable[[type[Scorer]], None]) -> None:
    register(AumScorer)
    register(CScorer)
    register(DualScorer)
    register(El2nScorer)
    register(EntropyScorer)
    register(FileScorer)
    register(ForgettingScorer)
    register(GrandScorer)
    register(KnnScorer)
    register(LossScorer)
    register(RandomScorer)
    register(TddsScorer)
