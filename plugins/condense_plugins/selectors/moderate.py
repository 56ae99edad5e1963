"""Moderate Coreset: neither the nearest to the class's mean nor the farthest (ICLR 2023)."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from condense_plugins.selectors._features import GoesByFeatures, squared_norms


class ModerateSelector(GoesByFeatures):
    """Takes samples at the median distance to the class's mean (Moderate Coreset, ICLR 2023).

    "Moderate Coreset: A Universal Method of Data Selection for Real-world Data-efficient Deep
    Learning" (Xia et al., ICLR 2023): with d_i = ‖x_i − µ‖ and m their median, the samples of the
    smallest |d_i − m|.

    Departures: the mean, distances and median are those of each class, as its budget is.
    """

    name: ClassVar[str] = "moderate"
    version: ClassVar[str] = "1"

    def pick(self, features: Tensor, count: int) -> Tensor:
        """The nearest to the median first; ties keep the data's order."""
        distances = squared_norms(features).sqrt()
        # of an even number the lower one: from the mean of the two, both would be equally far
        return (distances - distances.median()).abs().argsort(stable=True)[:count]
