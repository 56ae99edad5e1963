"""Curves and dots with intervals, and a figure as the page holds it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

from matplotlib.axes import Axes

from condense.figures.axes import span_at_least
from condense.figures.svg import DASHES, MUTED, colour, dashes, draw, log_scale

T = TypeVar("T")
Limits = tuple[float, float]
ANY: Limits = (-math.inf, math.inf)
PERCENT: Limits = (0.0, 100.0)
APART = 1.03  # by which factor intervals over one size are apart
WIDEST = 1.25  # by which factor all of one size are, at most
ABOVE = 8  # curves at most that a legend has room for above the axes
LEGEND_COLUMNS = 4  # at most, of a legend above the axes
MARKERS = "Dsv^"  # of points that no line joins, in the place of its dashes


@dataclass(frozen=True)
class Line:
    """A named curve.

    Attributes:
        name: in the legend.
        x, y: its points.
        half: half the height of each point's interval, where there is one.
        look: places of its colour and of its dashes; by default both go by the line's own place.
        joined: whether its points are joined; if not they are diamonds. Fewer than three never
            are: a line through two looks like a trend.
        muted: whether it is drawn as what the others stand beside.
        level: whether its one point is drawn as a level that holds for every ``x``.
    """

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    half: tuple[float | None, ...] = ()
    look: tuple[int, int] | None = None
    joined: bool = True
    muted: bool = False
    level: bool = False


@dataclass(frozen=True)
class Dot:
    """A figure with half its interval, and the place of its colour; None for what is beside it.

    Without a mean its line says that it failed.
    """

    name: str
    mean: float | None
    half: float | None
    place: int | None = None


@dataclass(frozen=True)
class FigureView:
    """A figure.

    Attributes:
        name: unique on the page.
        svg: the ``<svg>`` element's text, without a title.
        title: what is drawn.
        alt: what is to be seen, in words.
    """

    name: str
    svg: str
    title: str
    alt: str


def dots_figure(
    name: str, title: str, label: str, dots: Sequence[Dot], limits: Limits = ANY
) -> FigureView | None:
    """``dots`` as :func:`paint_dots` draws them; None without any.

    Args:
        name: unique on the page.
        title: what is drawn.
        label: of the axis.
        dots: what is drawn, one a line.
        limits: of what values can be; intervals end there.
    """
    if not dots:
        return None
    longest = max(len(dot.name) for dot in dots)
    width = 4.6 + 0.05 * max(0, longest - 16)
    paint = partial(paint_dots, label, dots, limits=limits)
    svg = draw(name, paint, width=width, height=0.75 + 0.27 * len(dots))
    texts = ((dot.name, "failed" if dot.mean is None else f"{dot.mean:.2f}") for dot in dots)
    return FigureView(name, svg, title, "; ".join(map(" ".join, texts)))


def paint_dots(label: str, dots: Sequence[Dot], axes: Axes, *, limits: Limits = ANY) -> None:
    """``dots`` with their intervals, from the top down, over an axis called ``label``.

    Args:
        limits: of what values can be; intervals end there.
    """
    for row, dot in enumerate(dots):
        shade = MUTED if dot.place is None else colour(dot.place)
        if dot.mean is None:
            place: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "va": "center"}
            axes.text(0.02, row, "failed", color=shade, **place)
            continue
        face = "none" if dot.place is None else shade
        look: dict[str, Any] = {"color": shade, "mfc": face, "ms": 5, "lw": 1.2}
        ends = None if dot.half is None else _ends_within([dot.mean], [dot.half], limits)
        axes.errorbar([dot.mean], [row], xerr=ends, fmt="o", capsize=3, **look)
    span_at_least(axes, 1.0)
    axes.set_yticks(range(len(dots)), [dot.name for dot in dots])
    axes.set_ylim(len(dots) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel(label)


def lines_figure(
    name: str,
    title: str,
    labels: tuple[str, str],
    lines: Sequence[Line],
    *,
    marker: str = "",
    log: bool = False,
    limits: Limits = ANY,
) -> FigureView | None:
    """Plain curves, with intervals where they have them.

    Args:
        labels: of both axes.
        lines: what is drawn.
        marker: of every point.
        log: whether the horizontal axis is logarithmic.
        limits: of what values can be; intervals end there.
    """
    there = [line for line in lines if line.x]
    if not there:
        return None

    paint = partial(paint_over_sizes if log else paint_lines, labels, there, marker, limits=limits)
    return painted(name, title, there, paint)


def painted(
    name: str, title: str, lines: Sequence[Line], paint: Callable[[Axes], None]
) -> FigureView:
    """``lines`` as ``paint`` draws them, and in words."""
    alt = "; ".join(f"{line.name}: {_ends(line)}" for line in lines)
    return FigureView(name, draw(name, paint), title, alt)


def paint_lines(
    labels: tuple[str, str],
    lines: Sequence[Line],
    marker: str,
    axes: Axes,
    *,
    limits: Limits = ANY,
) -> None:
    """``lines`` with their intervals, in the colours of the style; a legend of two or more.

    Args:
        labels: of both axes.
        marker: of every point.
        limits: of what values can be; intervals end there.
    """
    for place, line in enumerate(lines):
        shade, dash, way = colour(place), dashes(place), place
        if line.look is not None:
            way = line.look[1]
            shade, dash = colour(line.look[0]), DASHES[way % len(DASHES)]
        if line.muted:
            shade, dash = MUTED, DASHES[1]
        look: dict[str, Any] = {"color": shade, "ls": dash, "label": line.name}
        if line.level:
            axes.axhline(line.y[0], **look)
            continue
        look |= {"marker": marker, "ms": 4}
        if not line.joined or len(line.x) < 3:
            look |= {"marker": MARKERS[way % len(MARKERS)], "ms": 5, "ls": "none"}
            look["mfc"] = "none" if line.muted or way % 2 else shade
        if any(h is not None for h in line.half):
            half = [h or 0.0 for h in line.half]
            ends = _ends_within(line.y, half, limits)
            axes.errorbar(line.x, line.y, yerr=ends, capsize=3, **look)
        else:
            axes.plot(line.x, line.y, **look)
    axes.set_xlabel(labels[0])
    axes.set_ylabel(labels[1])
    if len(lines) > ABOVE:
        _legend_beside(axes, {line.name: line.y[-1] for line in lines})
    elif len(lines) > 1:
        legend_above(axes)


def paint_over_sizes(
    labels: tuple[str, str],
    lines: Sequence[Line],
    marker: str,
    axes: Axes,
    *,
    limits: Limits = ANY,
) -> None:
    """As :func:`paint_lines`, over a logarithmic axis; intervals of one size lie side by side."""
    middle = (len(lines) - 1) / 2
    apart = min(APART, WIDEST ** (1 / max(1, len(lines) - 1)))
    beside = [
        replace(line, x=tuple(x * apart ** (place - middle) for x in line.x))
        for place, line in enumerate(lines)
    ]
    paint_lines(labels, beside, marker, axes, limits=limits)
    log_scale(axes.xaxis)
    axes.set_xticks(sorted({x for line in lines for x in line.x}))
    axes.tick_params(axis="x", which="minor", length=0)


def _ends_within(
    means: Sequence[float], half: Sequence[float], limits: Limits
) -> tuple[list[float], list[float]]:
    """How far intervals go down and up from ``means`` within ``limits``."""
    pairs = list(zip(means, half, strict=True))
    down = [max(0.0, min(h, mean - limits[0])) for mean, h in pairs]
    return down, [max(0.0, min(h, limits[1] - mean)) for mean, h in pairs]


def _ends(line: Line) -> str:
    if line.level:
        return f"{line.y[0]:.4g} throughout"
    top = max(range(len(line.y)), key=line.y.__getitem__)
    return (
        f"{line.y[0]:.4g} at {line.x[0]:g}, {line.y[-1]:.4g} at {line.x[-1]:g}, highest "
        f"{line.y[top]:.4g} at {line.x[top]:g}"
    )


def legend_above(axes: Axes) -> None:
    """The legend over the axes, where it hides nothing; fewer columns for longer names."""
    names = axes.get_legend_handles_labels()[1]
    columns = min(max(len(names), 2), LEGEND_COLUMNS, max(1, 80 // (8 + max(map(len, names)))))
    # long enough to tell dashes from dots
    look: dict[str, Any] = {"borderpad": 0.2, "handlelength": 3.4}
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, **look)


def _legend_beside(axes: Axes, heights: Mapping[str, float]) -> None:
    """The legend to the right, in the order in which the curves of these names end, highest
    first."""
    pairs = zip(*axes.get_legend_handles_labels(), strict=True)
    ordered = sorted(pairs, key=lambda pair: -heights[pair[1]])
    look: dict[str, Any] = {"handlelength": 3.4, "loc": "center left", "bbox_to_anchor": (1, 0.5)}
    axes.legend([handle for handle, _ in ordered], [name for _, name in ordered], **look)


def present(*views: T | None) -> tuple[T, ...]:
    """Those that there was something to show for."""
    return tuple(view for view in views if view is not None)
