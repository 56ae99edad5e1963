"""Random scores, the baseline any scorer has to beat."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Generator

from condense import hookimpl
from condense.interfaces import Context, LabeledData, Scorer, Scores
from condense.options import Options as BaseOptions
from condense.traits import ScorerTraits


class RandomScorer:
    """Independent uniform scores."""

    name: ClassVar[str] = "random"
    version: ClassVar[str] = "1"
    traits: ClassVar[ScorerTraits] = ScorerTraits(difficulty=False)

    class Options(BaseOptions):
        pass

    def __init__(self, options: Options) -> None:
        self.options = options

    def score(self, data: LabeledData, context: Context, rng: Generator) -> Scores:
        """float32 [N], uniform in 0–1."""
        return Scores(torch.rand(len(data), generator=rng), "random")


@hookimpl
def condense_register_scorers(register: Callable[[type[Scorer]], None]) -> None:
    register(RandomScorer)
