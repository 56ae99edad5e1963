"""Rank statistics of difficulty scores: agreement, overlap of the ends, split-half reliability."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from condense.data import portion

SPLITS = 10  # random halvings a split-half correlation is averaged over


def rank_correlation(one: Tensor, other: Tensor) -> float:
    """Spearman's ρ of two [N], ties at their mean rank; 0 if either is constant."""
    if bool((one == one[0]).all()) or bool((other == other[0]).all()):
        return 0.0
    ranks = np.column_stack([_ranks(one), _ranks(other)])
    return float(np.asarray(np.corrcoef(ranks, rowvar=False))[1, 0])


def _ranks(values: Tensor) -> NDArray[np.float64]:
    """From 1 to N, ties at their mean; as scipy.stats has them, which takes a second to import."""
    _, places, counts = np.unique(values.numpy(), return_inverse=True, return_counts=True)
    ranks: NDArray[np.float64] = (counts.cumsum() - (counts - 1) / 2)[places]
    return ranks


def end_weights(values: Tensor, share: float, hardest: bool = True) -> Tensor:
    """float64 [N] in 0–1: how much each sample belongs to the ``share`` at one end.

    Samples tied at the border get equal parts of the places left, so that nothing depends on
    their order. Sums to max(1, ⌊share·N + 1e-9⌋).
    """
    size = max(1, portion(share, len(values)))
    signed = values.double() if hardest else -values.double()
    border = signed.topk(size).values[-1]
    inside, tied = signed > border, signed == border
    left = (size - inside.sum()).double()
    return inside.double() + tied.double() * left / tied.sum()


def end_overlap(one: Tensor, other: Tensor, share: float, hardest: bool = True) -> float:
    """Part of the ``share`` hardest (or easiest) samples that two [N] have in common, 0–1.

    Expected over random orders of tied samples; unrelated scores give ``share``.
    """
    a, b = end_weights(one, share, hardest), end_weights(other, share, hardest)
    return float(a @ b / a.sum())


def split_half(replicates: Tensor, size: int | None = None) -> float:
    """Raw split-half reliability: ρ between the means of two disjoint halves of ``replicates``.

    Raw means that nothing is added for the full number (no Spearman–Brown): the correlation of n
    replicates is that of two means of ⌊n/2⌋. It is the mean over random halvings
    that are always the same: no generator is touched.

    Args:
        replicates: float [R, N], R ≥ 2 independent estimates of the same scores.
        size: n, how many of them to halve; None takes all R.
    """
    size = len(replicates) if size is None else size
    half = size // 2
    rng = torch.Generator().manual_seed(0)
    found = []
    for _ in range(1 if len(replicates) == 2 else SPLITS):
        order = torch.randperm(len(replicates), generator=rng)
        one, other = replicates[order[:half]], replicates[order[half : 2 * half]]
        found.append(rank_correlation(one.mean(0), other.mean(0)))
    return sum(found) / len(found)


def reliability_of(replicates: Tensor | None) -> float | None:
    """:func:`split_half` of all ``replicates``; None where there are fewer than two."""
    return None if replicates is None or len(replicates) < 2 else split_half(replicates)
