"""Matplotlib figures as inline SVG that takes its colours and its font from the page.

Figures are drawn in stand-in colours, each of which becomes a CSS custom property, so that one
drawing serves the light and the dark page; text stays text and scales with it.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import Any

import matplotlib
import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.rcsetup import cycler
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from condense.figures.axes import PLAIN

INK, MUTED, RULE = "#010100", "#010101", "#010102"
SERIES = tuple(f"#0102{k:02d}" for k in range(6))
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1.5, 1.2)))  # told apart without colour too
PROPERTIES = {INK: "--ink", MUTED: "--muted", RULE: "--rule"} | {
    colour: f"--series-{k + 1}" for k, colour in enumerate(SERIES)
}
_STYLE = {
    "svg.fonttype": "none",
    "font.size": 9,
    "text.color": INK,
    "axes.prop_cycle": cycler(color=SERIES),
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": RULE,
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.5,
}


def colour(place: int) -> str:
    """Of the line at ``place``, by the style's own cycle; after six they come again, with other
    dashes."""
    return f"C{place % len(SERIES)}"


def dashes(place: int) -> Any:
    """Line style of the line at ``place``."""
    return DASHES[(place + place // len(SERIES)) % len(DASHES)]


def draw(
    name: str, paint: Callable[[Axes], None], *, width: float = 4.6, height: float = 2.7
) -> str:
    """One pair of axes as an ``<svg>`` element; equal drawings give equal text.

    Args:
        name: unique on the page; all ids begin with it.
        paint: draws into the axes.
        width, height: inches.
    """
    with matplotlib.style.context(["default", _STYLE | PLAIN | {"svg.hashsalt": name}]):
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasSVG(figure)
        paint(figure.subplots())
        out = io.StringIO()
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None})
    return inline(out.getvalue(), name)


def inline(text: str, name: str) -> str:
    """A matplotlib SVG file as an element of an HTML page.

    Args:
        text: of the file.
        name: prefix of all ids, so that those of several figures do not clash.
    """
    text = text[text.index("<svg") :].rstrip()
    for unwanted in (r"<metadata>.*?</metadata>", r"<style.*?</style>", r' xmlns(:\w+)?="[^"]*"'):
        text = re.sub(unwanted, "", text, flags=re.DOTALL)
    text = re.sub(r'^<svg width="[^"]*" height="[^"]*"', "<svg", text)
    text = text.replace("xlink:href", "href")
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = text.replace('href="#', f'href="#{name}-').replace("url(#", f"url(#{name}-")
    text = re.sub(r"font: ([\d.]+px)[^;\"]*", r"font-size: \1", text)  # matplotlib before 3.10
    text = re.sub(r"font-family: [^;\"]*;? ?", "", text)
    for stand_in, own in PROPERTIES.items():
        text = text.replace(stand_in, f"var({own})")
    return text


def log_scale(axis: Any) -> None:
    """A logarithmic axis with plain numbers, at 1, 2 and 5 where the range is short."""
    axis.axes.set(**{f"{axis.axis_name}scale": "log"})
    low, high = axis.get_view_interval()
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high / low < 1000 else (1,)))
    axis.set_major_formatter(FuncFormatter(lambda value, place: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())
