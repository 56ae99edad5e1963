"""What ``condense score`` and ``condense select`` write."""

from __future__ import annotations

import io
import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch

from condense.engine.pipeline import Pipeline
from condense.engine.runtime.files import check_file, write_file
from condense.engine.runtime.folders import Layout, check_folder, json_with, replace_folder
from condense.places import without_home

SCORES = "scores.safetensors"
MANIFEST = "manifest.json"
OWNED = Layout(MANIFEST, (SCORES,), json_with("scorer", "direction", "data_fingerprint"))


def write_scores(pipeline: Pipeline, out: Path) -> dict[str, Any]:
    """``scores.safetensors`` (key ``scores``, higher = harder) and ``manifest.json`` in ``out``.

    Returns:
        the summary that ``score --json`` prints.

    Raises:
        OutputError: before scoring, if ``out`` cannot be written.
    """
    check = partial(check_folder, out, OWNED)
    check()
    scores, data = pipeline.scores, pipeline.data
    tensors = {"scores": scores.values, "labels": data.labels}
    if scores.standard_error is not None:
        tensors["standard_error"] = scores.standard_error
    manifest = {
        "scorer": pipeline.recipe["scorer"].portable,
        "estimator": scores.estimator,
        "direction": "higher-harder",
        "data": data.name,
        "data_fingerprint": data.fingerprint,
        "samples": len(data),
        "seed": pipeline.recipe.seed,
        "mean_standard_error": (
            None if scores.standard_error is None else float(scores.standard_error.mean())
        ),
    }

    def fill(draft: Path) -> None:
        (draft / SCORES).write_bytes(safetensors.torch.save(tensors))
        (draft / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")

    replace_folder(out, fill, check, pipeline.progress.note)
    quantiles = torch.quantile(
        scores.values[:: max(1, len(data) // 1_000_000)].double(),
        torch.tensor([0.0, 0.25, 0.5, 0.75, 1.0]).double(),
    )
    stage = pipeline.timings["scorer"]
    return manifest | {
        "out": str(out),
        "quantiles": dict(
            zip(("min", "25%", "50%", "75%", "max"), quantiles.tolist(), strict=True)
        ),
        "stages": {"scorer": {"seconds": round(stage.seconds, 3), "cached": stage.cached}},
    }


def write_selection(pipeline: Pipeline, out: Path | None) -> dict[str, Any]:
    """The selection as indices, written to ``out`` (.npz, else as JSON) unless it is None.

    Returns:
        the summary that ``select --json`` prints, indices included.

    Raises:
        OutputError: before selecting, if ``out`` cannot be written.
    """
    if out is not None:
        check_file(out)
    selection, data = pipeline.selection, pipeline.data
    summary = {
        "data": data.name,
        "data_fingerprint": data.fingerprint,
        "selector": pipeline.recipe["selector"].portable,
        "seed": pipeline.recipe.seed,
        "samples": len(selection.indices),
        "per_class": dict(zip(data.classes, selection.counts, strict=True)),
        "indices": selection.indices.tolist(),
        "labels": selection.labels.tolist(),
        "out": None if out is None else str(out),
        "stages": {
            name: {"seconds": round(time.seconds, 3), "cached": time.cached}
            for name, time in pipeline.timings.items()
        },
    }
    if out is not None:
        write_file(out, _npz(summary) if out.suffix == ".npz" else _json(summary))
    return summary


def _npz(summary: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, indices=np.array(summary["indices"]), labels=np.array(summary["labels"]))
    return buffer.getvalue()


def _json(summary: dict[str, Any]) -> bytes:
    kept = {name: value for name, value in summary.items() if name != "stages"}
    kept["out"] = without_home(kept["out"])
    return (json.dumps(kept, indent=1) + "\n").encode()
