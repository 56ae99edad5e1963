"""Selections: exactly the budget of every class, no sample twice."""

from __future__ import annotations

import torch
from torch import Generator

from condense.engine.checked.common import kind_of, require
from condense.engine.runtime.guard import contents, guarded
from condense.interfaces import Budget, Context, LabeledData, Scores, Selection, Selector


def run_selector(
    selector: Selector,
    data: LabeledData,
    scores: Scores | None,
    budget: Budget,
    context: Context,
    rng: Generator,
) -> Selection:
    """The selection, checked: exactly the budget of every class, no sample twice.

    Raises:
        BrokenPlugin: if it is anything else, or as :func:`guarded` does.
    """
    read = () if scores is None else scores.tensors
    with guarded("selector", selector, *contents(data), *read):
        selection = selector.select(data.without_test(), scores, budget, context, rng)
    who = f"selector '{selector.name}'"
    require(
        isinstance(selection, Selection),
        f"{who} returned {kind_of(selection)}, expected a Selection",
    )
    check_selection(who, selection, data, budget.counts(data))
    return selection


def check_selection(
    who: str, selection: Selection, data: LabeledData, counts: tuple[int, ...]
) -> None:
    """That ``selection`` has ``counts`` samples of each class, grouped, none twice.

    Raises:
        BrokenPlugin: blaming ``who``, if it has not.
    """
    indices = selection.indices
    require(
        indices.dtype == torch.int64 and indices.dim() == 1,
        f"{who} returned {indices.dtype} of shape {tuple(indices.shape)}, expected int64 [M]",
    )
    require(
        len(indices) == 0 or bool(((indices >= 0) & (indices < len(data))).all()),
        f"{who} returned positions outside 0…{len(data) - 1}",
    )
    require(len(torch.unique(indices)) == len(indices), f"{who} chose a sample twice")
    got = torch.bincount(data.labels[indices], minlength=len(counts)).tolist()
    require(
        tuple(got) == counts == tuple(selection.counts),
        f"{who} returned {got} samples per class, asked were {list(counts)}",
    )
    require(
        torch.equal(selection.labels, data.labels[indices])
        and bool((selection.labels.diff() >= 0).all()),
        f"{who} did not group its samples by class",
    )
