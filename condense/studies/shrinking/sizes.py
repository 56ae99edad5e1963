"""From which held-out samples networks got right to a size with its interval; pure functions.

What is uncertain is drawn again: the samples, with replacement within each class, the same ones for
every method, size and the whole, so that all that they have in common cancels; and one more
training, for what trainings differ by beyond the samples that they were tested on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Metric = Literal["accuracy", "balanced-accuracy", "worst-class"]
METRICS: tuple[str, ...] = get_args(Metric)
SURE = 0.9  # level of every one-sided interval
DRAWS = 1000


def score(rates: Floats, counts: npt.NDArray[np.int64], metric: str) -> Floats:
    """A metric, 0–1, of ``rates`` [C, …], the share of each class that is right.

    Args:
        counts: samples of each class, [C]; classes without any have no say.
    """
    there = counts > 0
    found: Floats
    if metric == "accuracy":
        found = np.tensordot(counts[there] / counts.sum(), rates[there], 1)
        return found.clip(0, 1)  # shares that add up to 1 but for rounding
    found = rates[there].mean(0) if metric == "balanced-accuracy" else rates[there].min(0)
    return found


def chance(counts: npt.NDArray[np.int64], metric: str) -> float:
    """The most of a metric, 0–1, that can be expected of guesses that look at no sample.

    By the largest class each time, or, where classes count the same, by any.

    Args:
        counts: samples of each class, [C].
    """
    share = int(np.max(counts)) / int(np.sum(counts))
    return share if metric == "accuracy" else 1 / int(np.count_nonzero(counts))


@dataclass(frozen=True, eq=False)
class Draws:
    """Samples as they are drawn again.

    Attributes:
        metric: one of :data:`METRICS`.
        labels: [N], of all samples.
        counts: how often each is drawn, [N, B + 1]; the first draw is the samples as they are.
        parts: positions of those that a seed holds out, by seed.
        more: standard normal, [B + 1], 0 in the first draw: how one more training turns out, the
            same for every method, as it is of the one that is picked.
    """

    metric: str
    labels: npt.NDArray[np.int64]
    counts: npt.NDArray[np.uint8]
    parts: tuple[npt.NDArray[np.int64], ...]
    more: Floats

    @staticmethod
    def of(
        labels: npt.NDArray[np.int64],
        parts: Sequence[npt.NDArray[np.int64]],
        metric: str,
        rng: np.random.Generator,
        draws: int = DRAWS,
    ) -> Draws:
        """``draws`` of them after the first."""
        counts = np.ones((len(labels), draws + 1), dtype=np.uint8)
        for label in np.unique(labels):
            own = np.flatnonzero(labels == label)
            counts[own, 1:] = rng.multinomial(len(own), [1 / len(own)] * len(own), draws).T
        more = np.concatenate([[0.0], rng.normal(size=draws)])
        return Draws(metric, labels, counts, tuple(parts), more)

    def accuracies(self, seed: int, right: Floats) -> Floats:
        """The metric of one network in every draw, [B + 1].

        Args:
            seed: number of its seed.
            right: 0–1, of each sample of its part: whether it was right, or how many of several.
        """
        part = self.parts[seed]
        labels, counts = self.labels[part], self.counts[part].astype(np.float64)
        rates, sizes = [], []
        for label in np.unique(labels):
            own = labels == label
            drawn, hits = counts[own].sum(0), right[own] @ counts[own]
            # where none of a class is drawn, all of it count
            rates.append(np.where(drawn > 0, hits / np.maximum(drawn, 1), right[own].mean()))
            sizes.append(int(own.sum()))
        return score(np.stack(rates), np.array(sizes), self.metric)


def training_spread(accuracies: Floats) -> float:
    """Standard deviation of a training, beyond what so few samples make trainings differ by.

    From what is left of a cell and a seed when both their means are taken off, less the variance
    that this has over the draws of samples.

    Args:
        accuracies: [K, S, B + 1], of cells by seeds.
    """
    cells, seeds, _ = accuracies.shape
    freedom = (cells - 1) * (seeds - 1)
    if not freedom:
        return 0.0
    left = accuracies - accuracies.mean(0) - accuracies.mean(1, keepdims=True)
    left += accuracies.mean((0, 1))
    seen, chance = (left[..., 0] ** 2).sum(), left[..., 1:].var(2).sum()
    return float(np.sqrt(max(0.0, seen - chance) / freedom))


def monotone(values: Floats) -> Floats:
    """The least-squares fit to ``values`` […, K] that never falls along the last axis.

    By its minimax form: fit_i = max over j ≤ i of min over k ≥ i of the mean of values j … k.
    """
    size = values.shape[-1]
    sums = np.concatenate([np.zeros((*values.shape[:-1], 1)), np.cumsum(values, -1)], -1)
    start, end = np.arange(size)[:, None], np.arange(size)[None, :]
    with np.errstate(divide="ignore", invalid="ignore"):
        means = (sums[..., None, 1:] - sums[..., :-1, None]) / (end - start + 1)
    means = np.where(end < start, np.inf, means)
    least = np.minimum.accumulate(means[..., ::-1], -1)[..., ::-1]  # over k ≥ i
    found: Floats = np.where(start > end, -np.inf, least).max(-2)  # over j ≤ i
    return found


def reached(sizes: Floats, gaps: Floats) -> Floats:
    """The smallest size at which ``gaps`` [B, K], which never fall, are 0 or more, [B].

    Between ``sizes`` [K] along a straight line over the logarithm of the size; the first size where
    the first gap is 0 or more; infinite where none is.
    """
    enough = gaps >= 0
    after = enough.argmax(1)
    before = np.maximum(after - 1, 0)
    lines = np.arange(len(gaps))
    low, high = gaps[lines, before], gaps[lines, after]
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(after > 0, -low / (high - low), 0.0)
    # by factors, which leave the first size as it is, and not beyond the next one by rounding
    found = np.minimum(sizes[before] * (sizes[after] / sizes[before]) ** share, sizes[after])
    return np.where(enough.any(1), found, np.inf)


def upper_ends(sizes: Floats, level: float = SURE) -> Floats:
    """Ends, [M], that with probability ``level`` **all** of M columns of ``sizes`` [B, M] keep to.

    Whichever column is picked by its end, the end holds for it. Each is the same quantile of its
    column, the least at which the share of the draws that lie below all ends is ``level``; columns
    that rise and fall together pay little for being several.
    """
    ordered = np.sort(sizes, 0)
    # the share of its column's draws that are at most as large
    ranks = [np.searchsorted(ordered[:, m], sizes[:, m], "right") for m in range(sizes.shape[1])]
    worst = np.sort(np.stack(ranks, 1).max(1))
    rank = worst[int(np.ceil(level * len(worst))) - 1]
    ends: Floats = ordered[rank - 1]
    return ends
