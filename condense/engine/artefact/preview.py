"""A condensed set as a picture: each distilled sample beside the real one it started from."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
import numpy.typing as npt
import torch

if TYPE_CHECKING:
    from condense.engine.artefact.dataset import CondensedDataset

CLASSES = 10  # classes shown at most
EACH = 3  # samples a class and role
TILE = 48  # pixels of a tile's longer side on the picture
GAP = 4
CELL = TILE + GAP
MADE_BY = ("Software", "condense")
INK, PAPER, FRAME = (40, 40, 40), (255, 255, 255), (66, 113, 174)

Heading = tuple[int, int, str, tuple[int, int, int]]  # where it is written, the words, their colour


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
    """The samples of :func:`shown_samples` as a PNG; equal sets give equal bytes.

    A row is a class: its name, the pairs (distilled in a blue frame, then its source), then the
    frozen real samples.
    """
    images, sources = condensed.images.numpy(), condensed.source_inputs.numpy()
    shown, pair = shown_samples(condensed), 2 * CELL + GAP
    start = name_width(condensed.classes[row.label] for row in shown)
    has_pairs = bool(condensed.distilled.any())
    has_frozen = bool((~condensed.distilled).any())
    frozen_at = start + has_pairs * (EACH * pair + GAP)
    width = start + has_pairs * EACH * pair + has_frozen * (EACH * CELL + 2 * GAP)
    headings: list[Heading] = []
    if has_pairs:
        headings.append((start, 6, "distilled | real it started from", FRAME))
    if has_frozen:
        headings.append((frozen_at, 6, "real, frozen", INK))
    rows = []
    for row in shown:
        tiles = []
        for k, i in enumerate(row.distilled):
            left = start + k * pair
            tiles += [Tile(left, images[i], framed=True), Tile(left + CELL, sources[i])]
        tiles += [Tile(frozen_at + k * CELL, images[i]) for k, i in enumerate(row.frozen)]
        rows.append((condensed.classes[row.label], tiles))
    return contact_sheet(width, 24, headings, rows)


def contact_sheet(
    width: int, top: int, headings: list[Heading], rows: Sequence[tuple[str, list[Tile]]]
) -> bytes:
    """A PNG, ``width`` pixels wide: headings, and ``top`` pixels below a row of tiles a class.

    Args:
        width: of the picture in pixels.
        top: height of the part with the headings.
        headings: words to be written there.
        rows: name of a class and its images.
    """
    from PIL import Image, ImageDraw, PngImagePlugin

    canvas = Image.new("RGB", (width, top + len(rows) * CELL + GAP), PAPER)
    pen = ImageDraw.Draw(canvas)
    for across, down, text, colour in headings:
        pen.text((across, down), _plain(text), fill=colour)
    for number, (name, tiles) in enumerate(rows):
        y = top + number * CELL
        pen.text((4, y + TILE // 2 - 6), _plain(name[:14]), fill=INK)
        for tile in tiles:
            if tile.framed:
                edges = (tile.left - 2, y - 2, tile.left + TILE + 1, y + TILE + 1)
                pen.rectangle(edges, fill=FRAME)
            canvas.paste(Image.fromarray(_scaled(tile.image)), (tile.left, y))
    out = io.BytesIO()
    known = PngImagePlugin.PngInfo()
    known.add_text(*MADE_BY)
    canvas.save(out, "PNG", pnginfo=known)
    return out.getvalue()


def is_preview(file: BinaryIO) -> bool:
    """Whether ``file`` is a picture of :func:`contact_sheet`."""
    return "tEXt{}\0{}".format(*MADE_BY).encode() in file.read(1000)


def name_width(names: Iterable[str]) -> int:
    """Pixels that the longest of ``names`` takes at the start of a row."""
    return 8 + 7 * max((len(name[:14]) for name in names), default=1)


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


def _plain(text: str) -> str:
    """``text`` in what Pillow's built-in font has."""
    return text.encode("latin-1", "replace").decode("latin-1")
