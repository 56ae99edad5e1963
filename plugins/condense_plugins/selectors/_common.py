"""What the built-in selectors share."""

from __future__ import annotations

import torch
from torch import Tensor

from condense.errors import OptionError
from condense.interfaces import Budget, LabeledData, Scores, Selection


def hardest_first(values: Tensor, members: Tensor) -> Tensor:
    """``members`` (int64 [n]) by falling ``values[members]``; ties keep the data's order."""
    return members[torch.argsort(values[members], descending=True, stable=True)]


def require(scores: Scores | None, name: str) -> Scores:
    """``scores``, which selector ``name`` cannot do without.

    Raises:
        OptionError: if there are none.
    """
    if scores is None:
        raise OptionError(f"selector '{name}' needs scores; set a scorer with -o scorer=NAME")
    return scores


def take_ranks(data: LabeledData, scores: Scores, budget: Budget, easiest: bool) -> Selection:
    """The hardest (or easiest) samples of every class, hardest first."""
    chosen = []
    for label, count in enumerate(budget.counts(data)):
        ranked = hardest_first(scores.values, data.class_indices(label))
        chosen.append(ranked[len(ranked) - count :] if easiest else ranked[:count])
    return Selection.of_classes(chosen)
