"""A condensed set of features as a picture: its samples in the plane of two components."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from condense.engine.training.batches import affine, normalise
from condense.figures.raster import as_png, clipped, typeface

if TYPE_CHECKING:
    from condense.engine.artefact.dataset import CondensedDataset

WIDTH, HEIGHT, MARGIN, LEGEND = 480, 440, 36, 190  # pixels
TYPE, LINE = 13, 20
SCALE = 2  # drawn larger, then shrunk, so that slanting lines are smooth
INK, FAINT, PAPER = (40, 40, 40), (150, 150, 150), (255, 255, 255)
# the first six are Okabe and Ito's, told apart by colour-blind readers; further classes are grey
COLOURS = (
    *((0, 114, 178), (213, 94, 0), (0, 158, 115), (204, 121, 167)),
    *((230, 159, 0), (86, 180, 233), (110, 70, 30), (90, 90, 200), (160, 40, 60), (120, 150, 40)),
)
OTHERS = (120, 120, 120)

Points = npt.NDArray[np.float64]


def draw_scatter(condensed: CondensedDataset) -> bytes:
    """All samples as a PNG; equal sets give equal bytes.

    The plane is that of the first two principal components of the real samples, normalised. A
    sample that was kept is a disc, a distilled one a ring, with a line to where it started.
    """
    from PIL import Image, ImageDraw

    start, now, shares = principal_plane(condensed)
    place = _placing(np.concatenate([start, now]))
    start, now = place(start), place(now)
    size = (WIDTH + LEGEND, HEIGHT)
    canvas = Image.new("RGB", (size[0] * SCALE, size[1] * SCALE), PAPER)
    pen = ImageDraw.Draw(canvas)
    frame = [MARGIN * SCALE, 8 * SCALE, (WIDTH - 8) * SCALE, (HEIGHT - MARGIN) * SCALE]
    pen.rectangle(frame, outline=FAINT, width=SCALE)
    labels, distilled = condensed.labels.tolist(), condensed.distilled.tolist()
    colours = [COLOURS[k] if k < len(COLOURS) else OTHERS for k in labels]
    for i in np.flatnonzero(distilled).tolist():
        pen.line([*start[i], *now[i]], fill=FAINT, width=SCALE)
    for i, moved in enumerate(distilled):
        _mark(pen, now[i], colours[i], hollow=moved)
    canvas = canvas.resize(size, Image.Resampling.BOX)
    pen, font = ImageDraw.Draw(canvas), typeface(TYPE)
    axes = [f"component {n}, {s:.0%} of the variance" for n, s in enumerate(shares, 1)]
    pen.text(((MARGIN + WIDTH) // 2, HEIGHT - 14), axes[0], fill=INK, font=font, anchor="mm")
    sideways = Image.new("RGB", (HEIGHT - MARGIN, LINE), PAPER)
    middle = ((HEIGHT - MARGIN) // 2, LINE // 2)
    ImageDraw.Draw(sideways).text(middle, axes[1], fill=INK, font=font, anchor="mm")
    canvas.paste(sideways.rotate(90, expand=True), (8, 0))
    _legend(canvas, condensed)
    return as_png(canvas)


def principal_plane(condensed: CondensedDataset) -> tuple[Points, Points, tuple[float, float]]:
    """Where samples started and where they are, [M, 2] each, and the shares of the variance.

    In the first two principal components of the real samples that they are or started from,
    normalised as networks see them. The largest loading of a component is positive.
    """
    source = condensed.source_inputs
    real = normalise(source, *affine(condensed.normalization, source, source.device)).double()
    centre = real.mean(0)
    _, spread, axes = torch.linalg.svd(real - centre, full_matrices=False)
    axes = axes[:2]
    axes = axes * axes.gather(1, axes.abs().argmax(1, keepdim=True)).sign()
    plane = torch.zeros(real.shape[1], 2, dtype=torch.float64)
    plane[:, : len(axes)] = axes.T
    share = torch.zeros(2, dtype=torch.float64)
    share[: len(axes)] = (spread[:2] ** 2) / (spread**2).sum().clamp(min=1e-30)
    now = (condensed.inputs.double() - centre) @ plane
    first, second = share.tolist()
    return ((real - centre) @ plane).numpy(), now.numpy(), (first, second)


def _placing(points: Points) -> Callable[[Points], Points]:
    """The map of ``points`` onto the canvas, one scale for both components."""
    low, high = points.min(0), points.max(0)
    inner = np.array([WIDTH - MARGIN - 40, HEIGHT - MARGIN - 40], dtype=float)
    scale = np.min(inner / np.maximum(high - low, 1e-12))
    centre = np.array([(MARGIN + WIDTH - 8) / 2, (8 + HEIGHT - MARGIN) / 2])

    def place(given: Points) -> Points:
        moved: Points = (given - (low + high) / 2) * scale * [1, -1] + centre
        return np.rint(moved * SCALE, dtype=np.float64)

    return place


def _mark(pen: Any, at: Points, colour: tuple[int, int, int], hollow: bool) -> None:
    """A disc, or a ring."""
    radius = 4 * SCALE
    box = [at[0] - radius, at[1] - radius, at[0] + radius, at[1] + radius]
    pen.ellipse(box, fill=PAPER if hollow else colour, outline=colour, width=2 * SCALE)


def _legend(canvas: Any, condensed: CondensedDataset) -> None:
    """What marks and colours mean, to the right of the plot."""
    from PIL import Image, ImageDraw

    rows: list[tuple[str, tuple[int, int, int] | None, bool]] = []
    moved = int(condensed.distilled.sum())
    if moved < len(condensed):
        rows.append((f"kept ({len(condensed) - moved})", INK, False))
    if moved:
        rows += [(f"distilled ({moved})", INK, True), ("line: from its start", None, False)]
    rows.append(("", None, False))
    rows += [(name, COLOURS[k], False) for k, name in enumerate(condensed.classes[: len(COLOURS)])]
    further = len(condensed.classes) - len(COLOURS)
    if further > 0:
        rows.append((f"{further} more classes", OTHERS, False))
    large = Image.new("RGB", (14 * SCALE, len(rows) * LINE * SCALE), PAPER)
    pen, words = ImageDraw.Draw(large), ImageDraw.Draw(canvas)
    for number, (text, colour, hollow) in enumerate(rows):
        if colour is not None:
            middle = np.array([7.0 * SCALE, (number + 0.5) * LINE * SCALE])
            _mark(pen, middle, colour, hollow)
        y = 8 + number * LINE + LINE // 2
        told = clipped(text, TYPE, LEGEND - 28)
        words.text((WIDTH + 22, y), told, fill=INK, font=typeface(TYPE), anchor="lm")
    canvas.paste(large.resize((14, len(rows) * LINE), Image.Resampling.BOX), (WIDTH + 4, 8))
