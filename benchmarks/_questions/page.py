"""The tables and answers of docs/questions.md, out of the rows of every question.

A setting – a data set at a size – is the unit: a difference is taken seed by seed within it, its
mean counts once, and the interval is over the settings. Accuracies are 0–1 in rows, % in tables.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any

from _concavity import shape
from results_table import table

from _questions.commands import Row
from condense.studies.statistics import Estimate, difference, estimate, holm, paired_p
from condense.studies.tuning.result import Place

SUPPORTED, REFUTED, OPEN = "supported", "not supported", "not resolved"
NOTHING = "Not run yet."
Rows = Sequence[Row]
Key = tuple[Any, ...]


def verdict(found: Estimate | None, least: float = 0.0) -> str:
    """Of "it is above ``least``": supported where the interval is, refuted where it lies below."""
    if found is None or found.low is None or found.high is None:
        return OPEN
    return SUPPORTED if found.low > least else REFUTED if found.high < least else OPEN


def points(found: Estimate | None, digits: int = 1) -> str:
    """ "+1.2 ± 0.4 (n = 8)": points."""
    if found is None:
        return "–"
    half = "–" if found.half is None else f"{100 * found.half:.{digits}f}"
    return f"{100 * found.mean:+.{digits}f} ± {half} (n = {found.n})"


def answer(found: Estimate | None, what: str, least: float = 0.0) -> str:
    """A line: verdict, effect and its interval, number of settings."""
    return f"**{verdict(found, least).capitalize()}**: {what} {points(found)} points."


def grouped(rows: Iterable[Row], *keys: str) -> dict[Key, list[Row]]:
    """Rows by the values of ``keys``, in order."""
    found: dict[Key, list[Row]] = defaultdict(list)
    for row in rows:
        found[tuple(row[key] for key in keys)].append(row)
    return dict(found)


def over_settings(pairs: Mapping[Key, tuple[Sequence[float], Sequence[float]]]) -> Estimate | None:
    """The paired difference of each setting, then its mean over the settings."""
    each = [difference(own, base) for own, base in pairs.values()]
    return estimate([one.mean for one in each if one is not None])


def name(key: Key) -> str:
    """ "digits, 5 %"."""
    return f"{key[0]}, {100 * key[1]:g} %"


# --- 1


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
        places = [Place(values=(r["beta"],), accuracies=tuple(r["accuracies"])) for r in curve]
        lines.append(
            (name(key), f"{best['beta']:.2f}", f"{100 * fmean(best['accuracies']):.1f}",
             f"{min(level):.2f}–{max(level):.2f}", shape(places).verdict)
        )  # fmt: skip
    head = ("setting", "best β", "accuracy, %", "not told from it", "the curve is")
    return table(head, lines) if lines else NOTHING


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


# --- 2


def score_table(rows: Rows) -> str:
    """Accuracy by score and noise, each with the window that was chosen on a validation part, and
    which are told from the C-score."""
    chosen = [row for row in rows if "scorer" in row]
    noises = sorted({row["noise"] for row in chosen})
    lines = []
    for scorer in dict.fromkeys(row["scorer"] for row in chosen):
        cells = [scorer]
        for noise in noises:
            here = [r for r in chosen if r["noise"] == noise]
            own = grouped((r for r in here if r["scorer"] == scorer), "set", "fraction")
            base = grouped((r for r in here if r["scorer"] == "cscore"), "set", "fraction")
            pairs = {
                key: (own[key][0]["accuracies"], base[key][0]["accuracies"])
                for key in own.keys() & base.keys()
            }
            mean = estimate([fmean(a) for a, _ in pairs.values()])
            shown = "–" if mean is None else f"{100 * mean.mean:.1f}"
            cells.append(
                shown if scorer == "cscore" else f"{shown}: {points(over_settings(pairs))}"
            )
        lines.append(cells)
    head = ("score", *(f"{100 * noise:g} % flipped: accuracy, to cscore" for noise in noises))
    return table(head, lines) if lines else NOTHING


# --- 3


def scale_table(rows: Rows) -> str:
    """Seconds of the stages, memory and gain by size."""
    lines = []
    for row in rows:
        stages = {stage: lap["seconds"] for stage, lap in row["stages"].items()}
        told = [row["accuracy"], row["baselines"]["random"]]
        lines.append(
            (f"{row['samples']:,}", str(row["classes"]), f"{sum(stages.values()):,.0f}",
             ", ".join(f"{k} {v:,.0f}" for k, v in stages.items() if v >= 1),
             f"{row['peak_memory_mb']:,.0f}", *(f"{100 * one['mean']:.1f}" for one in told))
        )  # fmt: skip
    head = ("images", "classes", "seconds", "of which", "MB", "SelMatch, %", "random, %")
    return table(head, lines) if lines else NOTHING


# --- 5


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


# --- 6 and 7


def kept(row: Row, half: str) -> float:
    """Coverage after matching minus before."""
    return float(row["coverage"][-1][half] - row["coverage"][0][half])


def update_table(rows: Rows) -> str:
    """What matching does to the coverage of both halves, by α."""
    lines = []
    for (data, fraction, alpha), own in grouped(rows, "set", "fraction", "alpha").items():
        cells = [points(estimate([kept(row, half) for row in own])) for half in ("easy", "hard")]
        lines.append((name((data, fraction)), f"{alpha:g}", *cells))
    head = ("setting", "α", "easy half", "hard half")
    return table(head, lines) if lines else NOTHING


def by_alpha(rows: Rows, value: Callable[[Row], float], alpha: float, base: float) -> Any:
    """``value`` at ``alpha`` and at ``base``, seed by seed, by setting."""
    found = {}
    for key, own in grouped(rows, "set", "fraction").items():
        each = {(row["alpha"], row["seed"]): value(row) for row in own}
        seeds = [s for a, s in each if a == alpha and (base, s) in each]
        if seeds:
            found[key] = tuple([each[a, s] for s in seeds] for a in (alpha, base))
    return found


def update_answer(rows: Rows, partial: float = 0.4) -> str:
    """Does full update leave hard samples behind, and does a partial one keep them?"""
    effect = over_settings(by_alpha(rows, lambda row: kept(row, "hard"), partial, 1.0))
    what = f"of the hard half α = {partial:g} keeps, against full update,"
    return answer(effect, what)


def augmentation_pairs(rows: Rows, other: str, half: str) -> Mapping[Key, Any]:
    """Accuracy under ``combined`` and under ``other``, by setting and α."""
    found: dict[Key, tuple[list[float], list[float]]] = {}
    for key, own in grouped(rows, "set", "fraction", "alpha").items():
        both = [row["accuracy"] for row in own if other in row["accuracy"]]
        if both:
            found[key] = ([a["combined"][half] for a in both], [a[other][half] for a in both])
    return found


def augmentation_table(rows: Rows) -> str:
    """Combined minus each of its halves, on all, easy and hard test samples."""
    lines = [
        (f"combined − {other}",
         *(points(over_settings(augmentation_pairs(rows, other, half))) for half in HALVES))
        for other in ("dsa", "simple")
    ]  # fmt: skip
    return table(("", *HALVES), lines) if rows else NOTHING


HALVES = ("all", "easy", "hard")


def augmentation_answer(rows: Rows) -> str:
    """Is it better than the better of the two?"""
    each = [over_settings(augmentation_pairs(rows, other, "all")) for other in ("dsa", "simple")]
    known = [one for one in each if one is not None]
    worst = min(known, key=lambda one: one.mean, default=None)
    return answer(worst, "combined minus the better of its halves")


BLOCKS: dict[str, tuple[str, Callable[[Rows], str]]] = {
    "window-curve": ("1-window", window_curve),
    "window-search": ("1-window", window_search),
    "window-falls": ("1-window", window_falls),
    "score-table": ("2-scores", score_table),
    "scale-table": ("3-scale", scale_table),
    "start-table": ("5-start", start_table),
    "start-answer": ("5-start", start_answer),
    "update-table": ("6-update", update_table),
    "update-answer": ("6-update", update_answer),
    "augmentation-table": ("6-update", augmentation_table),
    "augmentation-answer": ("6-update", augmentation_answer),
}


def blocks(rows: Mapping[str, Rows]) -> dict[str, str]:
    """Every block of the page, by name."""
    return {key: make(rows.get(question, ())) for key, (question, make) in BLOCKS.items()}
