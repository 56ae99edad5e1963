"""The highest place of a curve that is known up to noise: a scan, then a zoom on its plateau.

Every place is evaluated under the same seeds 0, 1 …, so that places are compared in pairs.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

from condense.studies.tuning.result import OptionSearch, Place, Values, standard_error
from condense.studies.tuning.sampling import sample
from condense.studies.tuning.settings import Settings

Evaluate = Callable[[Values, int], float]  # (place, number of the seed) → accuracy, 0–1
Prepare = Callable[[Sequence[tuple[Values, int]]], None]  # of what is to be evaluated next
Ends = tuple[float, float]

SCAN = 10  # places of the scan
ZOOMS = 2  # times that the distance of places around the plateau is halved
CROWD = 4  # intervals of a plateau that is too wide to halve
NEAR = 0.05  # of a range: finals closer than this are one

# why a search ended
NARROW, NOISE, DONE = "narrow", "noise", "done"


@dataclass(frozen=True)
class Evaluations:
    """How many a search makes with short trainings, and at full length after it."""

    least: int
    likely: int
    most: int

    @staticmethod
    def short(s: Settings) -> Evaluations:
        """As many as its curve asks for; with several options, all trials."""
        if len(s.keys) > 1:
            return Evaluations(*3 * (s.trials * s.seeds,))
        likely = (SCAN + ZOOMS * (CROWD - 1)) * s.seeds
        return Evaluations(SCAN * s.seeds, likely, (SCAN + ZOOMS * CROWD) * s.max_seeds)

    @staticmethod
    def full(s: Settings) -> Evaluations:
        """Those of the finals, which are fewer where the best lie close to each other."""
        return Evaluations(min(1, s.finals) * s.seeds, *2 * (s.finals * s.seeds,))


def unprepared(pairs: Sequence[tuple[Values, int]]) -> None:
    """Nothing is done beforehand."""


class Paired:
    """Accuracies by place and seed, each evaluated once.

    Args:
        evaluate: called with seeds 0, 1 … of every place.
        prepare: called before, with all that is known to be evaluated next.
    """

    def __init__(self, evaluate: Evaluate, prepare: Prepare = unprepared) -> None:
        self.evaluate, self.prepare = evaluate, prepare
        self.found: dict[Values, list[float]] = {}

    def measure(self, places: Sequence[Values], seeds: int) -> list[Place]:
        """Each of ``places`` under at least ``seeds`` seeds."""
        known = {values: len(self.found.get(values, ())) for values in places}
        missing = [(v, number) for v, count in known.items() for number in range(count, seeds)]
        if missing:
            self.prepare(missing)
        for values, number in missing:
            self.found.setdefault(values, []).append(self.evaluate(values, number))
        return [Place(values=v, accuracies=tuple(self.found[v])) for v in places]

    @property
    def places(self) -> tuple[Place, ...]:
        """Everything evaluated, by value."""
        ordered = sorted(self.found.items())
        return tuple(Place(values=v, accuracies=tuple(found)) for v, found in ordered)

    def add_seeds(self, most: int) -> None:
        """``most`` seeds for the highest place and its rivals, until nothing changes.

        Rivals are those that it is not ahead of; without any it needs no further seeds.
        """
        while True:
            best = highest(self.places)
            rivals = [p for p in self.places if not ahead(best, p)]
            short = [p for p in rivals if len(p.accuracies) < most]
            if len(rivals) == 1 or not short:
                return
            self.measure([rival.values for rival in short], most)


def highest(places: Sequence[Place]) -> Place:
    """The one of the highest mean."""
    return max(places, key=lambda place: place.mean)


def ahead(one: Place, other: Place) -> bool:
    """Whether ``one`` is above ``other`` by more than the standard error of their difference.

    Seed by seed, over the seeds that both have; a single one is trusted.
    """
    gains = [a - b for a, b in zip(one.accuracies, other.accuracies, strict=False)]
    return fmean(gains) > (standard_error(gains) or 0.0)


def plateau(places: Sequence[Place], best: Place) -> tuple[int, int]:
    """First and last number of the places around ``best``, without a gap, not behind it.

    Args:
        places: of a single option, by value.
        best: one of them.
    """
    first = last = places.index(best)
    while first > 0 and not ahead(best, places[first - 1]):
        first -= 1
    while last < len(places) - 1 and not ahead(best, places[last + 1]):
        last += 1
    return first, last


def finalists(places: Sequence[Place], ranges: Sequence[Ends], count: int) -> list[Place]:
    """The ``count`` highest, each :data:`NEAR` its range's width away from every higher one."""

    def distinct(one: Place, other: Place) -> bool:
        ways = zip(one.values, other.values, ranges, strict=True)
        return any(abs(a - b) >= NEAR * (high - low) for a, b, (low, high) in ways)

    kept: list[Place] = []
    for place in sorted(places, key=lambda p: -p.mean):
        if len(kept) < count and all(distinct(place, other) for other in kept):
            kept.append(place)
    return sorted(kept, key=lambda p: p.values)


