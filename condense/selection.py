"""The samples of each class in order of difficulty, which is what most selectors start from."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from condense.errors import OptionError
from condense.interfaces import Budget, LabeledData, Scores


def hardest_first(values: Tensor, members: Tensor) -> Tensor:
    """``members`` (int64 [n]) by falling ``values[members]``; ties keep the data's order."""
    return members[torch.argsort(values[members], descending=True, stable=True)]


def require(scores: Scores | None, name: str) -> Scores:
    """``scores``, which selector ``name`` cannot do without.

    Raises:
        OptionError: if there are none.
    """
    if scores is None:
        raise OptionError(f"selector '{name}' needs scores; set a scorer with `scorer=NAME`")
    return scores


def companion(scores: Scores, figure: str, name: str, given_by: str) -> Tensor:
    """float [N], the companion ``figure`` of ``scores``, which selector ``name`` cannot do without.

    Args:
        given_by: scorers that give it, for the message.

    Raises:
        OptionError: if the scores have none.
    """
    found = scores.companions.get(figure)
    if found is None:
        raise OptionError(
            f"selector '{name}' needs the companion '{figure}' of the scores, which "
            f"{scores.estimator} has not; set a scorer that gives it with `scorer=NAME`: {given_by}"
        )
    return found


def ranked_classes(
    data: LabeledData, scores: Scores | None, budget: Budget, name: str
) -> Iterator[tuple[Tensor, int]]:
    """For class 0, 1, …: its samples hardest first, and how many of them to keep.

    Args:
        data: N samples.
        scores: float [N], higher = harder.
        budget: what to keep.
        name: of the selector, for the message.

    Yields:
        int64 [n] positions in ``data``, ties in the data's order; and a count of at most n.

    Raises:
        OptionError: without scores.
        DataError: for a class that is too small, naming it.
    """
    values = require(scores, name).values
    for label, count in enumerate(budget.counts(data)):
        yield hardest_first(values, data.class_indices(label)), count
