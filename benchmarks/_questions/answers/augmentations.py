"""Question 7: combined augmentation beside each of its halves."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean

from results_table import table

from _questions.answers.common import NOTHING, Key, Rows, answer, grouped, over_settings, points

HALVES = ("all", "easy", "hard")
BOTH = "combined"
Pair = tuple[list[float], list[float]]


def augmentation_pairs(rows: Rows, other: str, half: str) -> Mapping[Key, Pair]:
    """Accuracy under ``combined`` and under ``other`` by setting: a value a seed, the mean over α,
    as sets of one seed that differ in α alone are no further evidence."""
    found: dict[Key, Pair] = {}
    for key, own in grouped(rows, "set", "fraction").items():
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
    """Combined minus each of its halves, on all, easy and hard test samples; then by α."""
    alphas = sorted({row["alpha"] for row in rows})
    parts = [("", rows), *((f", α = {a:g}", [r for r in rows if r["alpha"] == a]) for a in alphas)]
    lines = [
        (f"{BOTH} − {other}{said}",
         *(points(over_settings(augmentation_pairs(part, other, half))) for half in HALVES))
        for other in ("dsa", "simple")
        for said, part in parts
    ]  # fmt: skip
    return table(("", *HALVES), lines) if rows else NOTHING


def augmentation_answer(rows: Rows) -> str:
    """Is it better than the better of the two?"""
    each = [over_settings(augmentation_pairs(rows, other, "all")) for other in ("dsa", "simple")]
    known = [one for one in each if one is not None]
    worst = min(known, key=lambda one: one.mean, default=None)
    return answer(worst, "combined minus the better of its halves")
