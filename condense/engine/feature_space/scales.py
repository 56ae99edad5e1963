"""Features whose scale a few values set, which standardising leaves without a difference."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from condense.data import LabeledData

ROWS = 4096  # samples that quantiles are taken of
AT_ONCE = 2**20  # values, which are copied
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
    """The feature with the most times; None of images, and where there is no middle, as of words
    that few texts have."""
    if data.geometry.is_image:
        return None
    some = data.inputs[:: -(-len(data) // ROWS)]
    parts = torch.split(some, max(1, AT_ONCE // len(some)), dim=1)
    middle = torch.cat([_middle(part) for part in parts])
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


def _middle(values: Tensor) -> Tensor:
    """Standard deviation of a normal distribution with the deciles of ``values`` [N, D], [D]; 0
    where it is rounding, or a value at the lower or upper end is as frequent as all others."""
    places = torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64)
    low, median, high = torch.quantile(values.double(), places, dim=0)
    spread = (low < median) & (median < high) & (high - low > 1e-6 * median.abs())
    return torch.where(spread, high - low, 0) / NORMAL
