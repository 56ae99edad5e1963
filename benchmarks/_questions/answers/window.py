"""Question 1: where the best window lies, which search finds it, how far it carries."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean

import numpy as np
from _concavity import shape
from results_table import table

from _questions.answers.common import (
    NOTHING,
    SMALL,
    Curve,
    Key,
    Rows,
    all_supported,
    best_place,
    grouped,
    lost,
    mean_over_sets,
    name,
    points,
    stated,
)
from _questions.commands import Row
from condense.studies.statistics import estimate, holm, paired_p
from condense.studies.tuning.result import Place

GROUPS = 7  # of neighbouring places, that concavity is judged on
SMOOTH = 3  # neighbouring places whose mean says where a curve is highest
SIZES = (0.05, 0.2)  # between which the best place is said to fall

ANY = "any place at random"


def curves_of(rows: Rows) -> dict[Key, Curve]:
    """The places of every setting, in the order of β."""
    return dict(grouped((row for row in rows if "accuracies" in row), "set", "fraction"))


def window_curve(rows: Rows) -> str:
    """Best β of every setting, how many places come near it, and the curve's shape."""
    lines = []
    for key, curve in curves_of(rows).items():
        best = curve[best_place(curve)]
        against = holm([paired_p(row["accuracies"], best["accuracies"]) for row in curve])
        top = fmean(best["accuracies"])
        near = sum(top - fmean(row["accuracies"]) <= SMALL for row in curve)
        level = sum(p is None or p > 0.05 for p in against)
        shapes = (shape(coarse(curve, groups)).verdict for groups in (GROUPS, len(curve)))
        places = (f"{count} of {len(curve)}" for count in (near, level))
        lines.append((name(key), f"{best['beta']:.2f}", f"{100 * top:.1f}", *places, *shapes))
    near_by = ("within a point", "not significantly lower")
    head = ("setting", "best β", "accuracy, %", *near_by, f"by {GROUPS} groups", "by all places")
    return table(head, lines) if lines else NOTHING


def coarse(curve: Curve, groups: int = GROUPS) -> list[Place]:
    """Neighbouring places as one, their mean seed by seed: a dent that is wider than chance."""
    parts = np.array_split(np.array([row["beta"] for row in curve]), min(groups, len(curve)))
    ends = np.cumsum([len(part) for part in parts])
    means = np.array([row["accuracies"] for row in curve])
    return [
        Place(values=(float(part.mean()),), accuracies=tuple(means[end - len(part) : end].mean(0)))
        for part, end in zip(parts, ends, strict=True)
    ]


def peak(curve: Curve) -> float:
    """Where the running mean of :data:`SMOOTH` places is highest, 0 the hardest window, 1 the
    easiest that fits: β itself has less room the more is kept."""
    return float(_smooth_best(curve)) / (len(curve) - 1)


def _smooth_best(curve: Curve) -> int:
    means = [fmean(row["accuracies"]) for row in curve]
    return int(np.convolve(means, np.ones(SMOOTH), "valid").argmax()) + SMOOTH // 2


def window_falls(rows: Rows) -> str:
    """Does the best window move to harder samples as more is kept?"""
    curves = curves_of(rows)
    sets = {data for data, _ in curves if all((data, size) in curves for size in SIZES)}
    readings: dict[str, Callable[[Curve], float]] = {
        "as a share of the range that fits": peak,
        "β itself": lambda curve: float(curve[_smooth_best(curve)]["beta"]),
        "β of the best single place": lambda curve: float(curve[best_place(curve)]["beta"]),
    }
    fewer, more = ([curves[data, size] for data in sorted(sets)] for size in SIZES)
    found = {
        said: estimate([read(a) - read(b) for a, b in zip(fewer, more, strict=True)])
        for said, read in readings.items()
    }
    known = {said: one for said, one in found.items() if one is not None}
    if not known:
        return NOTHING
    each = (
        f"{said} {one.mean:.2f} ± {'–' if one.half is None else f'{one.half:.2f}'}"
        for said, one in known.items()
    )
    told = f"from 5 % to 20 % the peak falls by, {', '.join(each)} ({len(sets)} data sets)."
    return stated(all_supported(known.values()), told)


