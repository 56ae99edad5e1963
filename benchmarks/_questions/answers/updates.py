"""Question 6: what α does to the coverage of easy and hard samples, and to accuracy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from statistics import fmean
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from results_table import table

from _questions.answers.common import (
    NOTHING,
    Curve,
    Key,
    Pair,
    Rows,
    all_supported,
    grouped,
    lost,
    mean_over_sets,
    name,
    over_sets,
    points,
    stated,
    verdict,
    within,
)
from _questions.commands import Row
from condense.studies.statistics import estimate

PARTIAL, FULL = 0.4, 1.0  # the α that are held against each other
DRAWS = 2000  # of the seeds, with replacement


def kept(row: Row, half: str) -> float:
    """Coverage after matching minus before."""
    return float(row["coverage"][-1][half] - row["coverage"][0][half])


def hard(row: Row) -> float:
    """What the hard half keeps."""
    return kept(row, "hard")


def uneven(row: Row) -> float:
    """What the hard half keeps more than the easy one."""
    return kept(row, "hard") - kept(row, "easy")


def complete(rows: Rows) -> dict[Key, Rows]:
    """The rows of every setting, of the seeds that have all α that any setting has."""
    alphas = {row["alpha"] for row in rows}
    found = {}
    for key, own in grouped(rows, "set", "fraction").items():
        seeds = grouped(own, "seed").values()
        full = [row for each in seeds if {r["alpha"] for r in each} == alphas for row in each]
        if full:
            found[key] = full
    return found


def update_table(rows: Rows) -> str:
    """What matching does to the coverage of both halves, by α."""
    lines = []
    for key, every in grouped(rows, "set", "fraction").items():
        for (alpha,), own in sorted(grouped(every, "alpha").items()):
            halves = [estimate([kept(row, half) for row in own]) for half in ("easy", "hard")]
            lines.append((name(key), f"{alpha:g}", *map(points, halves)))
    head = ("setting", "α", "easy half", "hard half")
    return table(head, lines) if lines else NOTHING


def by_seed(
    rows: Rows, value: Callable[[Row], float], alpha: float, base: float | None = None
) -> dict[Key, Pair]:
    """``value`` at ``alpha`` and at ``base``, seed by seed, by setting; 0 for no base."""
    found: dict[Key, Pair] = {}
    for key, own in complete(rows).items():
        each = {(row["alpha"], row["seed"]): value(row) for row in own}
        seeds = [s for a, s in each if a == alpha and (base is None or (base, s) in each)]
        if seeds:
            at_base = [0.0 if base is None else each[base, s] for s in seeds]
            found[key] = ([each[alpha, s] for s in seeds], at_base)
    return found


def claims(rows: Rows) -> dict[str, dict[Key, Pair]]:
    """What the mechanism says, in parts, each the difference that is to be above zero."""
    return {
        "full update: the hard half loses": by_seed(rows, lambda r: -hard(r), FULL),
        "full update: the hard half loses more than the easy one": by_seed(
            rows, lambda r: -uneven(r), FULL
        ),
        f"α = {PARTIAL:g} keeps of the hard half, against full update": by_seed(
            rows, hard, PARTIAL, FULL
        ),
    }


def update_answer(rows: Rows) -> str:
    """Does full update leave hard samples behind, and does a partial one keep them?"""
    parts = claims(rows)
    if not any(parts.values()):
        return NOTHING
    effects = {said: over_sets(pairs) for said, pairs in parts.items()}
    lines = []
    for said, pairs in parts.items():
        lines.append((said, verdict(effects[said]), points(effects[said]), within(pairs)))
    head = ("claim", "verdict", "points, over data sets", "within each, over seeds")
    answer = stated(all_supported(effects.values()), "the claim has three parts, all must hold.")
    return f"{answer}\n\n{table(head, lines)}"


class Paths(NamedTuple):
    """What a partial update is ahead of a full one in accuracy in a setting (0–1).

    Attributes:
        total: mean accuracy at :data:`PARTIAL` minus that at :data:`FULL`.
        through: what of it goes with the coverage of the hard half: the slope of accuracy on
            coverage among sets of equal α, times what coverage gains.
        low, high: 95 % of ``through`` over the seeds, by bootstrap.
    """

    total: float
    through: float
    low: float
    high: float


def mediated(rows: Rows) -> Paths | None:
    """Of one setting, every seed with every α; None where coverage does not vary."""
    alphas = sorted({row["alpha"] for row in rows})
    seeds = sorted({row["seed"] for row in rows})
    if len(seeds) < 2 or not {PARTIAL, FULL} <= set(alphas):
        return None
    cell = {(row["seed"], row["alpha"]): (hard(row), accuracy(row)) for row in rows}
    each = np.array([[cell[s, a] for a in alphas] for s in seeds])  # [seeds, α, 2]
    ends = alphas.index(PARTIAL), alphas.index(FULL)
    found = _through(each, ends)
    if found is None:
        return None
    rng = np.random.default_rng(0)
    drawn = (_through(each[rng.integers(0, len(seeds), len(seeds))], ends) for _ in range(DRAWS))
    low, high = np.quantile([one for one in drawn if one is not None], [0.025, 0.975])
    total = float((each[:, ends[0], 1] - each[:, ends[1], 1]).mean())
    return Paths(total, found, float(low), float(high))


def _through(each: NDArray[np.float64], ends: tuple[int, int]) -> float | None:
    """Slope within α and seed, times the difference of coverage; None where nothing varies."""
    inner = each - each.mean(0) - each.mean(1, keepdims=True) + each.mean((0, 1))
    spread = float((inner[..., 0] ** 2).sum())
    if spread < 1e-12:
        return None
    slope = float((inner[..., 0] * inner[..., 1]).sum()) / spread
    return slope * float((each[:, ends[0], 0] - each[:, ends[1], 0]).mean())


def accuracy(row: Row) -> float:
    """Of the whole test split, under the augmentation that SelMatch has."""
    under = row["accuracy"].get("combined", row["accuracy"].get("none"))
    return float(under["all"])


def mediation_table(rows: Rows) -> str:
    """What a partial update is ahead in accuracy, and what of it goes with hard coverage."""
    found = {key: mediated(own) for key, own in complete(rows).items()}
    known = {key: paths for key, paths in found.items() if paths is not None}
    if not known:
        return NOTHING
    lines = [
        (name(key), f"{100 * p.total:+.1f}",
         f"{100 * p.through:+.1f} ({100 * p.low:+.1f} to {100 * p.high:+.1f})")
        for key, p in known.items()
    ]  # fmt: skip
    total, through = (
        mean_over_sets({key: paths[place] for key, paths in known.items()}) for place in (0, 1)
    )
    lines.append(("over data sets", points(total), points(through)))
    head = ("setting", f"α = {PARTIAL:g} minus full update, accuracy", "through coverage (95 %)")
    said = f"what goes through the coverage of hard samples is {points(through)} points."
    return f"{stated(verdict(through), said)}\n\n{table(head, lines)}"


def alpha_table(rows: Rows) -> str:
    """Accuracy by α, and what is lost by the α that is best on the other data sets."""
    curves = {key: alpha_curve(own) for key, own in complete(rows).items()}
    alphas = sorted({row["alpha"] for row in rows})
    lines, gaps = [], {}
    for key, curve in curves.items():
        cells = [f"{100 * fmean(at['accuracies']):.1f}" for at in curve]
        if (at := carried(curves, key)) is None:
            lines.append((name(key), *cells, "–", "–"))
            continue
        gaps[key] = lost(curve, curve[at]["accuracies"])
        lines.append((name(key), *cells, f"{curve[at]['alpha']:g}", f"{100 * gaps[key]:.1f}"))
    blank = [""] * (len(alphas) + 1)
    lines.append(("over data sets", *blank, points(mean_over_sets(gaps))))
    head = ("setting", *(f"α = {a:g}" for a in alphas), "the others' best α", "points lost by it")
    return table(head, lines) if curves else NOTHING


def alpha_curve(rows: Rows) -> Curve:
    """Accuracies by α of one setting, α ascending, seeds in order."""
    return [
        {"alpha": a, "accuracies": [accuracy(r) for r in sorted(own, key=lambda r: r["seed"])]}
        for (a,), own in sorted(grouped(rows, "alpha").items())
    ]


def carried(curves: Mapping[Key, Curve], key: Key) -> int | None:
    """Which α is best on the mean of the other data sets at that size; None where there are
    none."""
    others = [c for other, c in curves.items() if other[0] != key[0] and other[1] == key[1]]
    if not others:
        return None
    places = range(len(curves[key]))
    return max(places, key=lambda at: fmean(fmean(c[at]["accuracies"]) for c in others))
