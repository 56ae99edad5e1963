"""Reading a condensed set back from its folder, whole and undamaged or not at all."""

from __future__ import annotations

import csv
import hashlib
import io
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from condense.data import Normalization
from condense.engine.artefact.manifest import FORMAT, SOFT_FORMAT, Manifest
from condense.engine.artefact.table import TABLE, TableDocument, fits
from condense.engine.artefact.write import (
    MANIFEST,
    RESULTS,
    TENSORS,
    TRACE,
    manifest_of,
    snapshot_path,
)
from condense.engine.documents import Document, parse_document, read_file, read_results
from condense.engine.runtime.expected import Expected, check_tensors
from condense.errors import DataError
from condense.reading import Plain, in_one_line, read_regular, shown
from condense.recipe import take_paths
from condense.results import Trace
from condense.tabular.table import Table

if TYPE_CHECKING:
    from condense.engine.artefact.dataset import CondensedDataset

AGAIN = "run the recipe again"


def read_artefact(folder: Path, kind: type[CondensedDataset]) -> CondensedDataset:
    """The artefact in ``folder`` as a ``kind``; see :meth:`CondensedDataset.load`."""
    manifest, blob = _read_files(folder)
    tensors = read_tensors(folder / TENSORS, manifest.tensors(), blob)
    mean, std = tensors["normalisation"].tolist()
    step = float(tensors["step_size"])
    recipe, places = take_paths(manifest.recipe, manifest.paths)
    table, rows = _read_table(folder, manifest)
    condensed = kind(
        inputs=tensors["inputs"],
        labels=tensors["labels"],
        role=tensors["role"],
        source_index=tensors["source_index"],
        source_inputs=tensors["source_inputs"],
        classes=manifest.classes,
        normalization=Normalization(tuple(mean), tuple(std)),
        flip=manifest.flip,
        step_size=None if step != step else step,
        method=manifest.method,
        seed=manifest.seed,
        recipe=recipe,
        data_name=manifest.data.name,
        data_fingerprint=manifest.data.fingerprint,
        data_size=manifest.data.samples,
        trace=_read_trace(folder / TRACE),
        snapshots={
            i: read_tensors(snapshot_path(folder, i), {"inputs": manifest.inputs})["inputs"]
            for i in manifest.snapshots
        },
        soft_labels=tensors.get("soft_labels"),
        items=manifest.items or None,
        texts=manifest.texts or None,
        scores=torch.tensor(manifest.scores) if manifest.scores else None,
        paths={key: os.path.abspath(folder / place) for key, place in places.items()},
        table=rows,
    )
    _check_agreement(folder, manifest, manifest_of(condensed, blob, table, folder))
    _check_soft_labels(folder, condensed)
    found = read_results(folder / RESULTS, condensed)
    if found is None or found.accuracy is None:  # nothing was evaluated
        return condensed
    return replace(condensed, results=found.to_json())


def _read_table(folder: Path, manifest: Manifest) -> tuple[bytes | None, Table | None]:
    """The contents of ``table.json`` and the table that they are; None where there is none."""
    if not manifest.table:
        return None, None
    path = folder / TABLE
    text = read_file(path)
    if hashlib.sha256(text).hexdigest() != manifest.table:
        raise DataError(f"{path} is damaged: checksum differs; {AGAIN}")
    try:
        table = parse_document(path, text, TableDocument, AGAIN).table()
    except DataError as error:
        if str(path) in str(error):
            raise
        raise DataError(f"{path} is damaged: {error}; {AGAIN}") from None
    if not fits(table, manifest.samples, manifest.shape[0], len(manifest.classes)):
        raise DataError(
            f"{path} is damaged: its rows or columns are not those of {manifest.samples} samples "
            f"of {manifest.shape[0]} features in {len(manifest.classes)} classes; {AGAIN}"
        )
    return text, table


class _Format(Document):
    """What every format of a manifest has."""

    format: Plain = None


