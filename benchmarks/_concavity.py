"""Whether a curve that is known up to noise is concave: for the questions of docs/experiments.md.

Judged by the second divided differences of neighbouring triples, taken seed by seed, so that what
a seed does to all three places alike cancels; negative where the curve is concave.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from condense.studies.statistics import Estimate, estimate
from condense.studies.tuning.result import Place

CONCAVE, WITHIN, NOT_CONCAVE, UNKNOWN = "concave", "concave within noise", "not concave", "unknown"


@dataclass(frozen=True)
class Shape:
    """Whether a curve is concave.

    Attributes:
        verdict: :data:`CONCAVE` (every second difference is negative beyond its 95 % interval),
            :data:`WITHIN` (none is positive beyond it), :data:`NOT_CONCAVE`, or :data:`UNKNOWN`
            for fewer than three places or a single seed.
        dents: the middle places of the triples that are convex beyond their interval.
        triples: how many neighbouring triples there were to judge.
    """

    verdict: str
    dents: tuple[float, ...] = ()
    triples: int = 0


def second_difference(left: Place, middle: Place, right: Place) -> Estimate | None:
    """f[l, m, r], the second divided difference, its mean over common seeds with its interval.

    Args:
        left, middle, right: places of one option, in this order.
    """
    at = [place.values[0] for place in (left, middle, right)]
    before, after = at[1] - at[0], at[2] - at[1]
    triples = zip(left.accuracies, middle.accuracies, right.accuracies, strict=False)
    return estimate(
        [((r - m) / after - (m - a) / before) / (before + after) for a, m, r in triples]
    )


def shape(places: Sequence[Place]) -> Shape:
    """The verdict on ``places`` of one option."""
    ordered = sorted(places, key=lambda p: p.values)
    triples = zip(ordered, ordered[1:], ordered[2:], strict=False)
    found = [(m.values[0], second_difference(a, m, b)) for a, m, b in triples]
    if not found or any(e is None or e.half is None for _, e in found):
        return Shape(UNKNOWN)
    known = [(at, e.mean, e.half or 0.0) for at, e in found if e is not None]
    dents = tuple(at for at, mean, half in known if mean > half)
    if dents:
        return Shape(NOT_CONCAVE, dents, len(known))
    sure = all(mean < -half for _, mean, half in known)
    return Shape(CONCAVE if sure else WITHIN, (), len(known))
