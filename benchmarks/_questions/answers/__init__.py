"""The tables and answers of docs/questions.md, out of the rows of every question."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from results_table import table

from _questions.answers import augmentations, scale, scores, starts, updates, window
from _questions.answers.common import Rows

BLOCKS: dict[str, tuple[str, Callable[[Rows], str]]] = {
    "window-curve": ("1-window", window.window_curve),
    "window-search": ("1-window", window.window_search),
    "window-falls": ("1-window", window.window_falls),
    "window-rule": ("1-window", window.window_rule),
    "score-table": ("2-scores", scores.score_table),
    "score-choice": ("2-scores", scores.score_choice),
    "score-agreement": ("2-scores", scores.score_agreement),
    "scale-table": ("3-scale", scale.scale_table),
    "start-answer": ("5-start", starts.start_answer),
    "start-table": ("5-start", starts.start_table),
    "update-answer": ("6-update", updates.update_answer),
    "update-table": ("6-update", updates.update_table),
    "mediation-table": ("6-update", updates.mediation_table),
    "alpha-table": ("6-update", updates.alpha_table),
    "augmentation-answer": ("6-update", augmentations.augmentation_answer),
    "augmentation-table": ("6-update", augmentations.augmentation_table),
}


def blocks(rows: Mapping[str, Rows]) -> dict[str, str]:
    """Every block of the page, by name."""
    found = {key: make(rows.get(question, ())) for key, (question, make) in BLOCKS.items()}
    return found | {"cost-table": cost_table(rows)}


def cost_table(rows: Mapping[str, Rows]) -> str:
    """Pieces that were run, of which data, and the minutes that they took, by question."""
    lines, every = [], []
    for question, own in rows.items():
        seconds = {row["piece"]: row["seconds"] for row in own}
        data = dict.fromkeys(piece.split()[0] for piece in seconds)
        lines.append((question, ", ".join(data), *_sum(seconds.values())))
        every += seconds.values()
    lines.append(("all", "", *_sum(every)))
    return table(("question", "of", "pieces", "minutes of one core"), lines)


def _sum(seconds: Collection[float]) -> tuple[str, str]:
    """How many there are, and their minutes."""
    return str(len(seconds)), f"{sum(seconds) / 60:,.0f}"
