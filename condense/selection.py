"""The samples of each class in order of difficulty, which is what most selectors start from; for
reselectors those that may take the place of a set's real ones."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from condense.errors import OptionError
from condense.interfaces import Budget, LabeledData, Role, Scores, SyntheticSet


def hardest_first(values: Tensor, members: Tensor) -> Tensor:
    """``members`` (int64 [n]) by falling ``values[members]``; ties keep the data's order."""
    return members[torch.argsort(values[members], descending=True, stable=True)]


def require(scores: Scores | None, name: str, kind: str = "selector") -> Scores:
    """``scores``, which the component ``name`` of ``kind`` cannot do without.

    Raises:
        OptionError: if there are none.
    """
    if scores is None:
        raise OptionError(f"{kind} '{name}' needs scores; set a scorer with `scorer=NAME`")
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


def real_places(synthetic: SyntheticSet, data: LabeledData) -> Iterator[tuple[Tensor, int]]:
    """For class 0, 1, …: the samples that may be real ones of a set, and how many are to be.

    Args:
        synthetic: the set.
        data: that it was made of.

    Yields:
        int64 [n] positions in ``data`` of all that no distilled sample started from, ascending; and
        a count of at most n.
    """
    real = synthetic.role == Role.REAL
    free = torch.ones(len(data), dtype=torch.bool)
    free[synthetic.source_index[~real]] = False
    for label in range(len(data.classes)):
        members = data.class_indices(label)
        yield members[free[members]], int((real & (synthetic.labels == label)).sum())
