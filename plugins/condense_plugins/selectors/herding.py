"""Herding: the mean of the samples kept stays near the mean of the class (Welling 2009)."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from condense_plugins.selectors._features import GoesByFeatures, squared_norms


class HerdingSelector(GoesByFeatures):
    """Takes the sample that brings the mean of those taken nearest to the class's (Welling 2009).

    "Herding Dynamical Weights to Learn" (Welling, ICML 2009) for a finite set of samples with the
    mean µ, in the form of iCaRL (arXiv 1611.07725, equation 4): the k-th sample is the argmin over
    x of ‖µ − (x + Σ of those taken)/k‖. Where all ‖x‖ are equal that is Welling's
    argmax ⟨w, x⟩, w ← w + µ − x.

    Departures: a sample is taken once (Welling's may come again), classes are herded one by one,
    and features are not scaled to the length 1, as iCaRL's are.
    """

    name: ClassVar[str] = "herding"
    version: ClassVar[str] = "1"

    def pick(self, features: Tensor, count: int) -> Tensor:
        """With µ = 0: the argmin of ‖x + s‖² = ‖x‖² + 2⟨x, s⟩ + ‖s‖², s the sum so far."""
        left = squared_norms(features)  # ‖x‖², infinite for those taken
        total = torch.zeros(features.shape[1], dtype=torch.float64)
        taken = torch.empty(count, dtype=torch.int64)
        for number in range(count):
            place = (left + 2 * (features @ total.float())).argmin()
            taken[number] = place
            left[place] = torch.inf
            total += features[place]
        return taken
