"""What the built-in selectors share."""

from __future__ import annotations

from condense.interfaces import Budget, LabeledData, Scores, Selection
from condense.selection import hardest_first, ranked_classes, require

__all__ = ["hardest_first", "require", "take_ranks"]


def take_ranks(
    data: LabeledData, scores: Scores | None, budget: Budget, name: str, *, easiest: bool
) -> Selection:
    """The hardest (or easiest) samples of every class, hardest first, for selector ``name``."""
    return Selection.of_classes(
        [
            ranked[len(ranked) - count :] if easiest else ranked[:count]
            for ranked, count in ranked_classes(data, scores, budget, name)
        ]
    )
