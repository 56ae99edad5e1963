"""What scorers call hard and easy, as pictures; and the files of ``score --compare``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from condense.engine.artefact.preview import (
    CELL,
    GAP,
    LINE,
    Tile,
    Words,
    contact_sheet,
    evenly,
    name_width,
)
from condense.engine.pipeline import Pipeline
from condense.engine.runtime.folders import (
    MAX_MARKER,
    Layout,
    check_folder,
    check_same,
    json_with,
)
from condense.interfaces import LabeledData
from condense.places import without_home
from condense.reading import read_regular
from condense.recipe import flatten
from condense.studies.files import write_study
from condense.studies.scorers.run import ComparisonDocument, ScorerComparison, extremes

EACH = 8  # images drawn at each end of a class
CLASSES = 40  # classes drawn at most, evenly spread, some 2 000 pixels


def check_comparison(
    target: Path, pipelines: Sequence[Pipeline], names: Sequence[str], force: bool = False
) -> Path:
    """The place of ``target``, if the comparison of ``pipelines`` may be written there.

    Args:
        target: a folder.
        pipelines: of which no stage is run, all on the same data.
        names: of their scorers, as they were asked for.
        force: whether another comparison may go for it.

    Raises:
        OutputError: if it cannot be written, holds something else, or may not be replaced.
        DataError: if the data cannot be read.
    """
    place = check_folder(target, OWNED)
    file = place / OWNED.marker
    if not force and file.is_file():
        there = ComparisonDocument.model_validate_json(read_regular(file, MAX_MARKER))
        entries = [(one.name, one.scorer, one.reads) for one in there.scorers]
        theirs = _facts(there.seed, there.data_fingerprint, entries)
        ours = _facts(
            pipelines[0].recipe.seed,
            pipelines[0].data.fingerprint,
            [
                (without_home(name), bound.recipe["scorer"].portable, bound.scoring.reads)
                for name, bound in zip(names, pipelines, strict=True)
            ],
        )
        check_same(target, "another comparison", theirs, ours)
    return place


def _facts(
    seed: int | None, fingerprint: str, entries: Sequence[tuple[str, Any, str | None]]
) -> dict[str, Any]:
    """What a comparison depends on; ``entries`` are name, table and file read of each scorer."""
    facts = {"scorers": [name for name, _, _ in entries], "seed": seed}
    for name, table, reads in entries:
        facts |= flatten({name: table or {}}) | {f"digest of the file that {name} reads": reads}
    return facts | {"fingerprint of the data": fingerprint}


def write_scorer_comparison(result: ScorerComparison, folder: Path) -> Path:
    """``comparison.json`` and, for images, a contact sheet a scorer in ``folder``.

    Args:
        result: what was compared.
        folder: replaced if it holds a comparison already.

    Raises:
        OutputError: if it cannot be written or holds something else.
    """
    files = {
        sheet: draw_extremes(result.data, scores.values, one.name)
        for sheet, scores, one in zip(
            sheet_names(result), result.scores, result.document.scorers, strict=False
        )
    }
    return write_study(folder, OWNED, result.document.to_json(), files)


def sheet_names(result: ScorerComparison) -> list[str]:
    """File names of the contact sheets; none for data that are no images."""
    if not result.data.geometry.is_image:
        return []
    return _sheets_of([one.name for one in result.document.scorers])


def _sheets_of(scorers: Sequence[str]) -> list[str]:
    stems = [re.sub(r"[^\w.]+", "-", name).strip("-")[-60:] for name in scorers]
    again = [stems[:i].count(stem) for i, stem in enumerate(stems)]
    return [f"{s}-{n + 1}.png" if n else f"{s}.png" for s, n in zip(stems, again, strict=True)]


def _sheets_named_in(contents: bytes) -> list[str]:
    """The sheets beside a ``comparison.json`` of these contents."""
    scorers = ComparisonDocument.model_validate_json(contents).scorers
    return _sheets_of([one.name for one in scorers])


OWNED = Layout(
    "comparison.json", (), json_with("scorers", "rank_correlation"), named=_sheets_named_in
)


def draw_extremes(data: LabeledData, scores: torch.Tensor, title: str) -> bytes:
    """A PNG: a row a class, its easiest images, then its hardest, extreme ones outside.

    Args:
        data: uint8 [N, H, W, C] images.
        scores: float32 [N], higher = harder.
        title: written above.
    """
    present = sorted(set(data.labels.tolist()))
    shown, images = evenly(present, CLASSES), data.inputs.numpy()
    left = name_width(data.classes[label] for label in shown)
    middle = left + EACH * CELL + 2 * GAP
    headings = [
        Words(GAP, GAP, f"{title} on {data.name}"),
        Words(left, GAP + LINE, "easiest, from the left"),
        Words(middle, GAP + LINE, "hardest, from the right"),
    ]
    rows = []
    for label in shown:
        easy, hard = extremes(data, scores, label, EACH)
        tiles = [Tile(left + k * CELL, images[i]) for k, i in enumerate(easy)]
        tiles += [Tile(middle + (EACH - 1 - k) * CELL, images[i]) for k, i in enumerate(hard)]
        rows.append((data.classes[label], tiles))
    left_out = len(shown) < len(present)
    note = f"{len(shown)} of {len(present)} classes are shown" if left_out else ""
    return contact_sheet(headings, rows, note)