def window_search(rows: Rows) -> str:
    """Points lost over cost, of every search and of what needs none."""
    found, steps = searched(rows)
    if not found:
        return NOTHING
    lines = []
    for search, own in found.items():
        less = {key: own[key] - value for key, value in found["tune"].items() if key in own}
        cost = f"{fmean(steps[search]):,.0f}" if search in steps else ""
        against = "" if search == "tune" else points(mean_over_sets(less))
        gained = {key: found[ANY][key] - value for key, value in own.items()}
        ahead = "" if search == ANY else points(mean_over_sets(gained))
        at_most = f"{100 * max(own.values()):.1f}"
        lines.append((search, points(mean_over_sets(own)), at_most, against, ahead, cost))
    versus = ("more than tune", f"less than {ANY}")
    head = ("search", "points lost to the best place", "at most", *versus, "steps")
    return table(head, lines)


def searched(rows: Rows) -> tuple[dict[str, dict[Key, float]], dict[str, list[float]]]:
    """Points (0–1) lost by search and setting, and the optimiser steps of each search."""
    curves = curves_of(rows)
    each: dict[str, dict[Key, list[float]]] = defaultdict(lambda: defaultdict(list))
    steps: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        key = (row["set"], row["fraction"])
        if "search" in row and key in curves:
            each[row["search"]][key].append(lost(curves[key], row["tested"]))
            steps[row["search"]].append(row["steps"])
    found = {s: {key: fmean(v) for key, v in own.items()} for s, own in each.items()}
    if found:
        rule = {key: carried(curves, key) for key in curves}
        found["the other sets' best place"] = {
            key: lost_at(curves[key], share) for key, share in rule.items() if share is not None
        }
        found[ANY] = {
            key: fmean(lost(curve, row["accuracies"]) for row in curve)
            for key, curve in curves.items()
        }
    return {search: own for search, own in found.items() if own}, steps


def lost_at(curve: Curve, share: float) -> float:
    """What the place at ``share`` of the range loses."""
    return lost(curve, at_share(curve, share)["accuracies"])


def at_share(curve: Curve, share: float) -> Row:
    """The place at ``share`` of the range."""
    return curve[round(share * (len(curve) - 1))]


def fitted(curves: Sequence[Curve]) -> float:
    """The share of the range that loses least on the mean of ``curves``: what each is held against
    is the same for all shares."""
    shares = [i / 20 for i in range(21)]
    return max(shares, key=lambda s: fmean(fmean(at_share(c, s)["accuracies"]) for c in curves))


def carried(curves: Mapping[Key, Curve], key: Key) -> float | None:
    """The share that suits the other data sets best at that size; None of fewer than two."""
    others = [c for other, c in curves.items() if other[1] == key[1] and other[0] != key[0]]
    return fitted(others) if len(others) > 1 else None


def window_rule(rows: Rows) -> str:
    """The place that needs no search, by size, and what one set's best place loses on another."""
    curves = curves_of(rows)
    lines = []
    for size in sorted({fraction for _, fraction in curves}):
        own = {data: curve for (data, fraction), curve in curves.items() if fraction == size}
        if len(own) < 2:
            continue
        share = fitted(list(own.values()))
        best = {data: fitted([curve]) for data, curve in own.items()}
        each = [fmean(lost_at(own[b], best[a]) for a in own if a != b) for b in own]
        beta = fmean(at_share(curve, share)["beta"] for curve in own.values())
        carry = points(estimate(each))
        lines.append((f"{100 * size:g} %", f"{beta:.2f}", carry))
    head = ("kept", "β that suits all best", "points lost by another set's best β")
    return table(head, lines) if lines else NOTHING
