"""Facility location: every sample has one like it among those kept (lazy greedy)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from condense_plugins.selectors._features import GoesByFeatures, squared_norms

STORED = 2**28  # bytes of distances that are kept at once: those of a class of 8192 samples
BLOCK = 64  # candidates whose gain is worked out together


class FacilityLocationSelector(GoesByFeatures):
    """Takes the sample that represents most of what is not represented yet (as arXiv 1906.01827).

    Maximises f(S) = Σ_i max_{j ∈ S} s_ij with s_ij = c − ‖x_i − x_j‖ (as for the exemplars of
    arXiv 1906.01827, CRAIG, equation 9: c is the distance to a phantom exemplar). c is twice the
    largest distance to the mean of the class, so that no similarity is negative, and the greedy
    set has at least 1 − 1/e of the largest f that as many samples can have (Nemhauser et al.
    1978). What c is makes no difference to the samples taken.

    Lazy (Minoux 1978): the gain of a candidate only shrinks as the set grows, so a gain worked out
    before is a bound, and only those with the largest bounds are worked out again. Distances are
    kept for a class of up to 8192 samples, and else worked out anew each time.

    Departures: samples in place of gradients, and no weights: a sample kept stands for itself.
    """

    name: ClassVar[str] = "facility-location"
    version: ClassVar[str] = "1"

    def pick(self, features: Tensor, count: int) -> Tensor:
        """:func:`representatives`."""
        return representatives(features, count)


def representatives(features: Tensor, count: int) -> Tensor:
    """int64 [``count``], the one of the largest gain each time, the first of equal ones.

    Args:
        features: float32 [n, D] with the mean 0 and no value beyond ±1.
        count: 1 to n.
    """
    distances = Distances.of(features)
    nearest = torch.full((len(features),), distances.farthest)
    bound = torch.full((len(features),), torch.inf)  # of the gain of each; −∞ once taken
    taken = torch.empty(count, dtype=torch.int64)
    for number in range(count):
        stale = torch.ones(len(features), dtype=torch.bool)
        while stale[place := bound.argmax()]:
            some = bound.masked_fill(~stale, -torch.inf).topk(min(BLOCK, int(stale.sum())))
            asked = some.indices[some.values > -torch.inf]
            bound[asked] = (nearest - distances.rows(asked)).clamp(min=0).sum(1)
            stale[asked] = False
        taken[number] = place
        nearest = torch.minimum(nearest, distances.rows(place[None])[0])
        bound[place] = -torch.inf
    return taken


@dataclass(frozen=True, eq=False)
class Distances:
    """Between the samples of a class.

    Attributes:
        features: float32 [n, D], with the mean 0.
        norms: float32 [n], squared.
        stored: float32 [n, n] where that is not too large, else None.
    """

    features: Tensor
    norms: Tensor
    stored: Tensor | None

    @staticmethod
    def of(features: Tensor) -> Distances:
        """Those of ``features``."""
        worked_out, size = Distances(features, squared_norms(features), None), len(features)
        if 4 * size**2 > STORED:
            return worked_out
        table = torch.empty(size, size)
        for places in torch.split(torch.arange(size), 8 * BLOCK):
            table[places] = worked_out.rows(places)
        return Distances(features, worked_out.norms, table)

    @property
    def farthest(self) -> float:
        """A bound of all of them, by way of the mean."""
        return 2 * math.sqrt(float(self.norms.max()))

    def rows(self, places: Tensor) -> Tensor:
        """float32 [b, n] from the samples at ``places`` (int64 [b]) to all."""
        if self.stored is not None:
            return self.stored[places]
        products = self.features[places] @ self.features.T
        squares = products.mul_(-2).add_(self.norms).add_(self.norms[places, None])
        squares[torch.arange(len(places)), places] = 0.0  # not quite, by rounding
        return squares.clamp_(min=0).sqrt_()
