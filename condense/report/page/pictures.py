"""Samples of a condensed set as small PNGs in data URIs, class by class."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from condense.engine.artefact.preview import CLASSES, FROZEN, PAIRS, evenly
from condense.engine.artefact.samples import CondensedSamples

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


def grid(condensed: CondensedSamples) -> tuple[GridRow, ...]:
    """Up to ten classes, evenly spread, with up to three pairs and three frozen samples each.

    Empty for feature vectors.
    """
    if not condensed.geometry.is_image:
        return ()
    images, sources = condensed.images.numpy(), condensed.source_inputs.numpy()
    places = condensed.source_index.tolist()
    rows = []
    for label in evenly(sorted(set(condensed.labels.tolist())), CLASSES):
        members = torch.nonzero(condensed.labels == label).flatten()
        distilled = condensed.distilled[members]
        name = condensed.classes[label]
        pairs = tuple(
            (
                Picture(data_uri(images[i]), f"{name}, distilled from sample {places[i]}"),
                Picture(data_uri(sources[i]), f"{name}, sample {places[i]} itself"),
            )
            for i in evenly(members[distilled].tolist(), PAIRS)
        )
        frozen = tuple(
            Picture(data_uri(images[i]), f"{name}, sample {places[i]}, kept")
            for i in evenly(members[~distilled].tolist(), FROZEN)
        )
        rows.append(GridRow(name, pairs, frozen))
    return tuple(rows)


def data_uri(image: npt.NDArray[np.uint8]) -> str:
    """uint8 [H, W, C] as a PNG in a data URI, its own pixels unless it is larger than 96."""
    from PIL import Image

    picture = Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)
    if max(picture.size) > LONGEST:
        picture.thumbnail((LONGEST, LONGEST), Image.Resampling.BOX)
    out = io.BytesIO()
    picture.save(out, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(out.getvalue()).decode()
