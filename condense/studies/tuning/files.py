"""The files of a tuning: ``tune.json``, ``.csv``, ``.png``, ``.svg`` and ``recipe.toml``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes

from condense.figures.formats import counted
from condense.figures.plots import PERCENT, Line, paint_lines
from condense.recipe import recipe_toml, written_in
from condense.studies.files import csv_text, study_layout, write_study
from condense.studies.tuning.result import OptionSearch, Place, Tuning, TuningDocument
from condense.studies.tuning.search import NARROW, NOISE

LABEL = "validation accuracy, % (± standard error)"
OWNED = study_layout("tune", "arms", "validation", more=("recipe.toml",))
WHY = {
    NARROW: "The search zoomed in to the end.",
    NOISE: "The search stopped where noise hides the optimum.",
}


def write_tuning(result: Tuning, folder: Path) -> Path:
    """The files in ``folder``, all or nothing; equal results give equal bytes.

    Args:
        result: what was found.
        folder: replaced if it holds a tuning already.

    Raises:
        OutputError: if it cannot be written or holds something else.
    """
    document, files = result.document, {}
    panels: list[Callable[[Axes], None]] = []
    if result.recipe is not None:
        table = result.recipe.portable(document.data)
        recipe = recipe_toml(written_in(folder, table, result.recipe.paths, document.data)[0])
        files = {"tune.csv": to_csv(document), "recipe.toml": recipe}
        panels = [
            partial(paint_lines, (key, LABEL), curves(document, key), "o", limits=PERCENT)
            for key in document.keys
        ]
    return write_study(folder, OWNED, document.model_dump(mode="json"), files, panels)


def to_csv(document: TuningDocument) -> str:
    """One line a place: arm, values, accuracy with its standard error, every seed."""
    rows: list[dict[str, Any]] = []
    for arm, search in document.searches:
        lengths = [0] * len(search.points) + [1] * len(search.finals)
        for place, full in zip((*search.points, *search.finals), lengths, strict=True):
            accuracy = place.accuracy
            seeds = {f"seed_{document.seed + i}": a for i, a in enumerate(place.accuracies)}
            rows.append(
                {
                    "arm": arm.name,
                    **dict(zip(search.keys, place.values, strict=True)),
                    "matched": int(search.matched),
                    "full_length": full,
                    "best": int(place is search.top),
                    "n": accuracy.n,
                    "accuracy": accuracy.mean,
                    "standard_error": accuracy.standard_error,
                    **seeds,
                }
            )
    return csv_text(rows)


def in_words(search: OptionSearch) -> list[str]:
    """Where the best lies, how sure that is, and why the search ended."""
    top = ", ".join(f"{key} = {value:g}" for key, value in search.found.items())
    accuracy = search.top.accuracy
    error = accuracy.standard_error
    figures = f"{100 * accuracy.mean:.2f}" + ("" if error is None else f" ± {100 * error:.2f}")
    length = " at full length" if search.finals else ""
    lines = [f"Best: {top}, at {figures} %{length} ({counted(accuracy.n, 'seed')})."]
    if search.plateau is not None and search.plateau[0] < search.plateau[1]:
        low, high = search.plateau
        lines.append(
            f"Plateau: from {low:g} to {high:g} no value tried differs from it "
            "by more than a paired standard error."
        )
    if search.edge is not None and len(search.keys) == 1:
        low, high = search.ranges[0]
        lines.append(f"It lies at the edge of the range {low:g} to {high:g} ({search.edge} value).")
    if search.stop in WHY:
        lines.append(WHY[search.stop])
    return lines


def curves(document: TuningDocument, key: str) -> list[Line]:
    """Accuracy in % with standard errors over the values of ``key``, full length in diamonds."""
    searches = [(arm, search) for arm, search in document.searches if key in search.keys]
    lines, finals = [], []
    for number, (arm, search) in enumerate(searches):
        place = search.keys.index(key)
        alone = len(search.keys) == 1
        lines.append(
            _line(arm.name or "short trainings", search.points, place, number, joined=alone)
        )
        if search.finals:
            name = f"{arm.name} at full length".strip()
            colour = number if len(searches) > 1 else 1  # a lone curve's in another colour
            finals.append(_line(name, search.finals, place, colour, joined=False))
    return lines + finals


def _line(name: str, points: Sequence[Place], place: int, colour: int, joined: bool) -> Line:
    ordered = sorted(points, key=lambda p: p.values[place])
    errors = [p.accuracy.standard_error for p in ordered]
    return Line(
        name,
        tuple(p.values[place] for p in ordered),
        tuple(100 * p.mean for p in ordered),
        tuple(None if error is None else 100 * error for error in errors),
        look=(colour, 0),
        joined=joined,
    )