def _read_files(folder: Path) -> tuple[Manifest, bytes]:
    """The manifest and the bytes of the tensors, of a format that is known and undamaged."""
    path = folder / MANIFEST
    try:
        text, blob = read_regular(path), read_regular(folder / TENSORS)
    except (FileNotFoundError, NotADirectoryError):
        raise DataError(
            f"{folder} is not a condensed set: it needs {TENSORS} and {MANIFEST}; "
            "make one with `condense run --out DIR`"
        ) from None
    except (OSError, ValueError) as error:
        raise DataError(
            f"{folder} cannot be read: {in_one_line(error)}; may you read it?"
        ) from None
    form = parse_document(path, text, _Format, AGAIN).format
    if form is None:
        raise DataError(
            f"{path} is not the manifest of a condensed set: it has no 'format'; "
            "make one with `condense run --out DIR`"
        )
    if form not in (FORMAT, SOFT_FORMAT):
        raise DataError(
            f"{folder} has format {shown(form)}, this version of condense reads formats "
            f"{FORMAT} and {SOFT_FORMAT}; install the version it was made with, or run its recipe "
            "again"
        )
    manifest = parse_document(path, text, Manifest, AGAIN)
    if hashlib.sha256(blob).hexdigest() != manifest.sha256:
        raise DataError(f"{folder / TENSORS} is damaged: checksum differs; {AGAIN}")
    return manifest, blob


def read_tensors(
    path: Path, expected: Mapping[str, Expected], blob: bytes | None = None
) -> dict[str, Tensor]:
    """The tensors in ``path``, of which ``blob`` are the bytes if they were read, as expected.

    Raises:
        DataError: naming the file, the tensor and what is wrong with it.
    """
    try:
        tensors = safetensors.torch.load(read_file(path) if blob is None else blob)
        check_tensors(tensors, expected)
        return tensors
    except (SafetensorError, KeyError, ValueError, RuntimeError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path} is damaged: {in_one_line(error)}; {AGAIN}") from None


def _check_agreement(folder: Path, manifest: Manifest, own: Manifest) -> None:
    """That what the manifest says of the samples is what the samples say.

    Names of classes may be other ones, but not more or fewer: everybody who reads the set looks
    them up by number.
    """
    path, told = folder / MANIFEST, manifest
    if len(told.classes) != len(told.per_class):
        raise DataError(
            f"{path} is damaged: 'classes' has {len(told.classes)} names, 'per_class' "
            f"{len(told.per_class)} counts; {AGAIN}"
        )
    for key in ("format", "distilled", "per_class", "soft_labels", "step_size", "normalisation"):
        one, other = (_plain(getattr(document, key)) for document in (told, own))
        if one != other:
            raise DataError(
                f"{path} is damaged: '{key}' is {shown(one)}, the samples and 'classes' say "
                f"{shown(other)}; {AGAIN}"
            )


def _plain(value: Any) -> Any:
    if isinstance(value, Document):
        return value.to_json()
    return list(value) if isinstance(value, tuple) else value


def _check_soft_labels(folder: Path, condensed: CondensedDataset) -> None:
    """That soft labels, where there are any, sum to 1."""
    soft = condensed.soft_labels
    if soft is not None and not bool(((soft.sum(1) - 1).abs() < 1e-3).all()):
        raise DataError(
            f"{folder / TENSORS} is damaged: soft_labels has rows that do not sum to 1; {AGAIN}"
        )


def _read_trace(path: Path) -> Trace:
    """Loss and step size of every iteration; a loss may be NaN or infinite, as it was.

    Raises:
        DataError: naming the line that is no such row.
    """
    if not path.is_file():
        return Trace()
    columns: list[list[float]] = []
    number, row, expected = 0, [""], "LOSS,STEP_SIZE"
    try:
        for number, row in enumerate(csv.reader(io.StringIO(read_file(path).decode()))):
            if not number:  # the header
                columns = [[], []]
                if row[3:] == ["image_lr"]:
                    columns.append([])
                    expected += ",IMAGE_LR"
                continue
            iteration, *figures = row
            if int(iteration) != number:
                raise ValueError
            for column, figure in zip(columns, figures, strict=True):
                column.append(float(figure))
    except UnicodeDecodeError:
        raise DataError(f"{path} is damaged: it is no text in UTF-8; {AGAIN}") from None
    except (ValueError, csv.Error):
        raise DataError(
            f"{path} is damaged: line {number + 1} is {shown(','.join(row))}, expected "
            f"'{number},{expected}'; {AGAIN}"
        ) from None
    return Trace(*map(tuple, columns))
