"""The files of an ablation: ``ablation.json``, ``.csv``, ``.png`` and ``.svg``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes

from condense.figures.files import PANEL
from condense.figures.plots import PERCENT, Dot, Line, paint_dots, paint_over_sizes
from condense.studies.ablation.design import SIZES, Study
from condense.studies.ablation.result import AblationCell, AblationDocument, MainEffect
from condense.studies.binding import Bind, study_folder
from condense.studies.files import csv_text, dot_of, ends, study_layout, write_study
from condense.studies.statistics import Estimate

OVER_LEGEND = 34.0  # points that a title is above its axes where a legend stands between
OWNED = study_layout("ablation", "cells", "main_effects")


def ablation_folder(study: Study, bind: Bind) -> Path:
    """Its folder by default, named after all that its results depend on."""
    varied = [[factor.key for factor in study.factors], list(study.seeds), study.one_at_a_time]
    others = [cell.recipe for cell in study.cells]
    return study_folder("ablate", study.base, others, [*varied, study.validation], bind)


def write_ablation(document: AblationDocument, folder: Path) -> Path:
    """The files in ``folder``, as :func:`~condense.studies.files.write_study` writes them."""
    key, lines = size_lines(document)
    panels: list[Callable[[Axes], None]] = [partial(_paint_cells, document)]
    rows = len(document.cells)
    if lines:
        panels, rows = [partial(_paint_sizes, document, key, lines)], 8
    effects = [
        dot_of(effect_name(effect), effect.effect)
        for effect in document.main_effects
        if effect.effect is not None
    ]
    if effects:
        panels.append(partial(_paint_effects, effects, OVER_LEGEND if lines else None))
    size = PANEL[0], 1.4 + 0.3 * max(rows, len(effects))
    files = {"ablation.csv": to_csv(document)}
    return write_study(folder, OWNED, document.to_json(), files, panels, size)


def to_csv(document: AblationDocument) -> str:
    """One line a cell: its values, accuracy and difference with their intervals, every seed."""
    return csv_text([_line(document, cell) for cell in document.cells])


def _line(document: AblationDocument, cell: AblationCell) -> dict[str, Any]:
    random = ends("random", cell.random) | ends("to_random", cell.to_random)
    return {
        "cell": cell.name,
        "base": int(cell.base),
        **{f["key"]: cell.values.get(f["key"], "") for f in document.factors},
        "n": len(cell.accuracies) - cell.accuracies.count(None),
        **ends("accuracy", cell.accuracy, before=""),
        **ends("difference", cell.difference),
        **(random if document.is_sweep else {}),
        **{f"seed_{s}": a for s, a in zip(document.seeds, cell.accuracies, strict=True)},
        "error": cell.error,
    }


def cell_dots(document: AblationDocument) -> list[Dot]:
    """Every cell with its interval in %, the base in a colour of its own."""
    return [
        dot_of(_short(document, cell), cell.accuracy, 0 if cell.base else None)
        for cell in document.cells
    ]


def varied(document: AblationDocument) -> str:
    """The keys whose values a dot's name has in a grid; a cell's own name has them otherwise."""
    return " · ".join(f["key"] for f in document.factors) if document.design == "grid" else ""


def _short(document: AblationDocument, cell: AblationCell) -> str:
    """Its values, which are named once for all; in another design with their keys."""
    return " · ".join(cell.values.values()) if varied(document) and cell.values else cell.name


def size_lines(document: AblationDocument) -> tuple[str, list[Line]]:
    """The size that was varied, and accuracy over it, a line for what else was; without, none."""
    key = next((f["key"] for f in document.factors if f["key"] in SIZES), "")
    points: dict[str, dict[float, tuple[Estimate, Estimate | None]]] = {}
    for cell in document.cells:
        if cell.accuracy is not None and key in cell.values:
            others = {k: v for k, v in cell.values.items() if k != key}
            named = len(document.factors) > 2  # of a single other factor the value says enough
            rest = " ".join(f"{k}={v}" if named else v for k, v in others.items())
            place = float(cell.values[key])
            points.setdefault(rest or document.method, {})[place] = cell.accuracy, cell.random
    lines = [_line_of(name, {x: own for x, (own, _) in at.items()}) for name, at in points.items()]
    random: dict[str, dict[float, Estimate]] = {}
    for name, at in points.items():
        found = {x: other for x, (_, other) in at.items() if other is not None}
        if found and found not in random.values():
            random["random subsets" + (f", {name}" if random else "")] = found
    lines += [replace(_line_of(name, at), muted=True) for name, at in random.items()]
    return (key, lines) if any(len(line.x) > 1 for line in lines) else ("", [])


def _line_of(name: str, found: Mapping[float, Estimate]) -> Line:
    places = sorted(found)
    half = (found[x].half for x in places)
    return Line(
        name,
        tuple(places),
        tuple(100 * found[x].mean for x in places),
        tuple(None if h is None else 100 * h for h in half),
    )


def effect_name(effect: MainEffect) -> str:
    """``"policy=full, not partial"``."""
    instead = "" if effect.instead is None else f", not {effect.instead}"
    return f"{effect.key}={effect.value}{instead}"


def _paint_cells(document: AblationDocument, axes: Axes) -> None:
    label = f"{document.label} (95 % interval, {len(document.seeds)} seeds)"
    paint_dots(label, cell_dots(document), axes, limits=PERCENT)
    for cell in document.cells:
        if cell.base and cell.accuracy is not None:
            axes.axvline(100 * cell.accuracy.mean, lw=1, ls="--", zorder=0)
    axes.set_ylabel(varied(document))
    axes.set_title(f"{document.method} on {document.data}", loc="left")


def _paint_sizes(document: AblationDocument, key: str, lines: Sequence[Line], axes: Axes) -> None:
    label = f"{document.label} (95 % interval, {len(document.seeds)} seeds)"
    paint_over_sizes((key, label), lines, "o", axes, limits=PERCENT)
    axes.set_title(f"{document.method} on {document.data}", loc="left", pad=OVER_LEGEND)


def _paint_effects(effects: Sequence[Dot], pad: float | None, axes: Axes) -> None:
    paint_dots("points (95 % interval)", effects, axes)
    axes.set_title("main effects", loc="left", pad=pad)
    axes.axvline(0, color="grey", lw=1, ls="--", zorder=0)
