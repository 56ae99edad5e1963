"""Selectors that take one end of each class's ranking."""

from __future__ import annotations

from typing import ClassVar

from torch import Generator, Tensor

from condense.interfaces import Budget, Context, LabeledData, Scores, Selection
from condense.selection import ranked_classes
from condense_plugins._built_in import Instant


class TakesAnEnd(Instant):
    """Takes the samples at one end of each class's ranking, listed hardest first."""

    name: ClassVar[str]
    needs_scores: ClassVar[bool] = True

    def select(
        self,
        data: LabeledData,
        scores: Scores | None,
        budget: Budget,
        context: Context,
        rng: Generator,
    ) -> Selection:
        """The ``count`` samples of every class at the end; ties keep the data's order."""
        classes = ranked_classes(data, scores, budget, self.name)
        return Selection.of_classes([self.end(ranked, count) for ranked, count in classes])

    def end(self, ranked: Tensor, count: int) -> Tensor:
        """``count`` of a class's samples ``ranked`` (int64 [n]), hardest first."""
        raise NotImplementedError
