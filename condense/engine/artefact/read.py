"""Reading a condensed set back from its folder, whole and undamaged or not at all."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from condense.data import Normalization
from condense.engine.artefact.write import (
    FORMAT,
    MANIFEST,
    RESULTS,
    SOFT_FORMAT,
    TENSORS,
    artefact_manifest,
    snapshot_path,
)
from condense.engine.documents import read_results
from condense.errors import DataError
from condense.results import Trace

if TYPE_CHECKING:
    from condense.engine.artefact.dataset import CondensedDataset


def read_artefact(folder: Path, kind: type[CondensedDataset]) -> CondensedDataset:
    """The artefact in ``folder`` as a ``kind``; see :meth:`CondensedDataset.load`."""
    manifest, blob = _read_files(folder)
    try:
        tensors = safetensors.torch.load(blob)
        mean, std = tensors["normalisation"].tolist()
        step = float(tensors["step_size"])
        recipe, paths = _read_recipe(folder, manifest)
        condensed = kind(
            inputs=tensors["inputs"],
            labels=tensors["labels"],
            role=tensors["role"],
            source_index=tensors["source_index"],
            source_inputs=tensors["source_inputs"],
            classes=tuple(manifest["classes"]),
            normalization=Normalization(tuple(mean), tuple(std)),
            flip=manifest["flip"],
            step_size=None if step != step else step,
            method=manifest["method"],
            seed=manifest["seed"],
            recipe=recipe,
            data_name=manifest["data"]["name"],
            data_fingerprint=manifest["data"]["fingerprint"],
            trace=_read_trace(folder / "trace.csv"),
            snapshots=_read_snapshots(folder, manifest["snapshots"]),
            soft_labels=tensors.get("soft_labels"),
            paths=paths,
        )
        _check_agreement(folder, manifest, artefact_manifest(condensed, blob, folder))
        _check_soft_labels(folder, condensed)
        found = read_results(folder / RESULTS, condensed)
    except DataError:
        raise
    except KeyError as error:
        raise DataError(f"{folder} is damaged: {error} is missing; run the recipe again") from None
    except (IndexError, TypeError, ValueError, SafetensorError, OSError) as error:
        raise DataError(f"{folder} is damaged: {error}; run the recipe again") from None
    if found is None or found.accuracy is None:  # nothing was evaluated
        return condensed
    return replace(condensed, results=found.to_json())


def _read_files(folder: Path) -> tuple[dict[str, Any], bytes]:
    """The manifest and the bytes of the tensors, of a format that is known and undamaged."""
    try:
        text = (folder / MANIFEST).read_text(encoding="utf-8")
        blob = (folder / TENSORS).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise DataError(
            f"{folder} is not a condensed set: it needs {TENSORS} and {MANIFEST}; "
            "make one with `condense run --out DIR`"
        ) from None
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise DataError(f"{folder} cannot be read: {reason}; may you read it?") from None
    except ValueError as error:  # not UTF-8
        raise DataError(f"{folder / MANIFEST} is damaged: {error}; run the recipe again") from None
    try:
        manifest = json.loads(text)
    except ValueError as error:
        raise DataError(f"{folder / MANIFEST} is damaged: {error}; run the recipe again") from None
    if not isinstance(manifest, dict) or "format" not in manifest:
        raise DataError(
            f"{folder / MANIFEST} is not the manifest of a condensed set: it has no 'format'; "
            "make one with `condense run --out DIR`"
        )
    if manifest["format"] not in (FORMAT, SOFT_FORMAT):
        raise DataError(
            f"{folder} has format {manifest['format']!r}, this version of condense reads formats "
            f"{FORMAT} and {SOFT_FORMAT}; install the version it was made with, or run its recipe "
            "again"
        )
    if hashlib.sha256(blob).hexdigest() != manifest.get("sha256"):
        raise DataError(f"{folder / TENSORS} is damaged: checksum differs; run the recipe again")
    return manifest, blob


def _read_recipe(folder: Path, manifest: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """The recipe without its paths, and these, absolute."""
    recipe, paths = dict(manifest["recipe"]), {}
    for key in manifest.get("paths", []):
        stage, _, option = key.partition(".")
        recipe[stage] = dict(recipe[stage])
        paths[key] = os.path.abspath(folder / recipe[stage].pop(option))
    return recipe, paths


def _check_agreement(folder: Path, manifest: dict[str, Any], own: dict[str, Any]) -> None:
    """That what the manifest says of the samples is what the samples say.

    Names of classes may be other ones, but not more or fewer: everybody who reads the set looks
    them up by number.
    """
    names = manifest["classes"]
    if not isinstance(names, list) or not all(isinstance(n, str) for n in names):
        raise DataError(f"{folder / MANIFEST} is damaged: 'classes' must be a list of names")
    if len(set(names)) < len(names):
        raise DataError(f"{folder / MANIFEST} is damaged: 'classes' has a name twice")
    if len(names) != len(manifest["per_class"]):
        raise DataError(
            f"{folder / MANIFEST} is damaged: 'classes' has {len(names)} names, 'per_class' "
            f"{len(manifest['per_class'])} counts; run the recipe again"
        )
    of_labels = {"soft_labels": False}  # not named in format 1
    told, own = of_labels | manifest, of_labels | own
    sizes = ("format", "samples", "distilled", "shape", "per_class", *of_labels)
    for key in (*sizes, "step_size", "normalisation"):
        if told[key] != own[key]:
            raise DataError(
                f"{folder / MANIFEST} is damaged: '{key}' is {told[key]}, the samples and "
                f"'classes' say {own[key]}; run the recipe again"
            )


def _check_soft_labels(folder: Path, condensed: CondensedDataset) -> None:
    """That soft labels, where there are any, are a float32 distribution over the classes each."""
    soft = condensed.soft_labels
    if soft is None:
        return
    shape = (len(condensed), len(condensed.classes))
    fits = tuple(soft.shape) == shape and soft.dtype == torch.float32
    # NaN fails these comparisons as well
    if not fits or not bool(((soft.sum(1) - 1).abs() < 1e-3).all() and (soft >= 0).all()):
        raise DataError(
            f"{folder / TENSORS} is damaged: soft_labels must be float32 {shape}, none below 0, "
            "each row summing to 1; run the recipe again"
        )


def _read_snapshots(folder: Path, iterations: list[int]) -> dict[int, Tensor]:
    return {
        i: safetensors.torch.load(snapshot_path(folder, i).read_bytes())["inputs"]
        for i in iterations
    }


def _read_trace(path: Path) -> Trace:
    if not path.is_file():
        return Trace()
    rows = [line.split(",") for line in path.read_text().splitlines()[1:]]
    return Trace(tuple(float(r[1]) for r in rows), tuple(float(r[2]) for r in rows))
