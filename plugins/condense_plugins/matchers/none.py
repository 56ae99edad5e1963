"""No matching: the selection is the result."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Generator

from condense.interfaces import Context, Cost, LabeledData, MatchPlan, MatchStep, SyntheticSet
from condense_plugins._built_in import Instant


class NoMatcher(Instant):
    """Leaves every sample as it was selected; nothing is distilled."""

    name: ClassVar[str] = "none"
    version: ClassVar[str] = "1"

    @property
    def plan(self) -> MatchPlan:
        """No iterations."""
        return MatchPlan(iterations=0)

    def prepare(self, data: LabeledData, context: Context, rng: Generator) -> None:
        """Nothing to prepare."""

    def prepare_cost(self, data: LabeledData, context: Context, rng: Generator) -> Cost:
        """Nothing."""
        return Cost()

    def step(self, synthetic: SyntheticSet, rng: Generator) -> MatchStep:
        """Zero loss and gradient."""
        return MatchStep(torch.zeros(()), torch.zeros_like(synthetic.inputs))
