"""The files of an ablation: ``ablation.json``, ``ablation.csv`` and ``ablation.png``."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from condense.engine.runtime.files import default_path, replace_folder
from condense.figures.axes import PLAIN, span_at_least
from condense.studies.ablation.design import Study
from condense.studies.ablation.run import Ablation
from condense.studies.statistics import Estimate

JSON = "ablation.json"
INK, BASE, BELOW, ABOVE = "#333333", "#c44e52", "#8c8c8c", "#4271ae"


def ablation_folder(study: Study) -> Path:
    """``runs/ablate-METHOD-DATA-HASH``; equal studies, equal folders."""
    parts = [
        study.base.to_dict(),
        [[f.key, list(f.values)] for f in study.factors],
        list(study.seeds),
        study.one_at_a_time,
        *([] if study.validation is None else [study.validation]),
    ]
    return default_path(f"ablate-{study.base.method}", study.base["data"].name, parts)


def write_ablation(result: Ablation, folder: Path) -> Path:
    """The three files in ``folder``, all or nothing; equal results give equal bytes.

    Args:
        result: what was measured.
        folder: replaced if it holds an ablation already.

    Raises:
        OutputError: if it cannot be written or holds something else.
    """

    def fill(draft: Path) -> None:
        (draft / JSON).write_text(result.document.text(), encoding="utf-8")
        (draft / "ablation.csv").write_text(to_csv(result), encoding="utf-8")
        draw(result, draft / "ablation.png")

    return replace_folder(folder, fill, (JSON, "ablation.*"))


def to_csv(result: Ablation) -> str:
    """One line a cell: its values, accuracy and difference with their intervals, every seed."""
    keys = [factor.key for factor in result.study.factors]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        [
            *("cell", "base", *keys, "n", "accuracy", "low", "high"),
            *("difference", "difference_low", "difference_high"),
            *(f"seed_{seed}" for seed in result.study.seeds),
            "error",
        ]
    )
    for row in result.rows:
        values = [row.cell.values.get(key, "") for key in keys]
        figures = [*_ends(row.mean), *_ends(result.difference(row))]
        head = [row.cell.name, int(row.cell.is_base), *values, len(row.values)]
        writer.writerow([*head, *figures, *row.accuracies, row.error])
    return out.getvalue()


def _ends(value: Estimate | None) -> tuple[float | None, float | None, float | None]:
    return (None, None, None) if value is None else (value.mean, value.low, value.high)


def draw(result: Ablation, path: Path) -> Path:
    """A PNG at ``path``: accuracy of every cell and, for a grid, the main effects."""
    with matplotlib.style.context(["default", PLAIN]):
        effects = [e for e in result.effects() if e.effect is not None]
        rows = max(len(result.rows), len(effects))
        size = (6.2 + 4.2 * bool(effects), 1.4 + 0.3 * rows)
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots(1, 2 if effects else 1, squeeze=False)[0]
        _draw_cells(axes[0], result)
        if effects:
            names = [f"{e.key}={e.value}" for e in effects]
            _draw_points(axes[1], names, [e.effect for e in effects])
            axes[1].axvline(0, color=BELOW, lw=1, ls="--", zorder=0)
            axes[1].set_xlabel("main effect, points (95 % interval)")
        figure.savefig(path, dpi=150, metadata={"Software": None})
    return path


def _draw_cells(axes: Axes, result: Ablation) -> None:
    names = [row.cell.name for row in result.rows]
    base = result.base
    marked = [i for i, row in enumerate(result.rows) if row is base]
    _draw_points(axes, names, [row.mean for row in result.rows], marked)
    if base.mean is not None:
        axes.axvline(100 * base.mean.mean, color=BASE, lw=1, ls="--", zorder=0, label="base")
        axes.legend(loc="best", frameon=False)
    seeds = len(result.study.seeds)
    axes.set_xlabel(f"{result.study.split} {result.measure}, % (95 % interval, {seeds} seeds)")
    axes.set_title(f"{result.study.base.method} on {result.data}", loc="left")


def _draw_points(
    axes: Axes,
    names: Sequence[str],
    values: Sequence[Estimate | None],
    marked: Sequence[int] = (),
) -> None:
    """One dot with its interval a name, from the top down; a cross where there is no value."""
    for place, value in enumerate(values):
        colour = BASE if place in marked else ABOVE
        if value is None:
            style: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "color": BELOW}
            axes.text(0.02, place, "failed", va="center", fontsize=8, **style)
            continue
        half = None if value.half is None else [100 * value.half]
        axes.errorbar(
            [100 * value.mean], [place], xerr=half, fmt="o", color=colour, ms=4, capsize=3, lw=1.2
        )
    span_at_least(axes, 1.0)
    axes.set_yticks(range(len(names)), names, color=INK, fontsize=8)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(axis="x", color="#e5e5e5", lw=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
