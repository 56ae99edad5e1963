"""Writing a condensed set: as an artefact folder, an image folder, or an .npz."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import safetensors.torch
import torch

from condense.engine.artefact.manifest import Manifest
from condense.engine.artefact.preview import draw_preview
from condense.engine.documents import kept_table
from condense.engine.runtime.expected import check_tensors
from condense.engine.runtime.files import in_one_line, npz_with, write_file
from condense.engine.runtime.folders import Layout, check_folder, json_with, replace_folder
from condense.engine.runtime.turns import silent
from condense.errors import DataError, OutputError
from condense.recipe import recipe_toml

if TYPE_CHECKING:
    from condense.engine.artefact.dataset import CondensedDataset

TENSORS = "condensed.safetensors"
MANIFEST = "manifest.json"
RESULTS = "results.json"
TRACE = "trace.csv"
INDEX = "index.csv"
LOG = "run.log.json"
CHOICE = "choice.json"
SNAPSHOTS = "snapshots/iteration-*.safetensors"
ARTEFACT = Layout(
    MANIFEST,
    (TENSORS, "recipe.toml", TRACE, INDEX, "preview.png", RESULTS, LOG, CHOICE, SNAPSHOTS),
    json_with("format", "sha256"),
)
OWN_ARRAYS = (
    "train_labels",
    "inputs",
    "role",
    "source_index",
)  # by which it is known
IMAGES = Layout(
    INDEX,
    ("train/*/*-real.png", "train/*/*-distilled.png"),
    lambda contents: contents.startswith(b"file,class,role,source_index"),
)


def save_artefact(
    condensed: CondensedDataset,
    folder: Path,
    extra: dict[str, str] | None = None,
    check: Callable[[], Path] | None = None,
    note: Callable[[str], object] = silent,
) -> Path:
    """Write ``condensed`` to ``folder``, all or nothing.

    Args:
        condensed: the set.
        folder: replaced if it holds an artefact already.
        extra: further text files by name (results, log).
        check: of more than that, as for :func:`replace_folder`.
        note: likewise.

    Raises:
        OutputError: if ``folder`` cannot be written or holds something else.
    """

    def fill(draft: Path) -> None:
        blob = artefact_tensors(condensed)
        (draft / TENSORS).write_bytes(blob)
        manifest = manifest_of(condensed, blob, folder)
        texts = {
            MANIFEST: manifest.text(),
            "recipe.toml": recipe_toml(manifest.recipe),
            TRACE: trace_csv(condensed),
            INDEX: kept_table(condensed.kept),
            **(extra or {}),
        }
        for name, text in texts.items():  # as bytes: the same line ends on every system
            (draft / name).write_bytes(text.encode())
        for iteration, inputs in condensed.snapshots.items():
            path = snapshot_path(draft, iteration)
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(safetensors.torch.save({"inputs": inputs.contiguous()}))
        (draft / "preview.png").write_bytes(draw_preview(condensed))

    return replace_folder(folder, fill, check or partial(check_folder, folder, ARTEFACT), note)


def artefact_tensors(condensed: CondensedDataset) -> bytes:
    """The contents of ``condensed.safetensors``."""
    return safetensors.torch.save({k: v.contiguous() for k, v in tensors_of(condensed).items()})


def tensors_of(condensed: CondensedDataset) -> dict[str, torch.Tensor]:
    """What ``condensed.safetensors`` holds, by name."""
    norm = [condensed.normalization.mean, condensed.normalization.std]
    step = float("nan") if condensed.step_size is None else condensed.step_size
    return {
        "inputs": condensed.inputs,
        "labels": condensed.labels,
        "role": condensed.role,
        "source_index": condensed.source_index,
        "source_inputs": condensed.source_inputs,
        "step_size": torch.tensor(step, dtype=torch.float32),
        "normalisation": torch.tensor(norm, dtype=torch.float64),
        **({} if condensed.soft_labels is None else {"soft_labels": condensed.soft_labels}),
    }


def manifest_of(condensed: CondensedDataset, blob: bytes, folder: Path) -> Manifest:
    """The contents of ``manifest.json`` in ``folder``, whose tensors are ``blob``.

    Raises:
        DataError: for a set that could not be read back.
    """
    try:
        manifest = Manifest.of(condensed, blob, *condensed.written_in(folder))
        check_tensors(tensors_of(condensed), manifest.tensors())
        return manifest
    except ValueError as error:
        raise DataError(f"the set cannot be written to {folder}: {in_one_line(error)}") from None


def snapshot_path(folder: Path, iteration: int) -> Path:
    """Where the snapshot of ``iteration`` lies in an artefact."""
    return folder / "snapshots" / f"iteration-{iteration:06d}.safetensors"


def trace_csv(condensed: CondensedDataset) -> str:
    """``iteration,loss,step_size``, one line per matching iteration; ``image_lr`` if not given."""
    trace = condensed.trace
    columns = {"loss": trace.loss, "step_size": trace.step_size}
    if trace.image_lr:
        columns["image_lr"] = trace.image_lr
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["iteration", *columns])
    rows = zip(*columns.values(), strict=True)
    writer.writerows([i, *(f"{figure:.9g}" for figure in row)] for i, row in enumerate(rows, 1))
    return out.getvalue()


def to_image_folder(condensed: CondensedDataset, folder: Path) -> Path:
    """``folder/train/CLASS/NNNNN-ROLE.png`` plus ``index.csv``; reads back as ``folder:PATH``.

    Distilled values are rounded and clamped to 0–255, so train on the artefact itself where the
    last tenth of a point matters.

    Raises:
        OutputError: if it cannot be written; DataError for feature vectors.
    """
    from PIL import Image

    images = condensed.images.numpy()
    names = folder_names(condensed.classes)

    def fill(draft: Path) -> None:
        files = []
        for i, (image, label) in enumerate(zip(images, condensed.labels.tolist(), strict=True)):
            role = "distilled" if condensed.distilled[i] else "real"
            path = draft / "train" / names[label] / f"{i:05d}-{role}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(path)
            files.append(path.relative_to(draft).as_posix())
        (draft / INDEX).write_bytes(kept_table(condensed.kept, files).encode())

    return replace_folder(folder, fill, partial(check_folder, folder, IMAGES))


def folder_names(classes: tuple[str, ...]) -> list[str]:
    """One safe name of a folder for each class, distinct on every file system.

    Also on those that know no case (Windows, macOS) or write é in one way alone (macOS).
    """
    names: list[str] = []
    taken: set[str] = set()
    for number, name in enumerate(classes):
        plain = re.sub(r"[^\w.\- ]+", "_", name).strip(" .") or f"class-{number}"
        device = plain.partition(".")[0].strip().upper() in DEVICES
        safe = again = f"_{plain}" if device else plain
        while _folded(again) in taken:
            again = f"{safe}-{number}"
            number += 1
        taken.add(_folded(again))
        names.append(again)
    return names


# what Windows takes for a device, whatever the ending
DEVICES = {
    *("CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"),
    *(f"{port}{n}" for port in ("COM", "LPT") for n in "0123456789¹²³"),
}


def _folded(name: str) -> str:
    """Equal for names that some file system takes for one."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def to_npz(condensed: CondensedDataset, path: Path) -> Path:
    """One .npz that ``npz:PATH`` reads: train_images, train_labels, classes.

    Of features ``train_inputs``. Besides: ``inputs`` (float32, normalised, lossless), ``role``,
    ``source_index``, ``mean``, ``std``; and ``soft_labels`` (float32 [M, C]) where labels were
    learned, ``source`` and ``score`` (of the samples started from) where they are known.
    ``npz:PATH`` does not read those: ``train_labels`` are the classes that samples were chosen for.

    Raises:
        OutputError: if it cannot be written, is another's file or does not end in .npz.
    """
    if path.suffix != ".npz":
        raise OutputError(f"{path} must end in .npz; choose another name (`out`)")
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
