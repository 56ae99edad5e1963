"""Random scores, the baseline any scorer has to beat."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Generator

from condense.interfaces import Context, LabeledData, Scores
from condense.traits import ScorerTraits
from condense_plugins._built_in import Instant


class RandomScorer(Instant):
    """Independent uniform scores."""

    name: ClassVar[str] = "random"
    version: ClassVar[str] = "1"
    traits: ClassVar[ScorerTraits] = ScorerTraits(difficulty=False)

    def score(self, data: LabeledData, context: Context, rng: Generator) -> Scores:
        """float32 [N], uniform in 0–1."""
        return Scores(torch.rand(len(data), generator=rng), "random")
