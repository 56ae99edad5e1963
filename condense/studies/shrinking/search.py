"""Which sizes of which methods are measured: around where each keeps enough, few of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from condense.studies.shrinking.sizes import Floats, monotone, reached, upper_ends


@dataclass(frozen=True, eq=False)
class Curve:
    """What was measured of a method.

    Attributes:
        places: of its sizes among all that may be tried, ascending.
        accuracies: the metric at each in every draw, [B + 1, K]: first of the samples as they are,
            then of samples drawn again and one more training.
    """

    places: tuple[int, ...]
    accuracies: Floats


@dataclass(frozen=True, eq=False)
class Found:
    """Sizes, in samples of the part that is condensed; infinite where none is enough.

    Attributes:
        draws: by method in every draw, [B, M], without the samples as they are.
        estimates: of the samples as they are, [M].
        low, high: ends that hold for all methods together at :data:`~.sizes.SURE` each, [M].
    """

    methods: tuple[str, ...]
    draws: Floats
    estimates: Floats
    low: Floats
    high: Floats

    @property
    def best(self) -> int:
        """Place of the method with the smallest upper end; of equal ones, the first."""
        return int(np.argmin(self.high))


@dataclass(frozen=True, eq=False)
class Bar:
    """What sizes are held against.

    Attributes:
        keep: share that is to be kept.
        whole: the metric of the whole in every draw, [B + 1].
        less: the same of a random part of it, as much smaller as it is smaller than all there is.
    """

    keep: float
    whole: Floats
    less: Floats

    @property
    def target(self) -> Floats:
        """The metric that is to be reached, [B + 1].

        What is condensed in the end is the held-out part larger, and so is the whole that it stands
        beside, which is better for it: by what it lost to ``less``, if it did.
        """
        more: Floats = self.whole + np.maximum(0.0, self.whole - self.less)
        return self.keep * np.minimum(1.0, more)


def sizes_found(
    curves: Mapping[str, Curve], totals: Sequence[float], whole: int, bar: Bar
) -> Found:
    """The size at which each method reaches the target, with its interval.

    Args:
        curves: by method, one size at least each.
        totals: samples of each size that may be tried.
        whole: samples of all.
        bar: what is to be reached; the whole itself, which is the end of every curve, does.
    """
    end = np.maximum(bar.whole - bar.target, 1e-9)[:, None]
    columns = []
    for curve in curves.values():
        gaps = monotone(curve.accuracies) - bar.target[:, None]
        sizes = np.array([*(totals[place] for place in curve.places), whole], dtype=np.float64)
        columns.append(reached(sizes, np.hstack([gaps, end])))
    found = np.stack(columns, 1)
    draws = found[1:]
    return Found(tuple(curves), draws, found[0], -upper_ends(-draws), upper_ends(draws))


def wanted(
    curves: Mapping[str, Curve],
    totals: Sequence[float],
    found: Found,
    closed: Mapping[str, Collection[int]] | None = None,
) -> dict[str, list[int]]:
    """Places of the sizes that are to be measured next, by method; none where all is known.

    A size on either side of where the method reaches the target, those neighbours that there are;
    likewise of the upper end of the method that would be picked. A method whose whole interval
    lies above the picked one's is left alone. Those that are ``closed`` to a method are passed
    over, as if there were none.
    """
    picked = found.methods[found.best]
    asked: dict[str, list[int]] = {}
    for number, (method, curve) in enumerate(curves.items()):
        ends = [found.estimates[number]]
        if method == picked:
            ends.append(found.high[number])
        elif found.low[number] > found.high[found.best] and len(curve.places) > 1:
            continue
        left = [p for p in range(len(totals)) if p not in (closed or {}).get(method, ())]
        own, sizes = [left.index(p) for p in curve.places], [totals[p] for p in left]
        places = {left[place] for end in ends for place in _around(own, sizes, end)}
        if places - set(curve.places):
            asked[method] = sorted(places - set(curve.places))
    return asked


def _around(places: Sequence[int], totals: Sequence[float], size: float) -> list[int]:
    """Places to measure next to have neighbours measured on either side of ``size``.

    Two steps at a time beyond what is measured, else the middle of what lies on either side.
    """
    below = [place for place in places if totals[place] < size]
    above = [place for place in places if totals[place] >= size]
    if not above:
        return [min(below[-1] + 2, len(totals) - 1)]
    if not below:
        return [max(above[0] - 2, 0)]
    return [(below[-1] + above[0]) // 2] if above[0] - below[-1] > 1 else []
