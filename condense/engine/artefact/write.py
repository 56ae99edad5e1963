"""Writing a condensed set as an artefact folder; for other programs see ``exports``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import safetensors.torch
import torch

from condense.engine.artefact.manifest import Manifest
from condense.engine.artefact.preview import draw_preview
from condense.engine.artefact.table import TABLE, TableDocument
from condense.engine.documents import kept_table
from condense.engine.runtime.expected import check_tensors
from condense.engine.runtime.files import csv_lines
from condense.engine.runtime.folders import Layout, check_folder, json_with, replace_folder
from condense.engine.runtime.locks import silent
from condense.errors import DataError
from condense.reading import in_one_line
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
SHRINK = ("shrink.json", "shrink.csv", "shrink.png", "shrink.svg")
SNAPSHOTS = "snapshots/iteration-*.safetensors"
ARTEFACT = Layout(
    MANIFEST,
    (
        *(TENSORS, "recipe.toml", TABLE, TRACE, INDEX, "preview.png", RESULTS, LOG),
        *(CHOICE, *SHRINK, SNAPSHOTS),
    ),
    json_with("format", "sha256"),
)


def save_artefact(
    condensed: CondensedDataset,
    folder: Path,
    extra: dict[str, str] | None = None,
    check: Callable[[], Path] | None = None,
    note: Callable[[str], object] = silent,
    draw: Callable[[Path], object] = silent,
) -> Path:
    """Write ``condensed`` to ``folder``, all or nothing.

    Args:
        condensed: the set.
        folder: replaced if it holds an artefact already.
        extra: further text files by name (results, log).
        check: of more than that, as for :func:`replace_folder`.
        note: likewise.
        draw: adds further files to the folder that it is given.

    Raises:
        OutputError: if ``folder`` cannot be written or holds something else.
    """

    def fill(draft: Path) -> None:
        blob = artefact_tensors(condensed)
        (draft / TENSORS).write_bytes(blob)
        table = table_json(condensed)
        manifest = manifest_of(condensed, blob, table, folder)
        texts = {
            MANIFEST: manifest.text(),
            "recipe.toml": recipe_toml(manifest.recipe),
            TRACE: trace_csv(condensed),
            INDEX: kept_table(condensed.kept),
            **({} if table is None else {TABLE: table.decode()}),
            **(extra or {}),
        }
        for name, text in texts.items():  # as bytes: the same line ends on every system
            (draft / name).write_bytes(text.encode())
        for iteration, inputs in condensed.snapshots.items():
            path = snapshot_path(draft, iteration)
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(safetensors.torch.save({"inputs": inputs.contiguous()}))
        (draft / "preview.png").write_bytes(draw_preview(condensed))
        draw(draft)

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


def table_json(condensed: CondensedDataset) -> bytes | None:
    """The contents of ``table.json``; None where the set was made of no table."""
    return None if condensed.table is None else TableDocument.of(condensed.table).text().encode()


def manifest_of(
    condensed: CondensedDataset, blob: bytes, table: bytes | None, folder: Path
) -> Manifest:
    """The contents of ``manifest.json`` in ``folder``, of tensors ``blob`` and ``table.json``.

    Raises:
        DataError: for a set that could not be read back.
    """
    try:
        manifest = Manifest.of(condensed, blob, table, *condensed.written_in(folder))
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
    rows = enumerate(zip(*columns.values(), strict=True), 1)
    told = ([i, *(f"{figure:.9g}" for figure in row)] for i, row in rows)
    return csv_lines([["iteration", *columns], *told])
