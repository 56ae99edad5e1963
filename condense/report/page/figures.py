"""The figures of runs, each as inline SVG with the words for those who do not see it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from condense.figures.formats import percent
from condense.figures.plots import (
    LEGEND_COLUMNS,
    PERCENT,
    Dot,
    FigureView,
    Line,
    dots_figure,
    legend_above,
)
from condense.figures.svg import MUTED, colour, dashes, draw, log_scale
from condense.report.page.runs import RunView
from condense.report.page.tables import named, named_arms

DRAWN = 400  # points of a line; more would make the page heavy and show nothing more
COMPACT = 20  # classes; with more, they are drawn as a histogram
HEIGHT, LEGEND = 2.7, 0.2  # inches of a figure, and of each further row of its legend


def accuracy_figure(runs: Sequence[RunView], measure: str) -> FigureView | None:
    """The sets of ``measure`` and their baselines with intervals, in the order of the table."""
    dots = [
        Dot(
            name,
            100 * arm.mean,
            None if arm.half is None else 100 * arm.half,
            runs.index(of) if arm.is_own else None,
        )
        for name, arm, of in named_arms(runs, measure)
    ]
    words = f"test {measure}, %"
    title = f"Test {measure} with 95 % intervals"
    return dots_figure(named("accuracy", runs, measure), title, words, dots, PERCENT)


def loss_figure(runs: Sequence[RunView]) -> FigureView | None:
    """Loss over iterations, faint, and its running median."""
    lines = [_line(run, run.loss, runs) for run in runs]
    return _traces("loss", "Matching loss", "loss", lines, smooth=True)


def step_figure(runs: Sequence[RunView]) -> FigureView | None:
    """The learned step size over iterations."""
    lines = [_line(run, run.steps, runs) for run in runs]
    return _traces("step-size", "Synthetic step size", "step size", lines, smooth=False)


def _line(run: RunView, values: Sequence[float], runs: Sequence[RunView]) -> tuple[int, Line]:
    """The finite ones of ``values`` by iteration, with the place of their run's colour."""
    points = [(i, v) for i, v in enumerate(values, 1) if math.isfinite(v) and v > 0]
    x, y = zip(*points, strict=True) if points else ((), ())
    return runs.index(run), Line(run.letter, tuple(map(float, x)), tuple(y))


def _traces(
    name: str, title: str, label: str, lines: Sequence[tuple[int, Line]], *, smooth: bool
) -> FigureView | None:
    there = [(place, line) for place, line in lines if len(line.y) > 1]
    if not there:
        return None

    def paint(axes: Axes) -> None:
        for place, line in there:
            look: dict[str, Any] = {"color": colour(place)}
            x, y = _thinned(line)
            if smooth:
                axes.plot(x, y, alpha=0.3, lw=0.8, **look)
                y = running_median(y, max(3, len(y) // 15))
            axes.plot(x, y, ls=dashes(place), label=line.name, **look)
        values = [v for _, line in there for v in line.y]
        if max(values) > 3 * min(values):
            log_scale(axes.yaxis)
        axes.set_xlabel("iteration")
        axes.locator_params(axis="x", integer=True)
        axes.set_ylabel(label)
        if len(there) > 1:
            legend_above(axes)

    alt = "; ".join(
        f"{line.name}: {line.y[0]:.3g} at first, {line.y[-1]:.3g} at the end" for _, line in there
    )
    height = HEIGHT + _legend(len(there))
    return FigureView(name, draw(name, paint, height=height), f"{title} over iterations", alt)


def _legend(runs: int) -> float:
    """Inches that the legend of so many runs, by their letters, takes beyond its first row."""
    return LEGEND * (math.ceil(runs / LEGEND_COLUMNS) - 1)


def _thinned(line: Line) -> tuple[list[float], list[float]]:
    """At most :data:`DRAWN` points, evenly spread, ends included."""
    count = len(line.x)
    places = sorted({round(k) for k in np.linspace(0, count - 1, min(count, DRAWN))})
    return [line.x[k] for k in places], [line.y[k] for k in places]


def running_median(values: Sequence[float], width: int) -> list[float]:
    """The median of the ``width`` (odd) values around each, fewer at the ends."""
    padded = np.pad(np.asarray(values, dtype=float), width // 2, constant_values=np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(padded, width // 2 * 2 + 1)
    found: list[float] = np.nanmedian(windows, axis=1).tolist()
    return found


def class_figure(runs: Sequence[RunView], measure: str) -> FigureView | None:
    """``measure`` of every class, or how the classes are spread where they are many."""
    there = [run for run in runs if run.classes and run.measure == measure]
    if not there:
        return None
    few = max(len(run.classes) for run in there) <= COMPACT
    same = all([c.name for c in r.classes] == [c.name for c in there[0].classes] for r in there)
    by_class = few and same

    def paint(axes: Axes) -> None:
        for run in there:
            place = runs.index(run)
            own = [100 * c.own for c in run.classes]
            if by_class:
                _class_dots(axes, run, there.index(run), len(there), place)
            else:
                look: dict[str, Any] = {"color": colour(place), "ls": dashes(place), "lw": 1.5}
                bins = list(np.linspace(0, 100, 21))
                axes.hist(own, bins=bins, histtype="step", label=run.letter, **look)
        if by_class:
            axes.set_ylim(len(there[0].classes) - 0.5, -0.5)
            axes.set_yticks(range(len(there[0].classes)), [c.name[:18] for c in there[0].classes])
        else:
            axes.set_ylabel("classes")
        axes.set_xlabel(f"test {measure} of a class, %")
        if len(there) > 1 or (by_class and any(c.random is not None for c in there[0].classes)):
            legend_above(axes)

    height = 0.9 + 0.24 * len(there[0].classes) if by_class else HEIGHT
    name = named("classes", runs, measure)
    svg = draw(name, paint, height=height + _legend(len(there)))
    alt = "; ".join(f"{_alone(run, runs)}{_range(run)}" for run in there)
    return FigureView(name, svg, f"{measure.capitalize()} by class", alt)


def _class_dots(axes: Axes, run: RunView, number: int, count: int, place: int) -> None:
    shift = 0.0 if count == 1 else 0.5 * (number / (count - 1) - 0.5)
    rows = [k + shift for k in range(len(run.classes))]
    if count == 1 and all(c.random is not None for c in run.classes):
        random = [100 * (c.random or 0.0) for c in run.classes]
        axes.plot(random, rows, "o", mfc="none", color=MUTED, ms=5, label="random")
    name = run.method if count == 1 else run.letter
    marker = "osD^vP"[number % 6]
    axes.plot(
        [100 * c.own for c in run.classes], rows, marker, color=colour(place), ms=5, label=name
    )


def _alone(run: RunView, runs: Sequence[RunView]) -> str:
    return "" if len(runs) == 1 else f"{run.letter}: "


def _range(run: RunView) -> str:
    worst = min(run.classes, key=lambda c: c.own)
    best = max(run.classes, key=lambda c: c.own)
    return f"from {percent(worst.own)} % ({worst.name}) to {percent(best.own)} % ({best.name})"
