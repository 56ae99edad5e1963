"""Question 5: what the samples that matching starts from are worth."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean

from results_table import table

from _questions.answers.common import (
    NOTHING,
    Key,
    Pair,
    Rows,
    by_set,
    grouped,
    name,
    over_sets,
    points,
    stated,
    verdict,
    within,
)
from condense.studies.statistics import holm, paired_p

BASE = "random"
MATCHERS = {"trajectory": "matched", "none": "as it is"}


def start_pairs(rows: Rows, matcher: str, start: str) -> Mapping[Key, Pair]:
    """Accuracies from ``start`` and from a random one, by setting."""
    here = grouped((r for r in rows if r["matcher"] == matcher), "set", "fraction", "start")
    return {
        key: (here[(*key, start)][0]["accuracies"], here[(*key, BASE)][0]["accuracies"])
        for key in dict.fromkeys(key[:2] for key in here)
        if (*key, start) in here and (*key, BASE) in here
    }


def start_table(rows: Rows) -> str:
    """Accuracy from every start, matched and as it is."""
    starts = list(dict.fromkeys(row["start"] for row in rows))
    lines = []
    for (data, fraction, matcher), own in grouped(rows, "set", "fraction", "matcher").items():
        means = {row["start"]: f"{100 * fmean(row['accuracies']):.1f}" for row in own}
        cells = [means.get(start, "–") for start in starts]
        lines.append((name((data, fraction)), MATCHERS[matcher], *cells))
    return table(("setting", "", *starts), lines) if lines else NOTHING


def start_answer(rows: Rows) -> str:
    """Is the window a better start than a random one, under the same update? By set, then over
    all; other starts beside it, with Holm's correction."""
    starts = [start for start in dict.fromkeys(row["start"] for row in rows) if start != BASE]
    if not starts:
        return NOTHING
    pairs = {
        f"{start} − {BASE}, {said}": start_pairs(rows, matcher, start)
        for matcher, said in MATCHERS.items()
        for start in starts
    }
    each = ([one.mean for one in by_set(own).values()] for own in pairs.values())
    chance = holm([paired_p(means, [0.0] * len(means)) for means in each])
    lines = [
        (said, points(over_sets(own)), "–" if p is None else f"{p:.2f}", within(own))
        for (said, own), p in zip(pairs.items(), chance, strict=True)
    ]
    effect = over_sets(start_pairs(rows, "trajectory", "window"))
    answer = stated(
        verdict(effect), f"window minus random start, all samples matched: {points(effect)}."
    )
    head = ("", "over data sets", "p (Holm)", "within each, over seeds")
    return f"{answer}\n\n{table(head, lines)}"
