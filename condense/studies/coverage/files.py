"""The files of a coverage: ``coverage.json``, ``.csv``, ``.png`` and ``.svg``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes

from condense.engine.runtime.files import default_path
from condense.figures.plots import Line, paint_lines
from condense.studies.coverage.result import PARTS, Coverage, RunCoverage
from condense.studies.files import csv_text, study_layout, write_study

OWNED = study_layout("coverage", "runs", "radius")
Points = Sequence[float]
HALVES = ("hard", "easy")  # solid, dashed


def coverage_folder(result: Coverage) -> Path:
    """``runs/coverage-DATA-HASH``; equal data, sets and options, equal folders."""
    sets = [run.fingerprint for run in result.runs]
    parts = [result.data, result.data_fingerprints, dict(result.options), sets]
    return default_path("coverage", result.data, parts)


def write_coverage(result: Coverage, folder: Path) -> Path:
    """The files in ``folder``, as :func:`~condense.studies.files.write_study` writes them."""
    files = {"coverage.csv": to_csv(result)}
    panels = (partial(_paint_iterations, result), partial(_paint_radii, result))
    return write_study(folder, OWNED, result.to_json(), files, panels)


def to_csv(result: Coverage) -> str:
    """One line a run and iteration: coverage at the radius and area, over all, easy and hard."""
    rows: list[Mapping[str, Any]] = [
        {
            "run": run.label,
            "artefact": run.artefact,
            "method": run.method,
            "samples": run.samples,
            "iteration": point.iteration,
            "radius": result.radius,
            **{part: getattr(point, part) for part in PARTS},
            **{f"area_{part}": getattr(point.area, part) for part in PARTS},
        }
        for run in result.runs
        for point in run.iterations
    ]
    return csv_text(rows)


def lines_over_iterations(result: Coverage) -> list[Line]:
    """Coverage by iteration; that of a set of which one state is known is a level."""

    def line(run: RunCoverage, part: str) -> tuple[list[float], list[float]]:
        x = [float(point.iteration) for point in run.iterations]
        y = [float(getattr(point, part)) for point in run.iterations]
        return x, y

    return [replace(one, level=len(one.x) == 1) for one in _lines(result, line)]


def lines_over_radii(result: Coverage) -> list[Line]:
    """Coverage of the final sets by radius."""
    return _lines(result, lambda run, part: (run.curve.radii, getattr(run.curve, part)))


def _lines(
    result: Coverage, line: Callable[[RunCoverage, str], tuple[Points, Points]]
) -> list[Line]:
    """A line a run and half of the test split: a colour a run, a dash a half."""
    several = len(result.runs) > 1
    found = []
    for place, run in enumerate(result.runs):
        for dash, part in enumerate(HALVES):
            x, y = line(run, part)
            name = f"{run.label} {part}" if several else part
            found.append(Line(name, tuple(x), tuple(y), look=(place, dash)))
    return found


def _paint_iterations(result: Coverage, axes: Axes) -> None:
    share = f"share of {result.data} test samples within {result.radius:.3g}"
    labels = ("matching iteration (0: the real samples it starts from)", share)
    paint_lines(labels, lines_over_iterations(result), "o", axes)
    axes.locator_params(axis="x", integer=True)


def _paint_radii(result: Coverage, axes: Axes) -> None:
    share = f"{100 * result.quantile:g} % of training samples have another within"
    labels = (f"radius (dotted: {share})", "share covered by the final sets")
    paint_lines(labels, lines_over_radii(result), "", axes)
    axes.axvline(result.radius, color="grey", lw=1, ls=":", zorder=0)
    axes.set(xlim=(0, None), ylim=(0, 1))
