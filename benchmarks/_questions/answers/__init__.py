"""The tables and answers of docs/questions.md, out of the rows of every question."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from _questions.answers import augmentations, scale, scores, starts, updates, window
from _questions.answers.common import Rows

BLOCKS: dict[str, tuple[str, Callable[[Rows], str]]] = {
    "window-curve": ("1-window", window.window_curve),
    "window-search": ("1-window", window.window_search),
    "window-falls": ("1-window", window.window_falls),
    "score-table": ("2-scores", scores.score_table),
    "score-choice": ("2-scores", scores.score_choice),
    "score-agreement": ("2-scores", scores.score_agreement),
    "scale-table": ("3-scale", scale.scale_table),
    "start-table": ("5-start", starts.start_table),
    "start-answer": ("5-start", starts.start_answer),
    "update-table": ("6-update", updates.update_table),
    "update-answer": ("6-update", updates.update_answer),
    "mediation-table": ("6-update", updates.mediation_table),
    "alpha-table": ("6-update", updates.alpha_table),
    "augmentation-table": ("6-update", augmentations.augmentation_table),
    "augmentation-answer": ("6-update", augmentations.augmentation_answer),
}


def blocks(rows: Mapping[str, Rows]) -> dict[str, str]:
    """Every block of the page, by name."""
    return {key: make(rows.get(question, ())) for key, (question, make) in BLOCKS.items()}
