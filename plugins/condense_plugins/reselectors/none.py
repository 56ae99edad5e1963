"""Leaves the real samples as they are."""

from __future__ import annotations

from typing import ClassVar

from torch import Generator, Tensor

from condense.interfaces import Context, LabeledData, Role, Scores, SyntheticSet
from condense_plugins._built_in import Instant


class NoReselector(Instant):
    """Leaves the real samples as they are, as without a reselector."""

    name: ClassVar[str] = "none"
    version: ClassVar[str] = "1"
    needs_scores: ClassVar[bool] = False

    def complete(
        self,
        synthetic: SyntheticSet,
        data: LabeledData,
        scores: Scores | None,
        context: Context,
        rng: Generator,
    ) -> Tensor:
        """Those that are there."""
        return synthetic.source_index[synthetic.role == Role.REAL]
