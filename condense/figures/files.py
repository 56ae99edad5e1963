"""A study's figure in its folder: drawn once, saved as PNG and SVG."""

from __future__ import annotations

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
    endings: Collection[str] = tuple(FORMATS),
) -> None:
    """A figure of panels beside each other; equal drawings give equal bytes.

    Args:
        path: without an ending.
        painters: one a panel, draws into its axes.
        size: of a panel, its width and height in inches.
        endings: of the files that are written, ``png`` and ``svg``.
    """
    with matplotlib.style.context(["default", _STYLE | PLAIN]):
        figure = Figure(figsize=(1.0 + size[0] * len(painters), size[1]), layout="constrained")
        FigureCanvasAgg(figure)
        panels = figure.subplots(1, len(painters), squeeze=False)[0]
        for axes, paint in zip(panels, painters, strict=True):
            paint(axes)
        for ending in endings:
            figure.savefig(path.with_suffix(f".{ending}"), dpi=150, metadata=FORMATS[ending])
