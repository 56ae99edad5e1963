"""Question 2: what each score is worth with its own best window, and how far scores agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

from results_table import table

from _questions.answers.common import NOTHING, Key, Pair, Rows, over_sets, points
from _questions.commands import Row
from _questions.scores import FEW
from condense.studies.statistics import holm, paired_p

BASE = "cscore"
Worth = dict[str, dict[Key, list[float]]]


def worth(rows: Rows, noise: float) -> Worth:
    """Accuracies of every score by setting, of the settings that all of them were run in at every
    share of flipped labels that any was."""
    here = [row for row in rows if "scorer" in row]
    noises, scorers = {row["noise"] for row in here}, {row["scorer"] for row in here}
    cells = {(r["set"], r["fraction"], r["noise"], r["scorer"]): r["accuracies"] for r in here}
    shared = [
        key
        for key in dict.fromkeys((row["set"], row["fraction"]) for row in here)
        if all((*key, n, scorer) in cells for n in noises for scorer in scorers)
    ]
    names = dict.fromkeys(row["scorer"] for row in here)
    return {scorer: {key: cells[(*key, noise, scorer)] for key in shared} for scorer in names}


def score_table(rows: Rows) -> str:
    """Accuracy by score and noise, each with the window that was chosen on a validation part, and
    points to the C-score."""
    noises = sorted({row["noise"] for row in rows if "scorer" in row})
    values = {noise: worth(rows, noise) for noise in noises}
    if not any(own for each in values.values() for own in each.values()):
        return NOTHING
    lines = []
    for scorer in values[noises[0]]:
        cells = [scorer]
        for noise in noises:
            own, base = values[noise][scorer], values[noise][BASE]
            pairs: dict[Key, Pair] = {key: (own[key], base[key]) for key in own}
            shown = f"{100 * fmean(by_data(own)):.1f}" if own else "–"
            cells.append(shown if scorer == BASE else f"{shown}: {points(over_sets(pairs))}")
        lines.append(cells)
    head = ("score", *(f"{100 * noise:g} % flipped" for noise in noises))
    return table(head, lines)


def level_with_best(values: Worth) -> tuple[str, list[str]]:
    """The score of the highest mean, and those that are not significantly lower: a t test over
    the data sets for each, Holm's correction, 5 %."""
    means = {scorer: by_data(own) for scorer, own in values.items()}
    best = max(means, key=lambda scorer: fmean(means[scorer]))
    others = [scorer for scorer in values if scorer != best]
    found = holm([paired_p(means[scorer], means[best]) for scorer in others])
    return best, [s for s, p in zip(others, found, strict=True) if p is None or p > 0.05]


def by_data(own: Mapping[Key, Sequence[float]]) -> list[float]:
    """The mean over seeds and sizes, data set by data set."""
    names = dict.fromkeys(data for data, _ in own)
    return [fmean(fmean(v) for (data, _), v in own.items() if data == name) for name in names]


def score_choice(rows: Rows) -> str:
    """Which to take at each share of flipped labels, of all scores and of the few that more data
    were run for."""
    lines = []
    few = [row for row in rows if row.get("scorer") in FEW and row["noise"] in (0.0, 0.2)]
    for said, part in (("all", rows), ("few", few)):
        for noise in sorted({row["noise"] for row in part if "scorer" in row}):
            values = worth(part, noise)
            settings = next(iter(values.values()))
            if settings:
                best, level = level_with_best(values)
                mean = fmean(by_data(values[best]))
                data = ", ".join(dict.fromkeys(name for name, _ in settings))
                lines.append((f"{100 * noise:g} %", said, f"{best}, {100 * mean:.1f}",
                              ", ".join(level) or "none", data))  # fmt: skip
    head = ("flipped", "scores", "highest mean, %", "not significantly lower", "data")
    return table(head, lines) if lines else NOTHING


def score_agreement(rows: Rows) -> str:
    """Rank correlation of each score with the C-score by share of flipped labels, and of its own
    values under three seeds."""
    compared = [row for row in rows if "comparison" in row]
    noises = sorted({row["noise"] for row in compared})
    lines = []
    for scorer in dict.fromkeys(name for row in compared for name in row["stable"]):
        cells = []
        for what in (_with_base, _stable):
            for noise in noises:
                here = [row for row in compared if row["noise"] == noise]
                cells.append(_mean([what(row, scorer) for row in here]))
        lines.append((scorer, *cells))
    head = [f"{what}, {100 * n:g} %" for what in (f"with {BASE}", "over seeds") for n in noises]
    return table(("score", *head), lines) if lines else NOTHING


def _with_base(row: Row, scorer: str) -> float | None:
    comparison = row["comparison"]
    names = [one["name"] for one in comparison["scorers"]]
    if scorer not in names or BASE not in names:
        return None
    return float(comparison["rank_correlation"][names.index(scorer)][names.index(BASE)])


def _stable(row: Row, scorer: str) -> float | None:
    found = row["stable"].get(scorer)
    return None if found is None else float(found)


def _mean(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{fmean(known):.2f}" if known else "–"
