"""Means with intervals, differences of pairs, common effects; pure functions of numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean, stdev, variance
from typing import ClassVar, TypeVar

from pydantic import computed_field

from condense.engine.documents import Document

LEVEL = 0.95  # of every interval
EQUAL = 1e-12  # values no further apart are, but for rounding


class Estimate(Document):
    """A mean with its interval, in the unit of the values.

    Attributes:
        mean: of the values.
        half: half the width of the :data:`LEVEL` interval by Student's t; None for one value, or
            several that are equal.
        n: how many values.
    """

    bounds: ClassVar[tuple[float, float]] = (-math.inf, math.inf)  # that no value lies beyond
    mean: float
    half: float | None
    n: int

    @computed_field  # type: ignore[prop-decorator]
    @property
    def low(self) -> float | None:
        """Lower end of the interval."""
        return None if self.half is None else max(self.mean - self.half, self.bounds[0])

    @computed_field  # type: ignore[prop-decorator]
    @property
    def high(self) -> float | None:
        """Upper end of the interval."""
        return None if self.half is None else min(self.mean + self.half, self.bounds[1])


class ShareEstimate(Estimate):
    """The mean of shares, such as accuracies: the ends of its interval lie in 0–1.

    Student's t knows of no bounds, and near them an end may lie where no accuracy can. ``half`` is
    left as it is: it says how far the values spread.
    """

    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)


E = TypeVar("E", bound=Estimate)


def estimate_shares(values: Sequence[float]) -> ShareEstimate | None:
    """As :func:`estimate`, of values in 0–1."""
    return _estimate(values, ShareEstimate)


def estimate(values: Sequence[float]) -> Estimate | None:
    """Mean and t interval, mean ± t(0.975, n - 1) · s / √n, of ``values``; None if there are none.

    The interval is not known of one value, nor of values that are all equal: these have been
    measured too coarsely, or are one measurement, and say nothing of how others would spread.
    """
    return _estimate(values, Estimate)


def _estimate(values: Sequence[float], kind: type[E]) -> E | None:
    n = len(values)
    if n == 0:
        return None
    if max(values) - min(values) < EQUAL:
        return kind(mean=fmean(values), half=None, n=n)
    half = t_quantile(n - 1) * stdev(values) / math.sqrt(n)
    return kind(mean=fmean(values), half=half, n=n)


def t_quantile(freedom: float, level: float = LEVEL) -> float:
    """The value that Student's t stays below in absolute terms with probability ``level``."""
    from scipy.special import stdtrit  # scipy.stats.t calls it and takes a second to import

    return float(stdtrit(freedom, (1 + level) / 2))


def difference(values: Sequence[float | None], base: Sequence[float | None]) -> Estimate | None:
    """The mean of ``values - base`` over the positions (seeds) where both are there.

    What a seed does to both alike cancels, so the interval is as a rule narrower than those of
    the two means suggest.
    """
    pairs = zip(values, base, strict=True)
    return estimate([v - b for v, b in pairs if v is not None and b is not None])


LARGE = 0.1  # of a difference that one pair of cells has and the others lack
CHANCE = 3.0  # standard errors


def common_effect(pairs: Mapping[str, Sequence[float]]) -> tuple[Estimate | None, str]:
    """The mean of ``pairs``, unless one of them decides it, as a cell that broke down does.

    One decides if it is apart from the mean of the others by more than that mean, by more than
    :data:`LARGE`, and by more than :data:`CHANCE` standard errors.

    Args:
        pairs: differences, one a seed and equally many each, by name.

    Returns:
        the mean over pairs and seeds with its interval over seeds, and "", or None and why.
    """
    if len(pairs) < 2:
        return None, "one pair of cells alone"
    apart = {}
    for name, own in pairs.items():
        rest = _means([values for key, values in pairs.items() if key != name])
        gaps = [one - other for one, other in zip(own, rest, strict=True)]
        error = stdev(gaps) / math.sqrt(len(gaps)) if len(gaps) > 1 else 0.0
        if abs(fmean(gaps)) > max(abs(fmean(rest)), LARGE, CHANCE * error):
            apart[name] = fmean(gaps), fmean(own), fmean(rest)
    if apart:
        name = max(apart, key=lambda one: abs(apart[one][0]))
        _, own_mean, others = apart[name]
        return None, f"{100 * own_mean:+.2f} at {name}, {100 * others:+.2f} elsewhere"
    return estimate(_means(list(pairs.values()))), ""


def _means(columns: Sequence[Sequence[float]]) -> list[float]:
    """One a seed."""
    return [fmean(values) for values in zip(*columns, strict=True)]


def unpaired(values: Sequence[float], base: Sequence[float]) -> Estimate | None:
    """Mean of ``values`` minus mean of ``base``, which have nothing in common, by Welch's t.

    Returns:
        the difference with its interval, ``n`` of the smaller group; no interval where a group
        has fewer than two values or all of both are equal (:func:`estimate`), None where one is
        empty.
    """
    one, other = estimate(values), estimate(base)
    if one is None or other is None:
        return None
    n, mean = min(one.n, other.n), one.mean - other.mean
    if n < 2 or (one.half is None and other.half is None):
        return Estimate(mean=mean, half=None, n=n)
    squares = [variance(group) / len(group) for group in (values, base)]  # of standard errors
    total = sum(squares)
    parts = zip(squares, (one.n, other.n), strict=True)
    freedom = total**2 / sum(square**2 / (size - 1) for square, size in parts)
    return Estimate(mean=mean, half=t_quantile(freedom) * math.sqrt(total), n=n)


def paired_p(values: Sequence[float | None], base: Sequence[float | None]) -> float | None:
    """Two-sided p of Student's paired t test of ``values`` against ``base``, by position.

    Returns:
        None where no interval is known (:func:`estimate`); 1 of two pairs or more that are equal.
    """
    found = difference(values, base)
    if found is None or found.half is None:
        return 1.0 if found is not None and found.n > 1 and abs(found.mean) < EQUAL else None
    from scipy.special import stdtr

    t = abs(found.mean) * t_quantile(found.n - 1) / found.half
    return 2 * float(stdtr(found.n - 1, -t))


def holm(tests: Sequence[float | None]) -> list[float | None]:
    """p values corrected for their number by Holm's step-down procedure (1979); None stays.

    The k-th smallest of m becomes the largest of (m - j + 1) · p_j for j ≤ k, at most 1.
    """
    order = sorted((p, place) for place, p in enumerate(tests) if p is not None)
    corrected: list[float | None] = [None] * len(tests)
    so_far = 0.0
    for rank, (p, place) in enumerate(order):
        so_far = max(so_far, min(1.0, (len(order) - rank) * p))
        corrected[place] = so_far
    return corrected
