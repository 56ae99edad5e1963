"""Question 1: where the best window lies, which search finds it, how far it carries."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from statistics import fmean

import numpy as np
from _concavity import shape
from results_table import table

from _questions.answers.common import NOTHING, Key, Rows, grouped, name, points, verdict
from _questions.commands import Row
from condense.studies.statistics import estimate, holm, paired_p
from condense.studies.tuning.result import Place

GROUPS = 7  # of neighbouring places, that concavity is judged on


def best_place(rows: Rows) -> Row:
    """The place of a curve with the highest mean."""
    return max(rows, key=lambda row: fmean(row["accuracies"]))


def window_curve(rows: Rows) -> str:
    """Best β, and where other places are within noise of it, of every setting."""
    lines = []
    for key, curve in grouped((r for r in rows if "accuracies" in r), "set", "fraction").items():
        best = best_place(curve)
        against = [paired_p(row["accuracies"], best["accuracies"]) for row in curve]
        level = [
            r["beta"] for r, p in zip(curve, holm(against), strict=True) if p is None or p > 0.05
        ]
        lines.append(
            (name(key), f"{best['beta']:.2f}", f"{100 * fmean(best['accuracies']):.1f}",
             f"{min(level):.2f}–{max(level):.2f}", shape(coarse(curve)).verdict)
        )  # fmt: skip
    head = ("setting", "best β", "accuracy, %", "not told from it", "the curve is")
    return table(head, lines) if lines else NOTHING


def coarse(curve: Rows, groups: int = GROUPS) -> list[Place]:
    """Neighbouring places as one, their mean seed by seed: a dent that is wider than chance."""
    parts = np.array_split(np.array([row["beta"] for row in curve]), min(groups, len(curve)))
    ends = np.cumsum([len(part) for part in parts])
    means = np.array([row["accuracies"] for row in curve])
    return [
        Place(values=(float(part.mean()),), accuracies=tuple(means[end - len(part) : end].mean(0)))
        for part, end in zip(parts, ends, strict=True)
    ]


def nearest(curve: Rows, beta: float) -> Row:
    """The place of ``curve`` that is nearest to ``beta``."""
    return min(curve, key=lambda row: abs(row["beta"] - beta))


def lost(curve: Rows, beta: float) -> float:
    """What ``beta`` lies below the best place of the curve (0–1)."""
    return fmean(best_place(curve)["accuracies"]) - fmean(nearest(curve, beta)["accuracies"])


def window_search(rows: Rows) -> str:
    """Regret over cost of every search, and of the rules that need none."""
    curves = grouped((r for r in rows if "accuracies" in r), "set", "fraction")
    found: dict[str, dict[Key, list[float]]] = defaultdict(lambda: defaultdict(list))
    steps: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        key = (row["set"], row["fraction"])
        if "search" in row and key in curves:
            found[row["search"]][key].append(lost(curves[key], row["beta"]))
            steps[row["search"]].append(row["steps"])
    for key, curve in curves.items():
        found["best fixed β of the other sets"][key].append(lost(curve, carried(curves, key)))
        each = [fmean(row["accuracies"]) for row in curve]
        found["any β, at random"][key].append(max(each) - fmean(each))
    lines = [
        (search, points(estimate([fmean(values) for values in own.values()])),
         f"{100 * max(fmean(v) for v in own.values()):.1f}",
         f"{fmean(steps[search]):,.0f}" if search in steps else "0")
        for search, own in found.items()
    ]  # fmt: skip
    head = ("search", "points lost to the best place", "at most", "optimiser steps")
    return table(head, lines) if lines else NOTHING


def carried(curves: Mapping[Key, Rows], key: Key) -> float:
    """The β, as a share of all that fits, with the least mean loss on the other sets at that size;
    in the terms of ``key``'s own curve."""
    others = [curve for other, curve in curves.items() if other[1] == key[1] and other[0] != key[0]]
    shares = [row["beta"] / curves[key][-1]["beta"] for row in curves[key]]
    if not others:
        return 0.5 * float(curves[key][-1]["beta"])
    best = min(shares, key=lambda s: fmean(lost(curve, s * curve[-1]["beta"]) for curve in others))
    return best * float(curves[key][-1]["beta"])


def window_falls(rows: Rows) -> str:
    """Does the best β fall as more is kept?"""
    curves = grouped((r for r in rows if "accuracies" in r), "set", "fraction")
    sizes: dict[str, dict[float, float]] = defaultdict(dict)
    for (data, fraction), curve in curves.items():
        sizes[data][fraction] = best_place(curve)["beta"]
    falls = estimate([own[min(own)] - own[max(own)] for own in sizes.values() if len(own) > 1])
    if falls is None:
        return NOTHING
    half = "–" if falls.half is None else f"{falls.half:.2f}"
    said = f"from the smallest to the largest size β falls by {falls.mean:.2f} ± {half}"
    return f"**{verdict(falls).capitalize()}**: {said} (n = {falls.n} sets)."
