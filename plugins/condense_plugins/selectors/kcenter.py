"""k-center: the largest distance to the nearest sample kept is small (Sener & Savarese 2018)."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from condense_plugins.selectors._features import GoesByFeatures, squared_norms


class KCenterSelector(GoesByFeatures):
    """Takes the sample farthest from those taken so far, in each class (arXiv 1708.00489).

    The greedy algorithm of "Active Learning for Convolutional Neural Networks: A Core-Set
    Approach" (arXiv 1708.00489, algorithm 1): argmax over i of the minimum over the samples j
    taken of ‖x_i − x_j‖. The radius max_i min_j ‖x_i − x_j‖ is at most twice the smallest that
    as many samples can have. Only the running minimum [n] is kept.

    Departures: there the first samples are those that are labelled already; here it is the one
    nearest to the mean of its class. Classes are covered one by one, with the budget of each. The
    mixed integer program after the greedy start is left out.
    """

    name: ClassVar[str] = "kcenter"
    version: ClassVar[str] = "1"

    def pick(self, features: Tensor, count: int) -> Tensor:
        """The nearest to the mean first, then the farthest one each time."""
        norms = squared_norms(features)
        nearest = torch.full_like(norms, torch.inf)  # squared distance to those taken
        taken = torch.empty(count, dtype=torch.int64)
        place = norms.argmin()
        for number in range(count):
            taken[number] = place
            distance = (norms + norms[place] - 2 * (features @ features[place])).clamp(min=0)
            nearest = torch.minimum(nearest, distance)
            nearest[place] = -1.0  # never again, whatever rounding makes of its own distance
            place = nearest.argmax()
        return taken
