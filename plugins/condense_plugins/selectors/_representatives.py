"""Samples that stand for the others: every one has one like it among those kept (lazy greedy)."""

from __future__ import annotations

import torch
from torch import Tensor

from condense.engine.training.batches import affine, normalise
from condense.interfaces import Context, LabeledData

BLOCK = 64  # candidates whose gain is worked out together


def network_space(data: LabeledData, context: Context, rng: torch.Generator) -> Tensor:
    """float32 [N, D]: features of images from a network trained for them, others as networks see
    them."""
    found = context.features(data, rng)
    if data.geometry.is_image:
        return found
    return normalise(found, *affine(data.normalization, found, torch.device("cpu")))


def representatives(features: Tensor, count: int) -> Tensor:
    """int64 [``count``] positions, in the order in which they are taken, the first of equal ones.

    Facility location: the sum of the distances of all samples to the nearest one taken falls as
    much as it can with each. A gain only shrinks as the set grows (Minoux 1978), so one worked out
    before is a bound, and only those with the largest bounds are worked out again.

    Args:
        features: float32 [n, D].
        count: 1 to n.
    """
    values = features.double()
    values = (values - values.mean(0)).float()
    nearest = torch.full((len(values),), 2 * float(values.norm(dim=1).max()))
    bound = torch.full((len(values),), torch.inf)  # of the gain of each; −∞ once taken
    taken = torch.empty(count, dtype=torch.int64)
    for number in range(count):
        stale = torch.ones(len(values), dtype=torch.bool)
        while stale[place := bound.argmax()]:
            some = bound.masked_fill(~stale, -torch.inf).topk(min(BLOCK, int(stale.sum())))
            asked = some.indices[some.values > -torch.inf]
            bound[asked] = (nearest - torch.cdist(values[asked], values)).clamp(min=0).sum(1)
            stale[asked] = False
        taken[number] = place
        nearest = torch.minimum(nearest, torch.cdist(values[place[None]], values)[0])
        bound[place] = -torch.inf
    return taken
