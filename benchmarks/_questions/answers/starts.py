"""Question 5: what the samples that matching starts from are worth."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean
from typing import Any

from results_table import table

from _questions.answers.common import (
    NOTHING,
    Key,
    Rows,
    answer,
    grouped,
    name,
    over_settings,
    points,
)


def start_pairs(rows: Rows, matcher: str, start: str, base: str) -> Mapping[Key, Any]:
    """Accuracies from ``start`` and from ``base``, by setting."""
    here = grouped((r for r in rows if r["matcher"] == matcher), "set", "fraction", "start")
    settings = {key[:2] for key in here}
    return {
        key: (here[(*key, start)][0]["accuracies"], here[(*key, base)][0]["accuracies"])
        for key in sorted(settings)
        if (*key, start) in here and (*key, base) in here
    }


def start_table(rows: Rows) -> str:
    """Accuracy from every start, matched and as it is."""
    lines = []
    for (data, fraction, matcher), own in grouped(rows, "set", "fraction", "matcher").items():
        cells = [f"{100 * fmean(row['accuracies']):.1f}" for row in own]
        matched = "yes" if matcher != "none" else "no"
        lines.append((name((data, fraction)), matched, *cells))
    starts = list(dict.fromkeys(row["start"] for row in rows))
    return table(("setting", "matched", *starts), lines) if lines else NOTHING


def start_answer(rows: Rows) -> str:
    """Is the window a better start than a random one, under the same update?"""
    matched, alone = (
        over_settings(start_pairs(rows, matcher, "window", "random"))
        for matcher in ("trajectory", "none")
    )
    said = answer(matched, "window minus random start, matched alike,")
    return f"{said} Without matching: {points(alone)}."
