"""Samples of a condensed set as small PNGs in data URIs, class by class."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from condense.engine.artefact.dataset import CondensedDataset
from condense.engine.artefact.preview import draw_preview, shown_samples

LONGEST = 96  # pixels of the longer side kept


@dataclass(frozen=True)
class Picture:
    """An image.

    Attributes:
        uri: ``data:image/png;base64,…``.
        alt: what it shows, in words.
    """

    uri: str
    alt: str


@dataclass(frozen=True)
class GridRow:
    """Samples of one class.

    Attributes:
        name: of the class.
        pairs: distilled samples, each with the real one it started from.
        frozen: real samples that were kept as they are.
    """

    name: str
    pairs: tuple[tuple[Picture, Picture], ...]
    frozen: tuple[Picture, ...]


def grid(condensed: CondensedDataset) -> tuple[GridRow, ...]:
    """The samples that a preview shows; empty for feature vectors."""
    if not condensed.geometry.is_image:
        return ()
    images, sources = condensed.images.numpy(), condensed.source_inputs.numpy()
    places = condensed.source_index.tolist()
    rows = []
    for row in shown_samples(condensed):
        name = condensed.classes[row.label]
        pairs = tuple(
            (
                Picture(data_uri(images[i]), f"{name}, distilled from sample {places[i]}"),
                Picture(data_uri(sources[i]), f"{name}, sample {places[i]} itself"),
            )
            for i in row.distilled
        )
        frozen = tuple(
            Picture(data_uri(images[i]), f"{name}, sample {places[i]}, kept") for i in row.frozen
        )
        rows.append(GridRow(name, pairs, frozen))
    return tuple(rows)


def plane(condensed: CondensedDataset) -> Picture | None:
    """The preview of feature vectors; None for images."""
    if condensed.geometry.is_image:
        return None
    count, moved = len(condensed), int(condensed.distilled.sum())
    words = f"{count} samples in the plane of two principal components, {moved} of them distilled"
    return Picture(_in_uri(draw_preview(condensed)), words)


def data_uri(image: npt.NDArray[np.uint8]) -> str:
    """uint8 [H, W, C] as a PNG in a data URI, its own pixels unless it is larger than 96."""
    from PIL import Image

    picture = Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)
    if max(picture.size) > LONGEST:
        picture.thumbnail((LONGEST, LONGEST), Image.Resampling.BOX)
    out = io.BytesIO()
    picture.save(out, "PNG", optimize=True)
    return _in_uri(out.getvalue())


def _in_uri(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()
