"""The highest place of a curve that is only known up to noise, with few evaluations.

Every place is evaluated under the same seeds 0, 1 …, so that places are compared in pairs. Two
that are not told apart by more than their paired standard error get more seeds, up to a maximum.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from condense.studies.tuning.curve import Point, ahead, plateau

Evaluate = Callable[[float, int], float]  # (place, number of the seed) → figure, higher is better
RATIO = (math.sqrt(5) - 1) / 2

# why a search ended
NARROW, NOISE, LIMIT, DONE = "narrow", "noise", "limit", "done"


@dataclass(frozen=True)
class Search:
    """What a search found.

    Attributes:
        points: everything evaluated, by place.
        best: the highest mean.
        plateau: the evaluated places around it that it is not ahead of.
        bracket: the interval it was narrowed to.
        stop: ``narrow`` (the tolerance is reached), ``noise`` (the places left cannot be told
            apart), ``limit`` (of evaluations), or ``done`` where nothing was narrowed.
        evaluations: places × seeds.
    """

    points: tuple[Point, ...]
    best: Point
    plateau: tuple[float, float]
    bracket: tuple[float, float]
    stop: str
    evaluations: int


class _Spent(Exception):
    """The limit of evaluations is reached."""


class _Table:
    """What was evaluated so far, and how much of it is allowed."""

    def __init__(self, evaluate: Evaluate, seeds: int, most: int, limit: int | None = None) -> None:
        self.evaluate = evaluate
        self.seeds, self.most, self.limit = seeds, max(seeds, most), limit
        self.values: dict[float, list[float]] = {}

    @property
    def evaluations(self) -> int:
        return sum(map(len, self.values.values()))

    @property
    def points(self) -> list[Point]:
        """Of the places with as many values as any place has at first, by place."""
        whole = [(at, v) for at, v in sorted(self.values.items()) if len(v) >= self.seeds]
        return [Point(at, tuple(v)) for at, v in whole or sorted(self.values.items())]

    def point(self, at: float, seeds: int | None = None) -> Point:
        """The place ``at`` under at least ``seeds`` seeds.

        Raises:
            _Spent: if that takes more evaluations than are allowed.
        """
        values = self.values.get(at, [])
        while len(values) < (seeds or self.seeds):
            if self.limit is not None and self.evaluations >= self.limit:
                raise _Spent
            values.append(self.evaluate(at, len(values)))
            self.values[at] = values
        return Point(at, tuple(values))

    def ahead(self, one: float, other: float) -> int:
        """:func:`condense.studies.tuning.curve.ahead`, with seeds added while neither is."""
        seeds = self.seeds
        while True:
            found = ahead(self.point(one, seeds), self.point(other, seeds))
            seeds = 1 + min(len(self.values[one]), len(self.values[other]))
            if found or seeds > self.most:
                return found

    def settle(self) -> None:
        """All seeds for the highest place and those it is not ahead of, until nothing changes."""
        while True:
            points = self.points
            best = max(points, key=lambda p: p.mean)
            rivals = [p for p in points if ahead(best, p) <= 0]
            short = [p for p in rivals if len(p.values) < self.most]
            if len(rivals) == 1 or not short:
                return
            for rival in short:
                self.point(rival.at, self.most)

    def result(self, bracket: tuple[float, float], stop: str) -> Search:
        points = self.points
        best = max(points, key=lambda p: p.mean)
        width = plateau(points, best)
        return Search(tuple(points), best, width, bracket, stop, self.evaluations)


def golden_section(
    evaluate: Evaluate,
    low: float,
    high: float,
    *,
    tolerance: float,
    seeds: int = 1,
    most: int = 1,
    scan: int = 0,
    limit: int | None = None,
    places: int | None = None,
) -> Search:
    """The maximum of a curve over [low, high], by golden section, for a curve with one top there.

    With ``scan`` places at equal distances first, several tops do no harm: narrowing starts from
    the highest of them and those that it is not ahead of, between the neighbours of these.

    Without noise the bracket shrinks by 0.618 a new place, as in the textbook. Two inner places
    that ``most`` seeds do not tell apart decide nothing, so both ends stay, and the middle between
    them is asked: above both, the top lies between them; told apart from neither, narrowing stops
    and the plateau is the answer. An end of the range that the last bracket still reaches is
    evaluated too, since the top may lie there.

    Args:
        evaluate: called at most once for a place and a seed, never outside [low, high].
        tolerance: width of the bracket to stop at.
        seeds, most: seeds of every place, and of those that are hard to tell apart.
        scan: places evaluated first, at least 3; 0 for none, as in the textbook.
        limit: evaluations (places × seeds) at most; None for as many as it takes.
        places: decimals that places are rounded to; None for none.
    """
    table = _Table(evaluate, seeds, most, limit)
    narrowing = _Narrowing(table, low, high, places)
    try:
        if scan:
            narrowing.start(spaced(low, high, scan, places))
        stop = narrowing.run(tolerance)
        for end in {low, high} & {narrowing.low, narrowing.high}:
            table.point(end)
        table.settle()
    except _Spent:
        stop = LIMIT
    return table.result((narrowing.low, narrowing.high), stop)


class _Narrowing:
    """The bracket [low, high] with its two inner places."""

    def __init__(self, table: _Table, low: float, high: float, places: int | None) -> None:
        self.table, self.places = table, places
        self.low, self.high = self.range = (low, high)
        self._divide()

    def start(self, places: Sequence[float]) -> None:
        """The bracket between the neighbours of the plateau of ``places``."""
        for at in places:
            self.table.point(at)
        self.table.settle()
        points = self.table.points
        top = plateau(points, max(points, key=lambda p: p.mean))
        self.low = max((at for at in places if at < top[0]), default=top[0])
        self.high = min((at for at in places if at > top[1]), default=top[1])
        self._divide()

    def _divide(self) -> None:
        width = RATIO * (self.high - self.low)
        self.left, self.right = self.high - width, self.low + width

    def run(self, tolerance: float) -> str:
        while self.high - self.low > tolerance:
            left, right = self._place(self.left), self._place(self.right)
            found = self.table.ahead(left, right)
            if found == 0:
                middle = self._place((self.left + self.right) / 2)
                over = self.table.ahead(middle, left), self.table.ahead(middle, right)
                if over == (1, 1):
                    self.low, self.high = self.left, self.right
                    self._divide()
                    continue
                found = {(0, 1): 1, (1, 0): -1}.get(over, 0)
                if found == 0:
                    return NOISE
            self._drop_right() if found > 0 else self._drop_left()
        return NARROW

    def _place(self, at: float) -> float:
        rounded = at if self.places is None else round(at, self.places)
        return min(max(rounded, self.range[0]), self.range[1])

    def _drop_right(self) -> None:
        self.high, self.right = self.right, self.left
        self.left = self.high - RATIO * (self.high - self.low)

    def _drop_left(self) -> None:
        self.low, self.left = self.left, self.right
        self.right = self.low + RATIO * (self.high - self.low)


def climb(
    evaluate: Evaluate,
    start: float,
    step: float,
    low: float,
    high: float,
    *,
    seeds: int = 1,
    most: int = 1,
    places: int = 6,
) -> Search:
    """The highest of ``start`` and its neighbours a ``step`` away, followed uphill.

    Goes on while the highest place is the outermost one evaluated, up to [low, high].
    """
    table = _Table(evaluate, seeds, most)

    def place(number: int) -> float:
        return round(min(max(start + number * step, low), high), places)

    first = last = 0
    table.point(place(0))
    while True:
        best = max(table.points, key=lambda p: p.mean).at
        if best == place(first) > place(first - 1):
            first -= 1
            table.point(place(first))
        if best == place(last) < place(last + 1):
            last += 1
            table.point(place(last))
        best = max(table.points, key=lambda p: p.mean).at
        inside = (
            place(first) < best or place(first) <= low,
            place(last) > best or place(last) >= high,
        )
        if all(inside):
            table.settle()
            return table.result((place(first), place(last)), DONE)


def sweep(evaluate: Evaluate, places: Sequence[float], seeds: int) -> Search:
    """Every one of ``places`` under ``seeds`` seeds."""
    table = _Table(evaluate, seeds, seeds)
    for at in places:
        table.point(at)
    return table.result((min(places), max(places)), DONE)


def spaced(low: float, high: float, count: int, places: int | None = None) -> list[float]:
    """``count`` ≥ 2 places from ``low`` to ``high`` at equal distances, both included."""
    found = [low + (high - low) * i / (count - 1) for i in range(count)]
    rounded = found if places is None else [round(at, places) for at in found]
    return [min(max(at, low), high) for at in rounded]
