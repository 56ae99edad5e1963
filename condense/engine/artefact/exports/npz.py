"""Arrays in one ``.npz`` file."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from condense.engine.runtime.files import check_ending, npz_with, write_file

if TYPE_CHECKING:
    from condense.engine.artefact.dataset import CondensedDataset

OWN_ARRAYS = ("train_labels", "inputs", "role", "source_index")  # by which it is known


def write(condensed: CondensedDataset, path: Path) -> Path:
    """One .npz that ``npz:PATH`` reads: train_images, train_labels, classes.

    Of features ``train_inputs``. Besides: ``inputs`` (float32, normalised, lossless), ``role``,
    ``source_index``, ``mean``, ``std``; and ``soft_labels`` (float32 [M, C]) where labels were
    learned, ``source`` and ``score`` (of the samples started from) where they are known.
    ``npz:PATH`` does not read those: ``train_labels`` are the classes that samples were chosen for.

    Raises:
        OutputError: if it cannot be written, is another's file or does not end in .npz.
    """
    check_ending(path, ".npz")
    norm = condensed.normalization
    mean, std = (torch.tensor(v, dtype=torch.float32) for v in (norm.mean, norm.std))
    samples = condensed.images if condensed.geometry.is_image else condensed.features
    buffer = io.BytesIO()
    soft = condensed.soft_labels
    arrays: dict[str, Any] = {} if soft is None else {"soft_labels": soft.numpy()}
    if condensed.items is not None:
        arrays["source"] = np.array(condensed.items)
    if condensed.scores is not None:
        arrays["score"] = condensed.scores.numpy()
    arrays["train_images" if condensed.geometry.is_image else "train_inputs"] = samples.numpy()
    np.savez(
        buffer,
        train_labels=condensed.labels.numpy(),
        classes=np.array(condensed.classes),
        inputs=condensed.inputs.numpy(),
        role=condensed.role.numpy(),
        source_index=condensed.source_index.numpy(),
        mean=mean.numpy(),
        std=std.numpy(),
        **arrays,
    )
    return write_file(path, buffer.getvalue(), npz_with(*OWN_ARRAYS))