def scan_and_zoom(table: Paired, ends: Ends, seeds: int, most: int) -> str:
    """Fill ``table`` with places of one option: at equal distances, then around the plateau.

    A curve may have several tops; the scan finds which is the highest. The intervals that touch
    the plateau are then halved, twice. Where it reaches over more than :data:`CROWD` of them, noise
    hides the top, and nothing is gained by halving.

    Args:
        table: of the accuracies.
        ends: of the range.
        seeds, most: seeds of every place, and of those that are hard to tell apart.

    Returns:
        :data:`NARROW` or :data:`NOISE`.
    """
    low, high = ends
    width = (high - low) / (SCAN - 1)
    new = [rounded(low + i * width, ends) for i in range(SCAN)]
    for _ in range(ZOOMS + 1):
        table.measure([(value,) for value in new], seeds)
        table.add_seeds(most)
        places = table.places
        first, last = plateau(places, highest(places))
        touching = [place.values[0] for place in places[max(first - 1, 0) : last + 2]]
        if len(touching) - 1 > CROWD:
            return NOISE
        pairs = itertools.pairwise(touching)
        new = [rounded((left + right) / 2, ends) for left, right in pairs]
    return NARROW


def rounded(value: float, ends: Ends) -> float:
    """To three digits, within the range."""
    return min(max(float(f"{value:.3g}"), ends[0]), ends[1])


def search(
    short: Evaluate,
    full: Evaluate | None,
    ranges: tuple[Ends, ...],
    start: Values,
    s: Settings,
    seed: int,
    prepare: Prepare = unprepared,
    prepare_full: Prepare = unprepared,
) -> OptionSearch:
    """Short trainings at many places, then full ones at the best of these.

    Args:
        short, full: accuracies by short trainings and at full length; None without finals.
        ranges: of every option.
        start: where they stand now.
        s: how to search.
        seed: of Optuna's sampler.
        prepare, prepare_full: called before ``short`` and ``full``, with all that comes next.

    Raises:
        OptionError: if there are several options and Optuna is not installed.
    """
    table = Paired(short, prepare)
    if len(s.keys) == 1:
        stop = scan_and_zoom(table, ranges[0], s.seeds, s.max_seeds)
    else:

        def mean(values: Values) -> float:
            place = tuple(map(rounded, values, ranges))
            return table.measure([place], s.seeds)[0].mean

        sample(mean, ranges, tuple(map(rounded, start, ranges)), s.trials, seed)
        stop = DONE
    places = table.places
    best = highest(places)
    finals: tuple[Place, ...] = ()
    if full is not None:
        again = Paired(full, prepare_full)
        again.measure([p.values for p in finalists(places, ranges, s.finals)], s.seeds)
        finals = again.places
        best = _decided(best, finals, places)
    width = None
    if len(s.keys) == 1:
        first, last = plateau(places, best)
        width = places[first].values[0], places[last].values[0]
    return OptionSearch(
        keys=s.keys,
        matched=s.matched,
        ranges=ranges,
        points=places,
        finals=finals,
        best=best.values,
        plateau=width,
        stop=stop,
    )


def _decided(best: Place, finals: Sequence[Place], places: Sequence[Place]) -> Place:
    """``best``, or the highest of ``finals`` if that is ahead of it there.

    Trainings at full length turn the order of short ones only beyond noise.
    """
    won = highest(finals)
    leader = next(place for place in finals if place.values == best.values)
    if not ahead(won, leader):
        return best
    return next(place for place in places if place.values == won.values)
