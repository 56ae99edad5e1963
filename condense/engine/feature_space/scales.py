"""Features whose scale a few values set, which standardising leaves without a difference."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from condense.data import LabeledData

ROWS = 4096  # samples that quantiles are taken of
NORMAL = 2.563  # standard deviations between the first and the last decile of a normal distribution


@dataclass(frozen=True)
class Scale:
    """A feature's standard deviation beside that of its middle.

    Attributes:
        feature: its place, or the name of its column.
        value: the one that is farthest from the mean, in the data's units.
        times: the standard deviation, over that of a normal distribution with the same deciles.
    """

    feature: str
    value: float
    times: float


def widest_scale(data: LabeledData) -> Scale | None:
    """The feature with the most times; None of images, and where the middle 80 % of each are equal,
    as of words that few texts have."""
    if data.geometry.is_image:
        return None
    some = data.inputs[:: -(-len(data) // ROWS)].double()
    low, high = torch.quantile(some, torch.tensor([0.1, 0.9], dtype=torch.float64), dim=0)
    middle = (high - low) / NORMAL
    times = torch.where(middle > 0, torch.tensor(data.normalization.std) / middle, 0)
    worst = int(times.argmax())
    if not times[worst]:
        return None
    values, means = data.inputs[:, worst], torch.tensor(data.normalization.mean)
    value = values[(values - means.expand(len(times))[worst]).abs().argmax()]
    columns = () if data.table is None else data.table.columns
    names = [f"'{column.name}'" for column in columns for _ in column.features]
    feature = names[worst] if names else str(worst)
    return Scale(feature, float(value), float(times[worst]))
