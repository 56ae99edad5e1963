"""What the answers have in common: verdicts, figures with their intervals, rows by setting.

A setting is a data set at a size. A difference is taken seed by seed within a setting; a data set's
is the mean over its sizes, and the interval over data sets has one value of each. Accuracies are
0–1 in rows, % in tables.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any

from _questions.commands import Row
from condense.studies.statistics import LEVEL, Estimate, estimate, t_quantile

SUPPORTED, REFUTED, OPEN = "supported", "not supported", "not resolved"
NOTHING = "Not run yet."
SMALL = 0.01  # a difference within which two are as good as equal
POWER = 0.8
Rows = Sequence[Row]
Key = tuple[Any, ...]
Pair = tuple[Sequence[float], Sequence[float]]
Curve = Sequence[Row]  # places of an option with their "accuracies", one a seed


def verdict(found: Estimate | None) -> str:
    """Of "it is above zero": supported where the interval is, refuted where it lies below."""
    if found is None or found.low is None or found.high is None:
        return OPEN
    return SUPPORTED if found.low > 0 else REFUTED if found.high < 0 else OPEN


def all_supported(found: Iterable[Estimate | None]) -> str:
    """Of a claim that has several parts: supported where each is, refuted where one is refuted."""
    each = {verdict(one) for one in found}
    return next((one for one in (REFUTED, OPEN) if one in each), SUPPORTED)


def points(found: Estimate | None, digits: int = 1) -> str:
    """ "+1.2 ± 0.4 (8)": points, and how many values they are of."""
    if found is None:
        return "–"
    half = "–" if found.half is None else f"{100 * found.half:.{digits}f}"
    return f"{100 * found.mean:+.{digits}f} ± {half} ({found.n})"


def found_with_power(found: Estimate | None) -> float | None:
    """The true difference that is found with a probability of :data:`POWER`, by the spread of
    ``found``: a two-sided t test at 5 %."""
    if found is None or found.half is None:
        return None
    freedom = found.n - 1
    return found.half * (1 + t_quantile(freedom, 2 * POWER - 1) / t_quantile(freedom, LEVEL))


def stated(what: str, said: str) -> str:
    """ "**Supported**: …"."""
    return f"**{what.capitalize()}**: {said}"


def grouped(rows: Iterable[Row], *keys: str) -> dict[Key, list[Row]]:
    """Rows by the values of ``keys``, in order."""
    found: dict[Key, list[Row]] = defaultdict(list)
    for row in rows:
        found[tuple(row[key] for key in keys)].append(row)
    return dict(found)


def best_place(curve: Curve, without: int | None = None) -> int:
    """Which place has the highest mean over the seeds, of all but ``without`` if there are more."""
    every = range(len(curve[0]["accuracies"]))
    seeds = [s for s in every if s != without] or every
    return max(range(len(curve)), key=lambda at: fmean(curve[at]["accuracies"][s] for s in seeds))


def reference(curve: Curve) -> list[float]:
    """For each seed its accuracy at the place that is best under the others: of all places one is
    always ahead by chance, and not under a seed that had no say."""
    seeds = range(len(curve[0]["accuracies"]))
    return [float(curve[best_place(curve, s)]["accuracies"][s]) for s in seeds]


def lost(curve: Curve, accuracies: Sequence[float]) -> float:
    """Mean of :func:`reference` minus that of ``accuracies``, a value a seed each, 0–1."""
    return fmean(reference(curve)) - fmean(accuracies)


def by_set(pairs: Mapping[Key, Pair]) -> dict[str, Estimate]:
    """The paired difference of every data set, a value a seed: the mean over its sizes."""
    sizes: dict[str, list[list[float]]] = defaultdict(list)
    for (data, *_), (own, base) in pairs.items():
        sizes[data].append([a - b for a, b in zip(own, base, strict=True)])
    found = {}
    for data, each in sizes.items():
        means = [fmean(seed) for seed in zip(*each, strict=False)]  # those that all sizes have
        if (one := estimate(means)) is not None:
            found[data] = one
    return found


def within(pairs: Mapping[Key, Pair]) -> str:
    """ "digits +1.2 ± 0.4 (8); …": :func:`by_set` in words."""
    return "; ".join(f"{data} {points(one)}" for data, one in by_set(pairs).items())


def over_sets(pairs: Mapping[Key, Pair]) -> Estimate | None:
    """The mean of the data sets' differences, and its interval over data sets."""
    return estimate([one.mean for one in by_set(pairs).values()])


def mean_over_sets(values: Mapping[Key, float]) -> Estimate | None:
    """As :func:`over_sets`, of one value a setting."""
    return over_sets({key: ([value], [0.0]) for key, value in values.items()})


def name(key: Key) -> str:
    """ "digits, 5 %"."""
    return f"{key[0]}, {100 * key[1]:g} %"
