"""Question 7: combined augmentation beside each of its halves."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean

from results_table import table

from _questions.answers.common import (
    NOTHING,
    SMALL,
    Key,
    Pair,
    Rows,
    all_supported,
    by_set,
    grouped,
    over_sets,
    points,
    stated,
)
from _questions.answers.updates import FULL

HALVES = ("all", "easy", "hard")
BOTH, OTHERS = "combined", ("dsa", "simple")
SAME_OF_DISTILLED = "dsa"


def augmentation_pairs(rows: Rows, other: str, half: str) -> Mapping[Key, Pair]:
    """Accuracy under ``combined`` and under ``other`` by setting: a value a seed, the mean over α,
    as sets of one seed that differ in α alone are no further evidence.

    Sets of distilled samples alone are left out beside ``dsa``, which ``combined`` is for them.
    """
    found: dict[Key, Pair] = {}
    told = [row for row in rows if row["alpha"] < FULL or other != SAME_OF_DISTILLED]
    for key, own in grouped(told, "set", "fraction").items():
        seeds = [
            [row["accuracy"] for row in each if other in row["accuracy"]]
            for each in grouped(own, "seed").values()
        ]
        both = ([fmean(a[n][half] for a in each) for each in seeds if each] for n in (BOTH, other))
        mine, base = both
        if mine:
            found[key] = (mine, base)
    return found


def augmentation_table(rows: Rows) -> str:
    """Combined minus each of its halves, on all, easy and hard test samples; by data set and over
    all of them."""
    if not augmentation_pairs(rows, OTHERS[0], "all"):
        return NOTHING
    lines = []
    for other in OTHERS:
        pairs = {half: augmentation_pairs(rows, other, half) for half in HALVES}
        sets = {half: by_set(own) for half, own in pairs.items()}
        lines += [
            (f"{BOTH} − {other}, {data}", *(points(sets[half].get(data)) for half in HALVES))
            for data in sets["all"]
        ]
        lines.append(
            (f"{BOTH} − {other}, over data", *(points(over_sets(pairs[half])) for half in HALVES))
        )
    return table(("", *HALVES), lines)


def augmentation_by_alpha(rows: Rows) -> str:
    """Combined minus each of its halves by α, over the seeds of every data set."""
    alphas = sorted({row["alpha"] for row in rows})
    if not augmentation_pairs(rows, OTHERS[0], "all"):
        return NOTHING
    lines = []
    for other in OTHERS:
        parts = [[row for row in rows if row["alpha"] == alpha] for alpha in alphas]
        each = [by_set(augmentation_pairs(part, other, "all")) for part in parts]
        for data in dict.fromkeys(data for own in each for data in own):
            cells = (points(own.get(data)) for own in each)
            lines.append((f"{BOTH} − {other}, {data}", *cells))
    return table(("", *(f"α = {alpha:g}" for alpha in alphas)), lines)


def augmentation_answer(rows: Rows) -> str:
    """Is it better than both? Within each data set, and over all."""
    pairs = {other: augmentation_pairs(rows, other, "all") for other in OTHERS}
    if not all(pairs.values()):
        return NOTHING
    each = {other: by_set(own) for other, own in pairs.items()}
    said = []
    for data in each[OTHERS[0]]:
        own = [each[other].get(data) for other in OTHERS]
        equal = all(
            e is not None and e.half is not None and abs(e.mean) + e.half < SMALL for e in own
        )
        said.append(f"{data}: {all_supported(own)}" + ", but no difference of a point" * equal)
    over = [over_sets(own) for own in pairs.values()]
    each_of = ", ".join(f"to {o} {points(e)}" for o, e in zip(OTHERS, over, strict=True))
    told = f"over the data sets {BOTH} {each_of}. Within each, over seeds: {'; '.join(said)}."
    return stated(all_supported(over), told)
