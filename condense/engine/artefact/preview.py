"""A condensed set of images as a picture: each distilled sample beside the real one it started
from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from condense.engine.artefact.scatter import draw_scatter
from condense.figures.raster import as_png, clipped, text_width, typeface

if TYPE_CHECKING:
    from condense.engine.artefact.dataset import CondensedDataset

CLASSES = 10  # classes shown at most
EACH = 3  # samples a class and role
TILE = 48  # pixels of a tile's longer side on the picture
GAP = 4
CELL = TILE + GAP
TYPE = 13  # pixels
LINE = 20
NAME = 140  # pixels that the name of a class may take
INK, PAPER, FRAME = (40, 40, 40), (255, 255, 255), (66, 113, 174)


@dataclass(frozen=True)
class Words:
    """A line of text, with the frame that it explains before it where ``framed``."""

    left: int
    top: int
    text: str
    framed: bool = False

    @property
    def start(self) -> int:
        """Where the text itself begins."""
        return self.left + self.framed * (TYPE + 8)

    @property
    def right(self) -> int:
        """Where it ends."""
        return self.start + text_width(self.text, TYPE)


@dataclass(frozen=True, eq=False)
class Tile:
    """An image uint8 [H, W, C] in a row, ``left`` pixels from its start."""

    left: int
    image: npt.NDArray[np.uint8]
    framed: bool = False


@dataclass(frozen=True)
class Shown:
    """Positions of the samples of one class that are shown."""

    label: int
    distilled: list[int]
    frozen: list[int]


def shown_samples(condensed: CondensedDataset) -> list[Shown]:
    """Up to ten classes, evenly spread, with up to three distilled and three frozen samples."""
    found = []
    for label in evenly(sorted(set(condensed.labels.tolist())), CLASSES):
        members = torch.nonzero(condensed.labels == label).flatten()
        distilled = condensed.distilled[members]
        moved, kept = members[distilled].tolist(), members[~distilled].tolist()
        found.append(Shown(label, evenly(moved, EACH), evenly(kept, EACH)))
    return found


def draw_preview(condensed: CondensedDataset) -> bytes:
    """The set as a PNG; equal sets give equal bytes.

    Of images the samples of :func:`shown_samples`, a row a class: its name, the pairs (distilled in
    a blue frame, then its source), then the frozen real samples. Of features all of them in the
    plane of two principal components.
    """
    if not condensed.geometry.is_image:
        return draw_scatter(condensed)
    images, sources = condensed.images.numpy(), condensed.source_inputs.numpy()
    shown, pair = shown_samples(condensed), 2 * CELL + GAP
    start = name_width(condensed.classes[row.label] for row in shown)
    pairs = max(len(row.distilled) for row in shown)
    frozen_at = start + (pairs * pair + 2 * GAP if pairs else 0)
    headings = []
    if pairs:
        text = "distilled, and to its right the real image it started from"
        headings.append(Words(start, GAP, text, framed=True))
    if any(row.frozen for row in shown):
        below = GAP + LINE if pairs else GAP
        headings.append(Words(frozen_at, below, "real, kept as it was"))
    rows = []
    for row in shown:
        tiles = []
        for k, i in enumerate(row.distilled):
            left = start + k * pair
            tiles += [Tile(left, images[i], framed=True), Tile(left + CELL, sources[i])]
        tiles += [Tile(frozen_at + k * CELL, images[i]) for k, i in enumerate(row.frozen)]
        rows.append((condensed.classes[row.label], tiles))
    drawn = sum(len(row.distilled) + len(row.frozen) for row in shown)
    note = "" if drawn == len(condensed) else f"{drawn} of {len(condensed)} samples are shown"
    there = len(set(condensed.labels.tolist()))
    if len(shown) < there:
        note += f", of {len(shown)} of {there} classes"
    return contact_sheet(headings, rows, note)


def contact_sheet(
    headings: Sequence[Words], rows: Sequence[tuple[str, list[Tile]]], note: str = ""
) -> bytes:
    """A PNG: headings, below them a row of tiles a class, and a note.

    Args:
        headings: above the rows.
        rows: name of a class and its images.
        note: below them.
    """
    from PIL import Image, ImageDraw

    top = max((h.top + LINE for h in headings), default=0) + GAP
    bottom = top + len(rows) * CELL
    words = [*headings, *([Words(GAP, bottom, note)] if note else [])]
    tiled = [tile.left + CELL for _, tiles in rows for tile in tiles]
    width = max([*(h.right for h in words), *tiled]) + GAP
    height = bottom + GAP + (LINE if note else 0)
    canvas = Image.new("RGB", (width, height), PAPER)
    pen = ImageDraw.Draw(canvas)
    for line in words:
        if line.framed:
            box = (line.left, line.top + 1, line.left + TYPE, line.top + TYPE + 1)
            pen.rectangle(box, outline=FRAME, width=2)
        pen.text((line.start, line.top), line.text, fill=INK, font=typeface(TYPE))
    for number, (name, tiles) in enumerate(rows):
        y = top + number * CELL
        told = clipped(name, TYPE, NAME)
        pen.text((GAP, y + TILE // 2), told, fill=INK, font=typeface(TYPE), anchor="lm")
        for tile in tiles:
            if tile.framed:
                edges = (tile.left - 2, y - 2, tile.left + TILE + 1, y + TILE + 1)
                pen.rectangle(edges, fill=FRAME)
            canvas.paste(Image.fromarray(_scaled(tile.image)), (tile.left, y))
    return as_png(canvas)


def name_width(names: Iterable[str]) -> int:
    """Pixels that the longest of ``names`` takes at the start of a row."""
    widths = (text_width(clipped(name, TYPE, NAME), TYPE) for name in names)
    return max(widths, default=0) + 4 * GAP


def evenly(items: list[int], most: int) -> list[int]:
    """At most ``most`` of ``items``, evenly spread."""
    if len(items) <= most:
        return items
    return [items[round(k * (len(items) - 1) / (most - 1))] for k in range(most)]


def _scaled(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """uint8 [H, W, C] as RGB [TILE, TILE, 3]: nearest neighbour, so that pixels stay pixels."""
    rgb = np.repeat(image, 3, axis=2) if image.shape[2] == 1 else image
    side = max(rgb.shape[:2])
    rows = np.minimum(np.arange(TILE) * side // TILE, rgb.shape[0] - 1)
    columns = np.minimum(np.arange(TILE) * side // TILE, rgb.shape[1] - 1)
    return np.ascontiguousarray(rgb[rows][:, columns])
