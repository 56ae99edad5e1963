"""Samples as single files would hold them."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from condense.engine.artefact.dataset import CondensedDataset


def encoded(condensed: CondensedDataset) -> tuple[str, list[bytes]]:
    """The ending of such files, and the contents of one a sample: PNG, or npy of float32 [D].

    Distilled pixels are rounded and clamped to 0–255; features are in the data's own units.
    """
    if condensed.geometry.is_image:
        return "png", [_png(image) for image in condensed.images.numpy()]
    return "npy", [_npy(row) for row in condensed.features.numpy()]


def _png(image: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> bytes:
    from PIL import Image

    target = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(target, "PNG")
    return target.getvalue()


def _npy(row: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> bytes:
    target = io.BytesIO()
    np.save(target, row, allow_pickle=False)
    return target.getvalue()
