"""What scorers call hard and easy, as pictures; and the files of ``score --compare``."""

from __future__ import annotations

import json
import re
from pathlib import Path

import torch

from condense.engine.artefact.preview import GAP, INK, PAPER, TILE, tile
from condense.engine.runtime.files import replace_folder
from condense.interfaces import LabeledData
from condense.studies.comparison.run import Comparison, extremes

JSON = "comparison.json"
OWNED = (JSON, "*.png")  # what a folder of a comparison may hold
EACH = 8  # images drawn at each end of a class
CLASSES = 100  # classes drawn at most, evenly spread


def write_comparison(result: Comparison, folder: Path) -> Path:
    """``comparison.json`` and, for images, a contact sheet a scorer in ``folder``.

    Args:
        result: what was compared.
        folder: replaced if it holds a comparison already.

    Raises:
        OutputError: if it cannot be written or holds something else.
    """

    def fill(draft: Path) -> None:
        text = json.dumps(result.to_json(), indent=2, allow_nan=False)
        (draft / JSON).write_text(text + "\n", encoding="utf-8")
        if result.data.geometry.is_image:
            for name, one in zip(sheet_names(result), result.scorers, strict=True):
                draw_extremes(result.data, one.scores.values, one.name, draft / name)

    return replace_folder(folder, fill, OWNED)


def sheet_names(result: Comparison) -> list[str]:
    """File names of the contact sheets; none for data that are no images."""
    if not result.data.geometry.is_image:
        return []
    stems = [re.sub(r"[^\w.]+", "-", one.name).strip("-")[-60:] for one in result.scorers]
    again = [stems[:i].count(stem) for i, stem in enumerate(stems)]
    return [f"{s}-{n + 1}.png" if n else f"{s}.png" for s, n in zip(stems, again, strict=True)]


def draw_extremes(data: LabeledData, scores: torch.Tensor, title: str, path: Path) -> Path:
    """A PNG at ``path``: a row a class, its easiest images, then its hardest, extreme ones outside.

    Args:
        data: uint8 [N, H, W, C] images.
        scores: float32 [N], higher = harder.
        title: written above.
    """
    from PIL import Image, ImageDraw

    present = sorted(set(data.labels.tolist()))
    shown = present[:: -(-len(present) // CLASSES)]
    cell, images = TILE + GAP, data.inputs.numpy()
    left = 8 + 7 * max(len(data.classes[c][:14]) for c in shown)
    middle = left + EACH * cell + 2 * GAP
    width, height = middle + EACH * cell + GAP, 40 + len(shown) * cell + GAP
    canvas = Image.new("RGB", (width, height), PAPER)
    pen = ImageDraw.Draw(canvas)
    pen.text((4, 4), _plain(f"{title} on {data.name}"), fill=INK)
    pen.text((left, 22), "easiest, from the left", fill=INK)
    pen.text((middle, 22), "hardest, from the right", fill=INK)
    for row, label in enumerate(shown):
        top = 40 + row * cell
        pen.text((4, top + TILE // 2 - 6), _plain(data.classes[label][:14]), fill=INK)
        easy, hard = extremes(data, scores, label, EACH)
        places = [(left + k * cell, i) for k, i in enumerate(easy)]
        places += [(middle + (EACH - 1 - k) * cell, i) for k, i in enumerate(hard)]
        for x, i in places:
            canvas.paste(Image.fromarray(tile(images[i])), (x, top))
    canvas.save(path)
    return path


def _plain(text: str) -> str:
    """``text`` in what Pillow's built-in font has."""
    return text.encode("latin-1", "replace").decode("latin-1")
