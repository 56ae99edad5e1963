"""The tables and answers of docs/questions.md, out of the rows of every question."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from results_table import table

from _questions.answers import augmentations, scale, scores, starts, updates, window
from _questions.answers.common import NOTHING, Rows, by_set, found_with_power, over_sets

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
    "augmentation-by-alpha": ("6-update", augmentations.augmentation_by_alpha),
}


def blocks(rows: Mapping[str, Rows]) -> dict[str, str]:
    """Every block of the page, by name."""
    found = {key: make(rows.get(question, ())) for key, (question, make) in BLOCKS.items()}
    return found | {"cost-table": cost_table(rows), "power-table": power_table(rows)}


def power_table(rows: Mapping[str, Rows]) -> str:
    """The difference that each verdict's comparison would find, by the spread that it has."""
    starting, updating = rows.get("5-start", ()), rows.get("6-update", ())
    compared = {"5. window − random, matched": starts.start_pairs(starting, "trajectory", "window")}
    for said, pairs in updates.claims(updating).items():
        compared[f"6. {said}"] = pairs
    for other in augmentations.OTHERS:
        pairs = augmentations.augmentation_pairs(updating, other, "all")
        compared[f"7. {augmentations.BOTH} − {other}"] = pairs
    lines = []
    for said, pairs in compared.items():
        within = [found_with_power(one) for one in by_set(pairs).values()]
        known = sorted(100 * one for one in within if one is not None)
        over = found_with_power(over_sets(pairs))
        if known and over is not None:
            lines.append((said, f"{known[0]:.1f} to {known[-1]:.1f}", f"{100 * over:.1f}"))
    head = ("comparison", "within a data set, over seeds", "over the data sets")
    return table(head, lines) if lines else NOTHING


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
