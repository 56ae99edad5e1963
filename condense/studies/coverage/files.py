"""The files of ``condense coverage``: ``coverage.json``, ``coverage.csv`` and ``coverage.png``."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from condense.engine.runtime.files import default_path, replace_folder
from condense.figures.axes import PLAIN
from condense.figures.palette import SERIES
from condense.studies.coverage.run import Coverage

JSON = "coverage.json"
OWNED = (JSON, "coverage.*")  # what a folder of ours may hold
HALVES = (("hard", "-"), ("easy", "--"))
GREY = "#8c8c8c"


def coverage_folder(result: Coverage) -> Path:
    """``runs/coverage-DATA-HASH``; equal runs and options, equal folders."""
    parts = [result.data, dict(result.options), [run.artefact for run in result.runs]]
    return default_path("coverage", result.data, parts)


def write_coverage(result: Coverage, folder: Path) -> Path:
    """The three files in ``folder``, all or nothing; equal results give equal bytes.

    Args:
        result: what was measured.
        folder: replaced if it holds these files already.

    Raises:
        OutputError: if it cannot be written or holds something else.
    """

    def fill(draft: Path) -> None:
        (draft / JSON).write_text(result.document.text(), encoding="utf-8")
        (draft / "coverage.csv").write_text(to_csv(result), encoding="utf-8")
        draw(result, draft / "coverage.png")

    return replace_folder(folder, fill, OWNED)


def to_csv(result: Coverage) -> str:
    """One line a run and iteration: coverage at the radius and area, over all, easy and hard."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    figures = [f"{name}{part}" for name in ("", "area_") for part in ("all", "easy", "hard")]
    writer.writerow(["run", "artefact", "method", "samples", "iteration", "radius", *figures])
    for run in result.runs:
        head = [run.label, run.artefact, run.method, run.samples]
        for point in run.points:
            shares = (point.coverage, point.area)
            values = [value for s in shares for value in (s.all, s.easy, s.hard)]
            writer.writerow([*head, point.iteration, result.radius, *values])
    return out.getvalue()


def draw(result: Coverage, path: Path) -> Path:
    """A PNG at ``path``: coverage over the iterations, and over the radius for the final sets.

    Hard test samples solid, easy ones dashed, a colour a run.
    """
    with matplotlib.style.context(["default", PLAIN]):
        height = 3.8 + 0.2 * len(result.runs)  # the legend has a line a run
        figure = Figure(figsize=(10.4, height), layout="constrained")
        FigureCanvasAgg(figure)
        left, right = figure.subplots(1, 2)
        over_iterations(left, result)
        over_radius(right, result)
        handles, names = left.get_legend_handles_labels()
        order = [*range(0, len(names), 2), *range(1, len(names), 2)]  # hard | easy
        figure.legend(
            [handles[i] for i in order],
            [names[i] for i in order],
            loc="outside lower center",
            frameon=False,
            ncols=2,
        )
        figure.savefig(path, dpi=150, metadata={"Software": None})
    return path


def over_iterations(axes: Axes, result: Coverage) -> None:
    """Coverage at the radius by iteration; a run without distilled samples is a level line."""
    last = max(point.iteration for run in result.runs for point in run.points)
    for place, run in enumerate(result.runs):
        xs = [point.iteration for point in run.points]
        for half, style in HALVES:
            ys = [getattr(point.coverage, half) for point in run.points]
            still = len(xs) == 1
            _line(
                axes,
                [0, max(last, 1)] if still else xs,
                ys * 2 if still else ys,
                place,
                style,
                "" if still else "o",
                f"{run.label}, {half}",
            )
    axes.set_xlabel("matching iteration (0: the real samples it starts from)")
    axes.set_ylabel("share of test samples covered")
    axes.set_title(f"{result.data}: coverage at radius {result.radius:.3g}", loc="left")
    _tidy(axes)


def over_radius(axes: Axes, result: Coverage) -> None:
    """Coverage of the final sets by radius."""
    for place, run in enumerate(result.runs):
        for half, style in HALVES:
            ys = [getattr(share, half) for share in run.curve]
            _line(axes, result.radii, ys, place, style, "", f"{run.label}, {half}")
    axes.axvline(result.radius, color=GREY, lw=1, ls=":", zorder=0)
    axes.set_xlim(0, result.radii[-1])
    axes.set_ylim(0, 1)
    axes.set_xlabel(
        f"radius (dotted: {100 * result.quantile:g} % of training samples have another within)"
    )
    axes.set_title("final sets", loc="left")
    _tidy(axes)


def _line(
    axes: Axes,
    xs: Sequence[float],
    ys: Sequence[float],
    place: int,
    style: str,
    marker: str,
    label: str,
) -> None:
    colour = SERIES[place % len(SERIES)]
    axes.plot(xs, ys, color=colour, ls=style, marker=marker, ms=4, lw=1.5, label=label)


def _tidy(axes: Axes) -> None:
    axes.grid(color="#e5e5e5", lw=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
