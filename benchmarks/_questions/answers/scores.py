"""Question 2: what each score is worth with its own best window, and how far scores agree."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from results_table import table

from _questions.answers.common import NOTHING, Key, Rows, grouped, over_settings, points
from _questions.commands import Row
from condense.studies.statistics import estimate, holm, paired_p

BASE = "cscore"


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


def worth(rows: Rows, noise: float) -> dict[str, dict[Key, float]]:
    """Mean accuracy of every score by setting, of the settings that all of them were run in."""
    here = [row for row in rows if "scorer" in row and row["noise"] == noise]
    found: dict[str, dict[Key, float]] = {}
    for row in here:
        own = found.setdefault(row["scorer"], {})
        own[row["set"], row["fraction"]] = fmean(row["accuracies"])
    shared = set.intersection(*(set(own) for own in found.values())) if found else set()
    return {scorer: {key: own[key] for key in sorted(shared)} for scorer, own in found.items()}


def level_with_best(values: dict[str, dict[Key, float]]) -> tuple[str, list[str]]:
    """The score of the highest mean, and those that are not told from it: a paired t test over
    the settings for each, Holm's correction, 5 %."""
    means = {scorer: fmean(own.values()) for scorer, own in values.items()}
    best = max(means, key=means.__getitem__)
    others = [scorer for scorer in values if scorer != best]
    mine = list(values[best].values())
    found = holm([paired_p(list(values[scorer].values()), mine) for scorer in others])
    return best, [s for s, p in zip(others, found, strict=True) if p is None or p > 0.05]


def score_choice(rows: Rows) -> str:
    """Which to take at each share of flipped labels."""
    lines = []
    for noise in sorted({row["noise"] for row in rows if "scorer" in row}):
        values = worth(rows, noise)
        settings = len(next(iter(values.values())))
        if settings:
            best, level = level_with_best(values)
            mean = f"{best}, {100 * fmean(values[best].values()):.1f}"
            lines.append((f"{100 * noise:g} %", mean, ", ".join(level) or "none", str(settings)))
    head = ("flipped labels", "highest mean, %", "not told from it", "settings")
    return table(head, lines) if lines else NOTHING


def score_agreement(rows: Rows) -> str:
    """Rank correlation of each score with the C-score by share of flipped labels, and of the
    halves of its own networks."""
    compared = [row for row in rows if "comparison" in row]
    noises = sorted({row["noise"] for row in compared})
    names = [one["name"] for row in compared for one in row["comparison"]["scorers"]]
    lines = []
    for scorer in dict.fromkeys(names):
        cells = [scorer]
        for noise in noises:
            here = [row["comparison"] for row in compared if row["noise"] == noise]
            cells.append(_mean([_with_base(one, scorer) for one in here]))
        halves = [
            one["split_half"]
            for row in compared
            for one in row["comparison"]["scorers"]
            if one["name"] == scorer
        ]
        lines.append((*cells, _mean(halves)))
    to_base = (f"with {BASE}, {100 * noise:g} % flipped" for noise in noises)
    return table(("score", *to_base, "halves of its networks"), lines) if lines else NOTHING


def _with_base(comparison: Row, scorer: str) -> float | None:
    names = [one["name"] for one in comparison["scorers"]]
    if scorer not in names or BASE not in names:
        return None
    return float(comparison["rank_correlation"][names.index(scorer)][names.index(BASE)])


def _mean(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{fmean(known):.2f}" if known else "–"
