"""A part of the training split: for everything that is chosen, or as the test split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Generator, Tensor

from condense.data import LabeledData, Normalization, portion
from condense.engine.ingest.from_user import channel_statistics
from condense.engine.runtime.rng import Seed
from condense.errors import DataError, OptionError


def validation_part(data: LabeledData, share: float, seed: int) -> LabeledData:
    """``data``'s training split in two by ``seed``, as everything that chooses divides it.

    Raises:
        OptionError, DataError: as :func:`hold_out` does.
    """
    return hold_out(data, share, Seed(seed).fork("validation").generator())


@dataclass(frozen=True)
class HeldOutOf:
    """How a training split is divided, said in numbers that travel.

    Attributes:
        share: of every class that is held out, where there is one such part.
        seed: of the division.
        number, folds: which of how many parts is held out, where there are several.
    """

    share: float
    seed: int
    number: int = 0
    folds: int = 1

    def of(self, data: LabeledData) -> LabeledData:
        """What is left of ``data``, the part that is held out in its test split's place.

        Raises:
            OptionError, DataError: as :func:`hold_out` and :func:`fold` do.
        """
        if self.folds == 1:
            return validation_part(data, self.share, self.seed)
        return fold(data, self.number, self.folds, self.seed)


def hold_out(data: LabeledData, share: float, rng: Generator) -> LabeledData:
    """``data``'s training split in two: one part to condense, the other in the test split's place.

    The real test split is out of reach in the result. Stratified: ⌊share·n + 1e-9⌋ of every class,
    at least one, are held out; the rest keeps its order.

    Args:
        data: N samples; its test split is ignored.
        share: part held out, in (0, 1).
        rng: CPU generator that draws them.

    Raises:
        OptionError: for a share outside (0, 1).
        DataError: for a class of fewer than two samples, naming it.
    """
    _check_share(share)
    _check_divisible(data.labels, data.classes)
    return _without(data, held_out_of(data.labels, share, rng))


def fold(data: LabeledData, number: int, folds: int, seed: int) -> LabeledData:
    """``data``'s training split without the ``number``-th of ``folds`` parts, which is in the test
    split's place: each sample is in one of them.

    Stratified: of n samples of a class a part has ⌊n / folds⌋ or one more, and the parts are as
    even in all.

    Args:
        data: N samples; its test split is ignored.
        number: from 0, below ``folds``.
        folds: at least 2, at most N.
        seed: of the division.

    Raises:
        DataError: for a class of one sample, naming it.
    """
    return _without(data, fold_mask(data, number, folds, seed))


def fold_mask(data: LabeledData, number: int, folds: int, seed: int) -> Tensor:
    """bool [N], whether a sample is in the ``number``-th of ``folds`` parts of :func:`fold`.

    Raises:
        DataError: as there.
    """
    _check_divisible(data.labels, data.classes)
    order = torch.randperm(len(data), generator=Seed(seed).fork("folds").generator())
    order = order[data.labels[order].argsort(stable=True)]  # class by class, at random within each
    held = torch.zeros(len(data), dtype=torch.bool)
    held[order[number::folds]] = True
    return held


def _without(data: LabeledData, held: Tensor) -> LabeledData:
    """``data`` without what is ``held`` (bool [N]), which takes the test split's place."""
    rest, part = torch.nonzero(~held).flatten(), torch.nonzero(held).flatten()
    name = f"{data.name} without what is held out"
    return replace(data.subset(rest), name=name, test=data.subset(part), part=True)


def test_part(labels: Sequence[Any], share: float) -> tuple[Tensor, Tensor]:
    """Positions of the samples that stay in the training split, and of those of the test split.

    Both ascending; stratified as by :func:`hold_out`, always the same ones, so that data whose test
    split is a share of them have one content.

    Args:
        labels: [N], as they come.
        share: part that the test split gets, in (0, 1).

    Raises:
        OptionError, DataError: as :func:`hold_out` does.
    """
    names = sorted(set(labels), key=str)
    number = {name: k for k, name in enumerate(names)}
    coded = torch.tensor([number[label] for label in labels])
    _check_share(share)
    _check_divisible(coded, names)
    chosen = held_out_of(coded, share, Seed(0).fork("test").generator())
    return torch.nonzero(~chosen).flatten(), torch.nonzero(chosen).flatten()


def check_one_test_split(own: bool, test: str | float | None, who: str = "it") -> None:
    """That data, called ``who``, with a test split of their ``own`` are not asked for another one.

    Raises:
        DataError: if they are.
    """
    if own and test is not None:
        raise DataError(f"{who} has a test split of its own; leave out `data.test={test}`")


def with_test_part(
    data: LabeledData,
    test: str | float | None,
    source: str,
    normalization: Normalization | None = None,
) -> LabeledData:
    """``data``, where ``test`` is a share with the part of them that :func:`test_part` says as the
    test split.

    Args:
        data: that have none.
        test: part that it gets, in (0, 1); anything else leaves them as they are.
        source: where samples without a name come from, in which they are then called by place:
            ``photos.npz#17``.
        normalization: None = measured on what stays in the training split.

    Raises:
        OptionError, DataError: as :func:`hold_out` does.
    """
    if not isinstance(test, float):
        return data
    rest, part = test_part([data.classes[label] for label in data.labels.tolist()], test)
    named = replace(
        data,
        items=data.items or tuple(f"{source}#{place}" for place in range(len(data))),
        normalization=normalization or channel_statistics(data.inputs[rest]),
    )
    return replace(named.subset(rest), test=named.subset(part))


def _check_share(share: float) -> None:
    if not 0 < share < 1:
        raise OptionError(f"the share held out must be in (0, 1), got {share}; try 0.2")


def _check_divisible(labels: Tensor, names: Sequence[Any]) -> None:
    sizes = torch.bincount(labels, minlength=len(names)).tolist()
    if 1 in sizes:
        lone = names[sizes.index(1)]
        raise DataError(f"class {lone} has 1 sample, too few to hold some out; add more")


def held_out_of(labels: Tensor, share: float, rng: Generator) -> Tensor:
    """bool [N]: of every class among ``labels`` [N] ⌊share·n + 1e-9⌋, at least one, at random."""
    chosen = torch.zeros(len(labels), dtype=torch.bool)
    for label in torch.bincount(labels).nonzero().flatten().tolist():
        members = torch.nonzero(labels == label).flatten()
        order = torch.randperm(len(members), generator=rng)
        chosen[members[order[: max(1, portion(share, len(members)))]]] = True
    return chosen
