"""A study's figure in its folder: drawn once, saved as PNG and SVG."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import matplotlib
import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.rcsetup import cycler

from condense.figures.axes import PLAIN
from condense.figures.palette import LIGHT

_STYLE = {
    "axes.prop_cycle": cycler(color=LIGHT),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e5e5e5",
    "legend.frameon": False,
    "legend.fontsize": 8,
    "svg.hashsalt": "condense",
}
PANEL = (5.2, 4.2)  # inches
FORMATS = {"png": {"Software": None}, "svg": {"Date": None, "Creator": None}}  # free of the clock


def save_figure(
    path: Path,
    painters: Sequence[Callable[[Axes], None]],
    *,
    size: tuple[float, float] = PANEL,
    most: int | None = None,
    endings: Collection[str] = tuple(FORMATS),
) -> None:
    """A figure of panels beside each other; equal drawings give equal bytes.

    Args:
        path: without an ending.
        painters: one a panel, draws into its axes.
        size: of a panel, its width and height in inches.
        most: panels in a row; None for all.
        endings: of the files that are written, ``png`` and ``svg``.
    """
    with matplotlib.style.context(["default", _STYLE | PLAIN]):
        columns = min(len(painters), most or len(painters))
        rows = math.ceil(len(painters) / columns)
        figsize = (1.0 + size[0] * columns, size[1] * rows)
        figure = Figure(figsize=figsize, layout="constrained")
        FigureCanvasAgg(figure)
        panels = figure.subplots(rows, columns, squeeze=False).ravel()
        for axes, paint in zip(panels, painters, strict=False):
            paint(axes)
        for axes in panels[len(painters) :]:
            axes.remove()
        for ending in endings:
            figure.savefig(path.with_suffix(f".{ending}"), dpi=150, metadata=FORMATS[ending])
