"""What exports say of each sample, in the words of Hugging Face's data sets."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from condense.engine.artefact.dataset import CondensedDataset


def rows(condensed: CondensedDataset) -> list[dict[str, Any]]:
    """One a sample, JSON-ready; all have the same keys.

    ``label`` is the name of the class and ``label_index`` its number, ``role`` real or distilled,
    ``source_index`` the sample of the data that it is or started from; ``source`` (its name, or its
    file below the folder of the data), ``score`` (its difficulty), ``soft_label`` (the learned
    distribution over the classes, by ``label_index``) and ``text`` (what it was before it was
    embedded; null of a distilled sample, which never was any) where they are known.
    """
    kept, soft = condensed.kept, condensed.soft_labels
    columns: dict[str, list[Any]] = {
        "label": [sample.class_name for sample in kept],
        "label_index": condensed.labels.tolist(),
        "role": [sample.role for sample in kept],
        "source_index": [sample.source_index for sample in kept],
    }
    if condensed.items is not None:
        columns["source"] = list(condensed.items)
    if condensed.scores is not None:
        columns["score"] = [_short(value) for value in condensed.scores.tolist()]
    if soft is not None:
        columns["soft_label"] = [[_short(value) for value in row] for row in soft.tolist()]
    if condensed.texts is not None:
        pairs = zip(condensed.texts, condensed.distilled.tolist(), strict=True)
        columns["text"] = [None if distilled else text for text, distilled in pairs]
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def lines(told: Iterable[Mapping[str, Any]]) -> bytes:
    """``told`` as JSON lines, which Hugging Face's builders read as ``metadata.jsonl``."""
    texts = (json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in told)
    return "".join(texts).encode()


def _short(value: float) -> float:
    """A float32 in as few digits as tell it from all others."""
    return float(f"{value:.9g}")
