"""The batch size that random subsets do best with, chosen on a held-out part of the training split.

Small sets gain from small batches (advice of DUAL, arXiv 2502.06905). Random subsets choose, so
that no arm is favoured by a choice that was made for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from condense.engine.ingest.holdout import held_out_of
from condense.engine.runtime.expected import Expected
from condense.engine.runtime.rng import Seed
from condense.interfaces import Context, TrainingSet
from condense.results import Arm, StoreEntry

VERSION = "2"
KIND = "batch-sizes"  # folder in the store
TRIED = (128, 64, 32)  # of equally good ones the largest, which is the quickest
NETWORKS = 3
SHARE = 0.2  # held out, of every class

Mean = Callable[[int, Arm, TrainingSet, torch.Generator], float]


def worth_trying(size: int) -> tuple[int, ...]:
    """Those of :data:`TRIED` that make a difference to a set of ``size`` samples."""
    return tuple(tried for tried in TRIED if tried // 2 < size) or TRIED[-1:]


@dataclass(frozen=True, eq=False)
class Choice:
    """Of the batch size, whatever the seed of the run: it is no part of what a study repeats.

    Attributes:
        training: the whole training split.
        size: samples of a condensed set.
        about: all else that ``mean`` depends on, for the key.
        mean: accuracy of :data:`NETWORKS` networks trained in batches of a size on the subsets of
            an arm, on the held-out part.
        context: cache and networks.
    """

    training: TrainingSet
    size: int
    about: Mapping[str, Any]
    mean: Mean
    context: Context

    @property
    def entry(self) -> StoreEntry:
        """Where it is kept."""
        own = {"version": VERSION, "training": self.training.fingerprint, "size": self.size}
        return KIND, {**self.about, **own}

    def means(self) -> dict[int, float]:
        """Held-out accuracy (0-1) by batch size, those :func:`worth_trying`; stored."""
        sizes = worth_trying(self.size)
        expected = {"means": Expected(torch.float64, (len(sizes),), low=0, high=1)}
        means = self.context.cache.tensors(*self.entry, self._compute, expected)["means"]
        return dict(zip(sizes, means.tolist(), strict=True))

    def _compute(self) -> dict[str, Tensor]:
        seed, training = Seed(0).fork("batch-size"), self.training
        held = held_out_of(training.labels, SHARE, seed.fork("held-out").generator())
        fit, held_out = _part(training, ~held), _part(training, held)

        def draw(repeat: int) -> TrainingSet:
            rng = seed.fork("subset", repeat).generator()
            return _part(fit, torch.randperm(len(fit), generator=rng)[: self.size])

        arm = Arm("batch size", draw, self.size)
        means = [
            self.mean(tried, arm, held_out, seed.fork("networks").generator())
            for tried in worth_trying(self.size)
        ]
        return {"means": torch.tensor(means, dtype=torch.float64)}


def _part(training: TrainingSet, which: Tensor) -> TrainingSet:
    return replace(
        training,
        inputs=training.inputs[which],
        labels=training.labels[which],
        role=training.role[which],
    )
