"""Samples that are nearly equal to others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import torch
from torch import Tensor
from torch.nn.functional import avg_pool1d, avg_pool2d

from condense.data import LabeledData, Normalization
from condense.engine.feature_space.principal import principal_components
from condense.engine.ingest.copies import distinct, name_of
from condense.engine.runtime.expected import is_finite
from condense.engine.runtime.rng import Seed
from condense.engine.training.batches import affine

if TYPE_CHECKING:
    from scipy.spatial import KDTree

LARGEST = 75_000  # samples among which they are looked for
VALUES = 200_000_000  # numbers that they hold together: 65 000 colour images of 32 × 32 pixels
LOOKED = 250_000_000  # numbers that are read for distances in full, which take about a second
REDUCED = 512  # numbers of a sample among which neighbours are found
AXES = 32  # principal components of these
TREE = 8  # of them for a tree, which is no quicker than every pair in many more
SLACK = 1.0  # all nearer than 1 / (1 + this) of the last found are found; a quarter of the time
FITTED = 2000  # samples of which those are worked out
ASKED = 500  # samples by which it is judged what is near by chance
NEIGHBOURS = 10
# Of the distance to the tenth neighbour. Sound data begin at 0.32 (digits), 0.37 (MNIST), 0.39
# (wine), 0.43 (CIFAR-10) and 0.46 (breast cancer); images that were saved again as JPEG of quality
# 95, made brighter by 1 % or have noise of 1 % lie below nearly all, moved by a pixel none.
NEAR = 0.2
CHANCE = 0.01  # samples as near as that which data of their size and dimension may have by chance
SHOWN = 3  # pairs
AT_ONCE = 2**18  # numbers worked with at a time: what a processor's cache holds
FEW = 20  # samples whose distances to all others are held
HELD = 8  # data whose near copies are remembered
EXACT = "donot_use_mm_for_euclid_dist"  # torch.cdist's squares may be expanded otherwise
Pairs: TypeAlias = dict[tuple[int, int], float]


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


_KNOWN: dict[tuple[str, str | None], Pairs | None] = {}


def near_copies_in(data: LabeledData) -> NearCopies | None:
    """The near copies in ``data``; None for too many samples to look, too few to tell, or some that
    are not finite. They are looked for once in a process.

    Two samples, not equal, are near copies where their distance, of inputs as networks see them, is
    below :data:`NEAR` of that from one of them to its tenth nearest, and, in data of few
    dimensions, below what chance would give: of n points that are spread evenly in d dimensions
    n · 9 · r^d have their nearest within r of the distance to the tenth, and at most
    :data:`CHANCE` may. That d is the data's own (Levina and Bickel 2004, as averaged by MacKay and
    Ghahramani). Neighbours are found among :data:`AXES` principal components of the samples, large
    ones reduced to :data:`REDUCED` means of their numbers. No distance there is greater than in
    full, so that only pairs that are near there are looked at in full; where there are more than
    :data:`LOOKED` allows, the nearest.
    """
    splits = [data] if data.test is None else [data, data.test]
    count, size = sum(map(len, splits)), data.inputs[0].numel()
    if not NEIGHBOURS < count <= LARGEST or count * size > VALUES:
        return None
    key = data.fingerprints
    if key not in _KNOWN:
        while len(_KNOWN) >= HELD:
            _KNOWN.pop(next(iter(_KNOWN)))
        _KNOWN[key] = _found(splits)
    pairs = _KNOWN[key]
    labels = [label for part in splits for label in part.labels.tolist()]
    return None if pairs is None else _told(data, pairs, labels)


def _found(splits: list[LabeledData]) -> Pairs | None:
    """Near copies by their places in one split after the other, the lower first, with how near they
    are."""
    if not all(is_finite(part.inputs) for part in splits):
        return None
    places = torch.tensor(distinct(*(part.inputs for part in splits)))
    if len(places) <= NEIGHBOURS:
        return None
    found = _pairs(_Samples(splits, places))
    return {(int(places[i]), int(places[j])): share for (i, j), share in found.items()}


class _Samples:
    """Those at some places in one split after the other, by their numbers among these."""

    def __init__(self, splits: list[LabeledData], places: Tensor) -> None:
        self._splits = splits
        self._places = places
        first = splits[0]
        self._scale = affine(first.normalization, first.inputs, torch.device("cpu"))[1]
        self.size = first.inputs[0].numel()

    def __len__(self) -> int:
        return len(self._places)

    def rows(self, numbers: Tensor) -> Tensor:
        """float32 [M, …] as stored, in the units that networks see."""
        places, first = self._places[numbers], self._splits[0]
        tested = places >= len(first)
        if not tested.any():
            return first.inputs[places].float().mul_(self._scale)
        found = torch.empty(len(places), *first.inputs.shape[1:])
        found[~tested] = first.inputs[places[~tested]].float()
        found[tested] = self._splits[1].inputs[places[tested] - len(first)].float()
        return found.mul_(self._scale)

    def distances(self, ones: Tensor, others: Tensor) -> Tensor:
        """Of ``ones`` [M] to ``others`` [M, K], float32 [M, K]."""
        found = torch.empty(others.shape)
        for part in _split(len(ones), self.size * others.shape[1]):
            own = self.rows(ones[part]).flatten(1)[:, None]
            theirs = self.rows(others[part].flatten()).reshape(*others[part].shape, self.size)
            found[part] = theirs.sub_(own).norm(dim=2)
        return found

    def reduced(self) -> Tensor:
        """float32 [N, at most :data:`REDUCED`]: means of neighbouring numbers, in the unit in which
        no distance is greater than in full."""
        parts = _split(len(self), self.size)
        return torch.cat([_means(self.rows(part)) for part in parts])


def _split(count: int, size: int) -> tuple[Tensor, ...]:
    """The numbers up to ``count`` in parts of some :data:`AT_ONCE` values, ``size`` each."""
    return torch.split(torch.arange(count), max(1, AT_ONCE // size))


def _means(rows: Tensor) -> Tensor:
    """Of squares of pixels [M, H, W, C], or of features [M, D] that follow one another; what is
    left over at the ends is left out. Times the root of how many there are: a projection."""
    if rows.dim() == 2:
        width = -(-rows.shape[1] // REDUCED)
        return rows if width == 1 else avg_pool1d(rows[:, None], width)[:, 0] * width**0.5
    _, high, wide, channels = rows.shape
    side = 1
    while (high // side) * (wide // side) * channels > REDUCED:
        side += 1
    if side > min(high, wide):  # a narrow strip
        return _means(rows.flatten(1))
    return (avg_pool2d(rows.permute(0, 3, 1, 2), side) * side).flatten(1)


def _pairs(samples: _Samples) -> Pairs:
    """Near copies by their numbers, the lower first, with how near they are."""
    from scipy.spatial import KDTree

    rng = Seed(0).fork("near-copies").generator()
    small, count = samples.reduced(), len(samples)
    unit = Normalization((0.0,), (1.0,))
    every = LabeledData(small, torch.zeros(count, dtype=torch.int64), (), unit)
    axes = principal_components(every, AXES, rng, FITTED)
    affordable = LOOKED // (samples.size * (NEIGHBOURS + 1))
    asked = torch.arange(0, count, -(-count // max(NEIGHBOURS, min(ASKED, affordable // 4))))
    # not scikit-learn, whose import takes half a second; themselves are among them
    apart = (torch.cdist(part, axes, compute_mode=EXACT) for part in torch.split(axes[asked], FEW))
    around = torch.cat([a.topk(NEIGHBOURS + 1, largest=False).indices for a in apart])
    shares, tenth = _shares(samples, asked, around)
    near = _threshold(shares, count)
    tree = KDTree(axes[:, :TREE].numpy())
    close = _close(samples, (axes, small), tree, near * float(tenth.max()))[: max(1, affordable)]
    if not len(close):
        return {}
    beside = torch.from_numpy(tree.query(tree.data[close], NEIGHBOURS + 1, SLACK)[1])
    shares, _ = _shares(samples, close, beside)
    pairs: Pairs = {}
    for row, column in torch.nonzero(shares < near).tolist():
        one, two = sorted((int(close[row]), int(beside[row, column])))
        share = float(shares[row, column])
        pairs[one, two] = min(share, pairs.get((one, two), share))
    return pairs


def _told(data: LabeledData, pairs: Pairs, labels: list[int]) -> NearCopies:
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


def _close(samples: _Samples, fewer: Sequence[Tensor], tree: KDTree, bound: float) -> Tensor:
    """Numbers of samples with another nearer than ``bound``, the nearest first.

    Args:
        samples: all.
        fewer: rows of fewer numbers each, quick ones first, no farther apart than in full.
        tree: of still fewer.
        bound: of distances.
    """
    found = tree.query(tree.data, NEIGHBOURS + 1, SLACK, distance_upper_bound=bound)
    along, beside = map(torch.from_numpy, found)
    one, column = torch.nonzero(along.isfinite(), as_tuple=True)
    two = beside[one, column]
    one, two = one[one != two], two[one != two]
    for rows in fewer:
        parts = torch.split(torch.stack([one, two]), AT_ONCE // rows.shape[1], dim=1)
        apart = torch.cat([(rows[a] - rows[b]).norm(dim=1) for a, b in parts])
        order = apart.argsort()
        order = order[apart[order] < bound]
        one, two = one[order], two[order]
    most = LOOKED // samples.size
    one, two = one[:most], two[:most]
    apart = samples.distances(one, two[:, None])[:, 0]
    order = apart.argsort()
    order = order[apart[order] < bound]
    return torch.tensor(list(dict.fromkeys(one[order].tolist())), dtype=torch.int64)


def _shares(samples: _Samples, asked: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
    """Distances from the samples ``asked`` [M] to ``others`` [M, K + 1] as shares of the K-th,
    float32 [M, K + 1], infinite from one to itself; and the K-th."""
    found = samples.distances(asked, others)
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
