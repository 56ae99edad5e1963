"""A validation part of the training split, for everything that is chosen."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Generator, Tensor

from condense.data import LabeledData
from condense.engine.runtime.rng import Seed
from condense.errors import DataError, OptionError


def validation_part(data: LabeledData, share: float, seed: int) -> LabeledData:
    """``data``'s training split in two by ``seed``, as everything that chooses divides it.

    Raises:
        OptionError, DataError: as :func:`hold_out` does.
    """
    return hold_out(data, share, Seed(seed).fork("validation").generator())


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
    if not 0 < share < 1:
        raise OptionError(f"the validation share must be in (0, 1), got {share}; try 0.2")
    for label, name in enumerate(data.classes):
        if len(data.class_indices(label)) == 1:
            raise DataError(f"class {name} has 1 image, too few to hold some out; add more")
    chosen = held_out_of(data.labels, share, rng)
    rest, part = torch.nonzero(~chosen).flatten(), torch.nonzero(chosen).flatten()
    name = f"{data.name} without what is held out"
    return replace(data.subset(rest), name=name, test=data.subset(part))


def held_out_of(labels: Tensor, share: float, rng: Generator) -> Tensor:
    """bool [N]: of every class among ``labels`` [N] ⌊share·n + 1e-9⌋, at least one, at random."""
    chosen = torch.zeros(len(labels), dtype=torch.bool)
    for label in torch.bincount(labels).nonzero().flatten().tolist():
        members = torch.nonzero(labels == label).flatten()
        order = torch.randperm(len(members), generator=rng)
        chosen[members[order[: max(1, int(share * len(members) + 1e-9))]]] = True
    return chosen
