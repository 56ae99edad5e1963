"""What ``condense score`` and ``condense select`` write."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
import safetensors.torch
import torch
from pydantic import Field, FiniteFloat

from condense.data import taken
from condense.engine.documents import (
    COLUMNS,
    Document,
    FindingNote,
    KeptSample,
    StageSeconds,
    kept_table,
    notes_of,
    stage_seconds,
)
from condense.engine.graph import in_turn
from condense.engine.pipeline import Pipeline
from condense.engine.runtime.files import Ours, check_file, npz_with, write_file
from condense.engine.runtime.folders import (
    MAX_MARKER,
    Layout,
    check_folder,
    check_same,
    json_file_with,
    json_with,
    replace_folder,
)
from condense.engine.stages.scores import tensors_of
from condense.reading import PlainTable, read_regular
from condense.recipe import flatten
from condense.results import Finding

SCORES = "scores.safetensors"
MANIFEST = "manifest.json"
OWNED = Layout(MANIFEST, (SCORES,), json_with("scorer", "direction", "data_fingerprint"))
QUANTILES = {"min": 0.0, "25%": 0.25, "50%": 0.5, "75%": 0.75, "max": 1.0}
# what is wrong with the data and scores of a pipeline, or worth a look
Diagnose = Callable[[Pipeline], Sequence[Finding]]


def no_findings(pipeline: Pipeline) -> tuple[Finding, ...]:
    """Nothing is looked at."""
    return ()


class ScoreManifest(Document):
    """``manifest.json`` beside the scores."""

    scorer: PlainTable = Field(description="component and options")
    estimator: str = Field(description="what the scores are, in a few words")
    direction: Literal["higher-harder"] = "higher-harder"
    data: str
    data_fingerprint: str
    samples: int
    seed: int
    mean_standard_error: FiniteFloat | None = Field(description="null where the scorer gives none")
    reads: str | None = Field(description="digest of the file that the scorer reads, if it does")


class ScoreDocument(ScoreManifest):
    """``condense score --json``."""

    out: str = Field(description="the folder written")
    quantiles: dict[str, FiniteFloat] = Field(description="of the scores: min, 25% … max")
    stages: dict[str, StageSeconds]
    findings: tuple[FindingNote, ...] = Field(description="of the data and their scores")


class SelectionDocument(Document):
    """What ``condense select --out FILE.json`` writes."""

    data: str
    data_fingerprint: str
    selector: PlainTable = Field(description="component and options")
    seed: int
    samples: int = Field(description="that were chosen")
    per_class: dict[str, int]
    indices: tuple[int, ...] = Field(description="positions in the training split, by class")
    labels: tuple[int, ...] = Field(description="their classes")
    kept: tuple[KeptSample, ...] = Field(description="the same, one by one")
    out: str | None = Field(description="the file written, if one is")


class SelectDocument(SelectionDocument):
    """``condense select --json``."""

    stages: dict[str, StageSeconds]
    findings: tuple[FindingNote, ...] = Field(description="of the data and their scores")


def check_scores(out: Path, pipeline: Pipeline, force: bool = False) -> Path:
    """The place of ``out``, if the scores of ``pipeline`` may be written there.

    Args:
        out: a folder.
        pipeline: of which no stage is run.
        force: whether other scores may go for them.

    Raises:
        OutputError: if it cannot be written, holds something else, or may not be replaced.
        DataError: if the data cannot be read.
    """
    place = check_folder(out, OWNED)
    if not force and (place / MANIFEST).is_file():
        there = json.loads(read_regular(place / MANIFEST, MAX_MARKER))
        ours = {
            "scorer": pipeline.recipe["scorer"].portable,
            "seed": pipeline.recipe.seed,
            "data_fingerprint": pipeline.data.fingerprint,
            "reads": pipeline.scoring.reads,
        }
        check_same(out, "other scores", _facts(there), _facts(ours))
    return place


def _facts(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """What scores depend on, by dotted key."""
    return flatten({"scorer": manifest["scorer"]}) | {
        "seed": manifest.get("seed"),
        "fingerprint of the data": manifest["data_fingerprint"],
        "digest of the file read": manifest.get("reads"),  # not there in an old file
    }


def write_scores(
    pipeline: Pipeline, out: Path, diagnose: Diagnose = no_findings, force: bool = False
) -> ScoreDocument:
    """``scores.safetensors`` (key ``scores``, higher = harder) and ``manifest.json`` in ``out``.

    Raises:
        OutputError: before scoring, as :func:`check_scores`.
    """
    check = partial(check_scores, out, pipeline, force)
    check()
    scores, data, error = pipeline.scores, pipeline.data, pipeline.scores.standard_error
    manifest = ScoreManifest(
        scorer=pipeline.recipe["scorer"].portable,
        estimator=scores.estimator,
        data=data.name,
        data_fingerprint=data.fingerprint,
        samples=len(data),
        seed=pipeline.recipe.seed,
        mean_standard_error=None if error is None else float(error.mean()),
        reads=pipeline.scoring.reads,
    )

    def fill(draft: Path) -> None:
        tensors = tensors_of(scores) | {"labels": data.labels}
        (draft / SCORES).write_bytes(safetensors.torch.save(tensors))
        (draft / MANIFEST).write_bytes(manifest.text().encode())

    replace_folder(out, fill, check, pipeline.progress.note)
    some = scores.values[:: max(1, len(data) // 1_000_000)].double()
    quantiles = torch.quantile(some, torch.tensor(list(QUANTILES.values())).double())
    return ScoreDocument(
        **dict(manifest),
        out=str(out),
        quantiles=dict(zip(QUANTILES, quantiles.tolist(), strict=True)),
        stages=stage_seconds({"scorer": pipeline.timings["scorer"]}),
        findings=notes_of(diagnose(pipeline)),
    )


def write_selection(
    pipeline: Pipeline, out: Path | None, diagnose: Diagnose = no_findings
) -> SelectDocument:
    """The selection, written to ``out`` (.npz, .csv, else as JSON) unless it is None.

    Raises:
        OutputError: before selecting, if ``out`` cannot be written.
    """
    ours, contents = FORMS.get("" if out is None else out.suffix, FORMS[".json"])
    if out is not None:
        check_file(out, ours)
    pipeline.check_budget()
    in_turn(pipeline.progress, [*pipeline.selecting.needs, pipeline.selecting])
    selection, data = pipeline.selection, pipeline.data
    scores = pipeline.selecting.scores
    written = SelectionDocument(
        data=data.name,
        data_fingerprint=data.fingerprint,
        selector=pipeline.recipe["selector"].portable,
        seed=pipeline.recipe.seed,
        samples=len(selection.indices),
        per_class=dict(zip(data.classes, selection.counts, strict=True)),
        indices=tuple(selection.indices.tolist()),
        labels=tuple(selection.labels.tolist()),
        kept=KeptSample.all_of(
            selection.indices,
            selection.labels,
            data.classes,
            items=taken(data.items, selection.indices.tolist()),
            scores=None if scores is None else scores.values[selection.indices],
        ),
        out=None if out is None else str(out),
    )
    if out is not None:
        write_file(out, contents(written), ours)
    return SelectDocument(
        **dict(written),
        stages=stage_seconds(pipeline.timings),
        findings=notes_of(diagnose(pipeline)),
    )


def _npz(written: SelectionDocument) -> bytes:
    buffer = io.BytesIO()
    sources = [sample.source for sample in written.kept]
    arrays: dict[str, Any] = {"indices": written.indices, "labels": written.labels}
    np.savez(buffer, **arrays if None in sources else arrays | {"source": sources})
    return buffer.getvalue()


def _json(written: SelectionDocument) -> bytes:
    return written.without_home().text().encode()


def _csv(written: SelectionDocument) -> bytes:
    return kept_table(written.kept).encode()


def _is_csv(file: BinaryIO) -> bool:
    return file.readline(1000).decode(errors="replace").strip() == ",".join(COLUMNS)


# by ending: whether a file is a selection of ours, and what it holds
FORMS: dict[str, tuple[Ours, Callable[[SelectionDocument], bytes]]] = {
    ".npz": (npz_with("indices", "labels"), _npz),
    ".json": (json_file_with("selector", "indices", "labels"), _json),
    ".csv": (_is_csv, _csv),
}
