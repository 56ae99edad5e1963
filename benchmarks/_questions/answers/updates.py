"""Question 6: what α does to the coverage of easy and hard samples, and to accuracy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np
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
from _questions.commands import Row
from condense.studies.statistics import estimate


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


class Paths(NamedTuple):
    """What α does to accuracy in a setting, from the smallest α to the largest (0–1).

    Attributes:
        total: slope of accuracy on α, over the runs, each seed about its own mean.
        direct: the same with the coverage of the hard half held equal.
        through: total − direct, what goes with that coverage.
    """

    total: float
    direct: float
    through: float


def mediated(rows: Rows) -> Paths | None:
    """The regressions of one setting's runs; None where α or coverage does not vary."""
    each = np.array([[r["alpha"], kept(r, "hard"), accuracy(r)] for r in rows])
    seeds = np.array([row["seed"] for row in rows])
    for seed in set(seeds.tolist()):
        each[seeds == seed] -= each[seeds == seed].mean(0)
    alpha, own = each[:, 0], each[:, 2]
    if np.linalg.matrix_rank(each[:, :2], tol=1e-9) < 2:
        return None
    width = float(max(r["alpha"] for r in rows) - min(r["alpha"] for r in rows))
    total = float(alpha @ own / (alpha @ alpha)) * width
    direct = float(np.linalg.lstsq(each[:, :2], own, rcond=None)[0][0]) * width
    return Paths(total, direct, total - direct)


def accuracy(row: Row) -> float:
    """Of the whole test split, under the augmentation that SelMatch has."""
    under = row["accuracy"].get("combined", row["accuracy"].get("none"))
    return float(under["all"])


def mediation_table(rows: Rows) -> str:
    """Effect of α on accuracy, and what of it goes with the coverage of hard samples."""
    found = {key: mediated(own) for key, own in grouped(rows, "set", "fraction").items()}
    known = {key: paths for key, paths in found.items() if paths is not None}
    lines = [(name(key), *(f"{100 * p:+.1f}" for p in paths)) for key, paths in known.items()]
    pooled = [points(estimate(column)) for column in zip(*known.values(), strict=True)]
    lines.append(("mean over settings", *pooled))
    head = ("setting", "effect of α, smallest to largest", "coverage held equal", "through it")
    return table(head, lines) if known else NOTHING


def alpha_table(rows: Rows) -> str:
    """Accuracy by α, and what is lost by the α that is best on the other settings."""
    settings = grouped(rows, "set", "fraction")
    curves = {key: alpha_curve(own) for key, own in settings.items()}
    alphas = sorted({row["alpha"] for row in rows})
    lines = []
    for key, curve in curves.items():
        cells = [f"{100 * curve[a]:.1f}" if a in curve else "–" for a in alphas]
        gap = lost_by_carrying(curves, key)
        lines.append((name(key), *cells, "–" if gap is None else f"{100 * gap:.1f}"))
    gaps = [gap for key in curves if (gap := lost_by_carrying(curves, key)) is not None]
    lines.append(("mean over settings", *[""] * len(alphas), points(estimate(gaps))))
    head = ("setting", *(f"α = {a:g}" for a in alphas), "lost by the others' best")
    return table(head, lines) if rows else NOTHING


def alpha_curve(rows: Rows) -> dict[float, float]:
    """Mean accuracy by α of one setting."""
    return {a: fmean(map(accuracy, own)) for (a,), own in grouped(rows, "alpha").items()}


def lost_by_carrying(curves: Mapping[Key, Mapping[float, float]], key: Key) -> float | None:
    """Points (0–1) below its best α that ``key`` has at the α of the least mean loss on the other
    data sets; None where there are none."""
    others = [curve for other, curve in curves.items() if other[0] != key[0]]
    if not others:
        return None
    shared = set(curves[key]).intersection(*others)
    carried = min(shared, key=lambda a: fmean(max(c.values()) - c[a] for c in others))
    return max(curves[key].values()) - curves[key][carried]
