"""A picture of a condensed set: each distilled sample beside the real one it started from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from condense.engine.artefact.samples import CondensedSamples

CLASSES = 10  # classes drawn at most
PAIRS = 3  # distilled samples a class, each beside its source
FROZEN = 3  # frozen real samples a class
TILE = 48  # pixels of a tile's longer side on the picture
GAP = 4
INK, PAPER, FRAME = (40, 40, 40), (255, 255, 255), (66, 113, 174)


def draw_preview(condensed: CondensedSamples, path: Path) -> Path:
    """Draw up to 10 classes to a PNG at ``path``; equal sets give equal bytes.

    A row is a class: its name, up to three pairs (distilled in a blue frame, then its source),
    then up to three frozen real samples.
    """
    from PIL import Image, ImageDraw

    images = condensed.images.numpy()
    sources = condensed.source_inputs.numpy()
    shown = evenly(sorted(set(condensed.labels.tolist())), CLASSES)
    distilled = condensed.distilled
    label_width = 8 + 7 * max((len(condensed.classes[c][:14]) for c in shown), default=1)
    has_pairs, has_frozen = bool(distilled.any()), bool((~distilled).any())
    cell = TILE + GAP
    width = (
        label_width + has_pairs * PAIRS * (2 * cell + GAP) + has_frozen * (FROZEN * cell + 2 * GAP)
    )
    canvas = Image.new("RGB", (width, 24 + len(shown) * cell + GAP), PAPER)
    pen = ImageDraw.Draw(canvas)
    frozen_at = label_width + has_pairs * (PAIRS * (2 * cell + GAP) + GAP)
    if has_pairs:
        pen.text((label_width, 6), "distilled | real it started from", fill=FRAME)
    if has_frozen:
        pen.text((frozen_at, 6), "real, frozen", fill=INK)
    for row, label in enumerate(shown):
        top = 24 + row * cell
        pen.text((4, top + TILE // 2 - 6), condensed.classes[label][:14], fill=INK)
        members = torch.nonzero(condensed.labels == label).flatten()
        moved, kept = members[distilled[members]], members[~distilled[members]]
        for k, i in enumerate(evenly(moved.tolist(), PAIRS)):
            left = label_width + k * (2 * cell + GAP)
            pen.rectangle((left - 2, top - 2, left + TILE + 1, top + TILE + 1), fill=FRAME)
            canvas.paste(Image.fromarray(tile(images[i])), (left, top))
            canvas.paste(Image.fromarray(tile(sources[i])), (left + cell, top))
        for k, i in enumerate(evenly(kept.tolist(), FROZEN)):
            canvas.paste(Image.fromarray(tile(images[i])), (frozen_at + k * cell, top))
    canvas.save(path)
    return path


def evenly(items: list[int], most: int) -> list[int]:
    """At most ``most`` of ``items``, evenly spread."""
    if len(items) <= most:
        return items
    return [items[round(k * (len(items) - 1) / (most - 1))] for k in range(most)]


def tile(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """uint8 [H, W, C] as RGB [TILE, TILE, 3]: nearest neighbour, so that pixels stay pixels."""
    rgb = np.repeat(image, 3, axis=2) if image.shape[2] == 1 else image
    side = max(rgb.shape[:2])
    rows = np.minimum(np.arange(TILE) * side // TILE, rgb.shape[0] - 1)
    columns = np.minimum(np.arange(TILE) * side // TILE, rgb.shape[1] - 1)
    return np.ascontiguousarray(rgb[rows][:, columns])
