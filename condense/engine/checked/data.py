"""Data that were loaded."""

from __future__ import annotations

import torch

from condense.capabilities import KnowsModality
from condense.engine.checked.common import described, kind_of, require
from condense.engine.ingest.arrays import CHANNELS
from condense.engine.runtime.expected import is_finite
from condense.engine.runtime.guard import guarded
from condense.interfaces import Context, Dataset, LabeledData


def run_dataset(dataset: Dataset, context: Context) -> LabeledData:
    """The data that ``dataset`` loads, checked.

    Raises:
        BrokenPlugin: if they are not of the form of :class:`LabeledData`, or as :func:`guarded`
            does.
    """
    with guarded("data", dataset):
        data = dataset.load(context)
    check_data(dataset, data)
    return data


def check_data(dataset: Dataset, data: LabeledData) -> None:
    """That ``data``, which ``dataset`` has loaded, and their test split are of the form.

    Raises:
        BrokenPlugin: if not.
    """
    who = f"data '{dataset.name}'"
    require(
        isinstance(data, LabeledData),
        f"{who} returned {kind_of(data)}, expected a condense.data.LabeledData",
    )
    for split, part in (("train", data), ("test", data.test)):
        if part is not None:
            _check_split(f"{who} ({split})", part)
    if isinstance(dataset, KnowsModality):
        told, found = dataset.modality(), data.geometry.modality
        require(
            told == found, f"{who} has the modality {told!r} before it is loaded, then {found!r}"
        )


def _check_split(who: str, data: LabeledData) -> None:
    inputs, labels = data.inputs, data.labels
    images = inputs.dim() == 4 and inputs.dtype == torch.uint8 and inputs.shape[3] in CHANNELS
    require(
        images or (inputs.dim() == 2 and inputs.dtype == torch.float32),
        f"{who} has inputs {described(inputs)}, expected uint8 [N, H, W, C] with C = 1 or 3, or "
        "float32 [N, D]",
    )
    require(
        labels.dtype == torch.int64 and labels.shape == inputs.shape[:1] and len(labels) > 0,
        f"{who} has labels {described(labels)}, expected int64 ({len(inputs)},), at least one",
    )
    require(
        is_finite(inputs),
        f"{who} has inputs that are not finite (NaN or infinity), expected numbers",
    )
    low, high = int(labels.min()), int(labels.max())
    require(
        0 <= low and high < len(data.classes),
        f"{who} has labels {low} to {high}, expected 0 to {len(data.classes) - 1} as there are "
        f"{len(data.classes)} classes",
    )
