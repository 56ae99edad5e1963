"""An accuracy curve measured under common seeds: who is ahead, how wide the top is, its shape."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from condense.studies.statistics import Estimate, estimate

CONCAVE, WITHIN, NOT_CONCAVE, UNKNOWN = "concave", "concave within noise", "not concave", "unknown"


@dataclass(frozen=True)
class Point:
    """What was measured at one place.

    Attributes:
        at: the place.
        values: one a seed; two points' values of equal index are under the same seed.
    """

    at: float
    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Of the values."""
        return math.fsum(self.values) / len(self.values)

    @property
    def standard_error(self) -> float | None:
        """s / √n; None for one value."""
        return _standard_error(self.values)


@dataclass(frozen=True)
class Shape:
    """Whether a curve is concave.

    Attributes:
        verdict: :data:`CONCAVE` (every second difference is negative beyond its interval),
            :data:`WITHIN` (none is positive beyond it), :data:`NOT_CONCAVE`, or :data:`UNKNOWN`
            for fewer than three points or a single seed.
        dents: the middle places of the triples that are convex beyond their interval.
        triples: how many neighbouring triples there were to judge.
    """

    verdict: str
    dents: tuple[float, ...] = ()
    triples: int = 0


def _standard_error(values: Sequence[float]) -> float | None:
    n = len(values)
    if n < 2:
        return None
    mean = math.fsum(values) / n
    return math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (n - 1) / n)


def difference(one: Point, other: Point) -> tuple[float, float]:
    """Mean of ``one - other`` over their common seeds, and the standard error of that mean.

    A single common seed has standard error 0: it is trusted.
    """
    pairs = [a - b for a, b in zip(one.values, other.values, strict=False)]
    return math.fsum(pairs) / len(pairs), _standard_error(pairs) or 0.0


def ahead(one: Point, other: Point) -> int:
    """1 where ``one`` is above ``other`` beyond their paired standard error, -1 below, else 0."""
    mean, error = difference(one, other)
    return 0 if abs(mean) <= error else 1 if mean > 0 else -1


def plateau(points: Sequence[Point], best: Point) -> tuple[float, float]:
    """The places around ``best``, without a gap, that it is not :func:`ahead` of."""
    ordered = sorted(points, key=lambda p: p.at)
    low = high = ordered.index(best)
    while low > 0 and ahead(best, ordered[low - 1]) <= 0:
        low -= 1
    while high < len(ordered) - 1 and ahead(best, ordered[high + 1]) <= 0:
        high += 1
    return ordered[low].at, ordered[high].at


def apart(points: Sequence[Point], count: int, distance: float) -> list[Point]:
    """The ``count`` highest of ``points`` that keep a ``distance`` from each higher one kept."""
    kept: list[Point] = []
    for point in sorted(points, key=lambda p: -p.mean):
        if len(kept) < count and all(abs(point.at - k.at) >= distance for k in kept):
            kept.append(point)
    return kept


def second_difference(left: Point, middle: Point, right: Point) -> Estimate | None:
    """f[l, m, r], the second divided difference, its mean over common seeds with its interval.

    Taken seed by seed, so that what a seed does to all three alike cancels; negative where the
    curve is concave.
    """
    before, after = middle.at - left.at, right.at - middle.at
    triples = zip(left.values, middle.values, right.values, strict=False)
    return estimate(
        [((r - m) / after - (m - a) / before) / (before + after) for a, m, r in triples]
    )


def shape(points: Sequence[Point]) -> Shape:
    """Second divided differences of neighbouring triples against their 95 % intervals."""
    ordered = sorted(points, key=lambda p: p.at)
    triples = list(zip(ordered, ordered[1:], ordered[2:], strict=False))
    found = [(m.at, second_difference(a, m, b)) for a, m, b in triples]
    if not found or any(e is None or e.half is None for _, e in found):
        return Shape(UNKNOWN)
    known = [(at, e.mean, e.half or 0.0) for at, e in found if e is not None]
    dents = tuple(at for at, mean, half in known if mean > half)
    if dents:
        return Shape(NOT_CONCAVE, dents, len(known))
    sure = all(mean < -half for _, mean, half in known)
    return Shape(CONCAVE if sure else WITHIN, (), len(known))
