"""Samples that are nearly equal to others."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from condense.data import LabeledData
from condense.engine.feature_space.principal import principal_components
from condense.engine.ingest.copies import distinct, name_of
from condense.engine.runtime.expected import is_finite
from condense.engine.runtime.rng import Seed
from condense.engine.training.batches import network_inputs

LARGEST = 100_000  # samples among which they are looked for: colour images take some ten seconds
AXES = 32  # principal components in which neighbours are found
TREE = 8  # of them for a tree, which is no quicker than every pair in many more
FITTED = 2000  # samples of which those are worked out
ASKED = 500  # samples by which it is judged what is near by chance
NEIGHBOURS = 10
# Of the distance to the tenth neighbour. Sound data begin at 0.32 (digits), 0.37 (MNIST), 0.39
# (wine), 0.43 (CIFAR-10) and 0.46 (breast cancer); images that were saved again as JPEG of quality
# 95, made brighter by 1 % or have noise of 1 % lie below nearly all, moved by a pixel none.
NEAR = 0.2
CHANCE = 0.01  # samples as near as that which data of their size and dimension may have by chance
SHOWN = 3  # pairs
AT_ONCE = 256  # samples whose distances are worked out
FEW = 20  # samples whose distances to all others are held
EXACT = "donot_use_mm_for_euclid_dist"  # torch.cdist's squares may be expanded otherwise


@dataclass(frozen=True)
class NearCopies:
    """How many samples are nearly, but not exactly, equal to another.

    Attributes:
        samples, test_samples: of the splits; 0 where there is no test split.
        copies: training samples that are nearly equal to an earlier one.
        mislabeled: of those, how many to one with another label.
        tested: test samples that are nearly equal to a training sample.
        nearest: pairs by name or position, nearest first, with their distance as a share of that to
            the tenth neighbour.
    """

    samples: int
    copies: int
    mislabeled: int
    tested: int
    test_samples: int
    nearest: tuple[tuple[str, str, float], ...]


def near_copies_in(data: LabeledData) -> NearCopies | None:
    """The near copies in ``data``; None for too many samples to look, too few to tell, or some that
    are not finite.

    Two samples, not equal, are near copies where their distance, of inputs as networks see them, is
    below :data:`NEAR` of that from one of them to its tenth nearest, and, in data of few
    dimensions, below what chance would give: of n points that are spread evenly in d dimensions
    n · 9 · r^d have their nearest within r of the distance to the tenth, and at most
    :data:`CHANCE` may. That d is the data's own (Levina and Bickel 2004, as averaged by MacKay and
    Ghahramani). Neighbours are found among :data:`AXES` principal components, their distances
    worked out in full.
    """
    tests = data.test
    both = [data] if tests is None else [data, tests]
    inputs = torch.cat([part.inputs for part in both])
    labels = torch.cat([part.labels for part in both])
    places = torch.tensor(distinct(inputs))
    if not NEIGHBOURS < len(places) <= LARGEST or not is_finite(inputs):
        return None
    every = LabeledData(inputs[places], labels[places], data.classes, data.normalization)
    pairs = {(int(places[i]), int(places[j])): share for (i, j), share in _pairs(every).items()}
    return _told(data, pairs, labels.tolist())


def _pairs(data: LabeledData) -> dict[tuple[int, int], float]:
    """Near copies by their places, the lower first, with how near they are."""
    from scipy.spatial import KDTree

    rng = Seed(0).fork("near-copies").generator()
    axes = principal_components(data, AXES, rng, FITTED)
    asked = torch.arange(0, len(data), -(-len(data) // ASKED))
    # not scikit-learn, whose import takes half a second; themselves are among them
    apart = (torch.cdist(part, axes, compute_mode=EXACT) for part in torch.split(axes[asked], FEW))
    around = torch.cat([a.topk(NEIGHBOURS + 1, largest=False).indices for a in apart])
    shares, tenth = _shares(data, asked, around)
    near = _threshold(shares, len(data))
    tree = KDTree(axes[:, :TREE].numpy())
    along, beside = map(torch.from_numpy, tree.query(tree.data, NEIGHBOURS + 1))
    # along some axes they are no farther apart than along all
    close = torch.nonzero(along[:, 1] < near * tenth.max()).flatten()
    shares, _ = _shares(data, close, beside[close])
    pairs: dict[tuple[int, int], float] = {}
    for row, column in torch.nonzero(shares < near).tolist():
        one, two = sorted((int(close[row]), int(beside[close[row], column])))
        share = float(shares[row, column])
        pairs[one, two] = min(share, pairs.get((one, two), share))
    return pairs


def _told(data: LabeledData, pairs: dict[tuple[int, int], float], labels: list[int]) -> NearCopies:
    """What ``pairs`` of places, in the training split and then the test split, amount to."""
    n = len(data)
    inside = {pair for pair in pairs if pair[1] < n}
    across = {pair for pair in pairs if pair[0] < n <= pair[1]}
    return NearCopies(
        n,
        len({two for _, two in inside}),
        len({two for one, two in inside if labels[one] != labels[two]}),
        len({two for _, two in across}),
        0 if data.test is None else len(data.test),
        tuple(
            (name_of(data, one), name_of(data, two), pairs[one, two])
            for one, two in sorted(inside | across, key=lambda pair: (pairs[pair], pair))[:SHOWN]
        ),
    )


def _shares(data: LabeledData, asked: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
    """Distances from the samples ``asked`` [M] to ``others`` [M, K + 1] as shares of the K-th,
    float32 [M, K + 1], infinite from one to itself; and the K-th."""
    found = torch.empty(others.shape)
    for part in torch.split(torch.arange(len(others)), AT_ONCE):
        own = network_inputs(data, asked[part]).flatten(1)
        for k in range(others.shape[1]):
            found[part, k] = (network_inputs(data, others[part, k]).flatten(1) - own).norm(dim=1)
    found[others == asked[:, None]] = torch.inf
    tenth = found.sort(1).values[:, NEIGHBOURS - 1]
    return found / tenth[:, None], tenth


def _threshold(shares: Tensor, samples: int) -> float:
    """Below which a share is no chance, by those of some of the ``samples``."""
    k, middle = NEIGHBOURS, NEIGHBOURS // 2
    # of evenly spread points log(kth / jth distance) is (1/j + … + 1/(k − 1)) / d on average; the
    # jth is not the first, since copies would make that small
    expected = sum(1 / j for j in range(middle, k))
    fifth = shares.sort(1).values[:, middle - 1].clamp_min(1e-9)
    inverse = float(-fifth.log().mean()) / expected
    return min(NEAR, float((CHANCE / (samples * (k - 1))) ** inverse))
