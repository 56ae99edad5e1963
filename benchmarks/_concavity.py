"""Whether a curve that is known up to noise is concave: for docs/questions.md and tuning.py.

Judged by the second divided differences of neighbouring triples, taken seed by seed, so that what
a seed does to all three places alike cancels; negative where the curve is concave.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from condense.studies.statistics import estimate, holm, paired_p
from condense.studies.tuning.result import Place

CONCAVE, WITHIN, NOT_CONCAVE, UNKNOWN = "concave", "concave within noise", "not concave", "unknown"


@dataclass(frozen=True)
class Shape:
    """Whether a curve is concave.

    Attributes:
        verdict: :data:`CONCAVE` (every second difference is negative beyond its 95 % interval),
            :data:`WITHIN` (none is positive beyond chance), :data:`NOT_CONCAVE`, or
            :data:`UNKNOWN` for fewer than three places or a single seed.
        dents: the middle places of the triples that are convex beyond chance: by a t test each,
            at 5 % with Holm's correction for their number.
        triples: how many neighbouring triples there were to judge.
    """

    verdict: str
    dents: tuple[float, ...] = ()
    triples: int = 0


def second_differences(left: Place, middle: Place, right: Place) -> list[float]:
    """f[l, m, r], the second divided difference, a value a common seed.

    Args:
        left, middle, right: places of one option, in this order.
    """
    at = [place.values[0] for place in (left, middle, right)]
    before, after = at[1] - at[0], at[2] - at[1]
    triples = zip(left.accuracies, middle.accuracies, right.accuracies, strict=False)
    return [((r - m) / after - (m - a) / before) / (before + after) for a, m, r in triples]


def shape(places: Sequence[Place]) -> Shape:
    """The verdict on ``places`` of one option."""
    ordered = sorted(places, key=lambda p: p.values)
    triples = zip(ordered, ordered[1:], ordered[2:], strict=False)
    found = [second_differences(*three) for three in triples]
    each = [one for one in map(estimate, found) if one is not None and one.half is not None]
    if not found or len(each) < len(found):
        return Shape(UNKNOWN)
    chance = holm([paired_p(values, [0.0] * len(values)) for values in found])
    dents = tuple(
        middle.values[0]
        for middle, one, p in zip(ordered[1:], each, chance, strict=False)
        if one.mean > 0 and p is not None and p <= 0.05
    )
    if dents:
        return Shape(NOT_CONCAVE, dents, len(found))
    sure = all(one.high is not None and one.high < 0 for one in each)
    return Shape(CONCAVE if sure else WITHIN, (), len(found))
