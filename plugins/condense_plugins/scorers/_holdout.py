"""The C-score's held-out estimator (Jiang et al. 2021, arXiv 2002.03206, section 3 and alg. 1).

C(x, y) = E_r E_{D: |D| = r·N} P[f(x; D ∖ {(x, y)}) = y]: the expected accuracy on a sample of
networks trained on random subsets that leave it out, averaged over subset ratios r.

A *repeat* leaves every sample out at every ratio. At ratio r it takes a random permutation of the
samples as a circle and leaves out ⌈1/(1 − r)⌉ consecutive blocks of (1 − r)·N, which cover it; so
each training set is a uniformly random subset, and no sample is left without an estimate, as
happens with independent subsets. Repeats are independent of each other, so the standard error over
them is that of the mean.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Annotated, Any

import torch
from pydantic import Field, field_validator
from torch import Tensor

from condense.data import portion
from condense.engine.runtime.expected import Expected
from condense.engine.runtime.rng import Seed
from condense.engine.training.batches import Batcher
from condense.engine.training.concurrent import MissingFrom, cached_trainings
from condense.engine.training.dynamics import DynamicsOptions
from condense.engine.training.estimate import training_cost
from condense.engine.training.loop import Training, check_converged, predict
from condense.engine.training.passes import sgd_training
from condense.engine.training.ranking import rank_correlation
from condense.engine.training.schedule import batches_per_epoch
from condense.engine.training.sgd import SgdOptions
from condense.errors import DataError
from condense.interfaces import Context, Cost, LabeledData, Task, TrainingSet
from condense.options import part_of

VERSION = "2"
WRONG, RIGHT, TRAINED_ON = 0, 1, 2  # what a stored byte says of a sample

Ratio = Annotated[float, Field(gt=0, lt=1)]


class HoldoutOptions(DynamicsOptions):
    """Subsets and their number; how a network is trained is as in the dynamics pass."""

    ratios: tuple[Ratio, ...] = Field(
        (0.25, 0.5, 0.75), min_length=1, description="holdout: parts of the data trained on"
    )
    repeats: int = Field(
        10,
        ge=1,
        description="holdout: times every sample is left out at each ratio, at most; a repeat "
        "trains ⌈1/(1 − ratio)⌉ networks a ratio",
    )
    stable_at: float = Field(
        0.9,
        gt=0,
        le=1,
        description="holdout: stop once the means of odd and even repeats rank the samples alike, "
        "with a rank correlation of at least this",
    )

    @field_validator("ratios")
    @classmethod
    def _differ(cls, ratios: tuple[float, ...]) -> tuple[float, ...]:
        if len(set(ratios)) < len(ratios):
            raise ValueError("a ratio is there twice, which adds nothing; raise repeats instead")
        return ratios


class RunningMean:
    """Mean and its standard error of values [N] that come one by one (Welford 1962)."""

    def __init__(self, size: int) -> None:
        self.count = 0
        self.mean = torch.zeros(size, dtype=torch.float64)
        self._squares = torch.zeros(size, dtype=torch.float64)

    def add(self, values: Tensor) -> None:
        """One more estimate of all N."""
        self.count += 1
        off = values.double() - self.mean
        self.mean += off / self.count
        self._squares += off * (values.double() - self.mean)

    @property
    def standard_error(self) -> Tensor | None:
        """float64 [N], s/√n with ddof 1; None before the second value."""
        if self.count < 2:
            return None
        return (self._squares / (self.count - 1) / self.count).sqrt()


@dataclass(frozen=True, eq=False)
class HoldoutEstimate:
    """What the repeats gave.

    Attributes:
        mean: float32 [N], 1 − expected accuracy when left out.
        standard_error: float32 [N] over repeats, None for one repeat.
        repeats: how many were made.
        agreement: ρ of the means of odd and even repeats; None for one repeat.
        trainings: networks trained for them, from the store or not.
    """

    mean: Tensor
    standard_error: Tensor | None
    repeats: int
    agreement: float | None
    trainings: int


@dataclass(frozen=True, eq=False)
class Holdout:
    """The estimator on one training split.

    Attributes:
        data: training split, N samples.
        context: device, cache, progress, networks.
        seed: of its subsets and trainings.
        options: subsets, budget, training.
    """

    data: LabeledData
    context: Context
    seed: Seed
    options: HoldoutOptions

    def estimate(self) -> HoldoutEstimate:
        """Repeats until the ranking is stable or the budget is spent.

        Raises:
            DataError: for fewer than two samples.
        """
        size = len(self.data)
        whole, halves = RunningMean(size), (RunningMean(size), RunningMean(size))
        agreement = None
        for repeat, values in enumerate(self.repeats()):
            whole.add(values)
            halves[repeat % 2].add(values)
            if repeat > 0:
                agreement = rank_correlation(halves[0].mean, halves[1].mean)
                if agreement >= self.options.stable_at:
                    break
        error = whole.standard_error
        return HoldoutEstimate(
            whole.mean.float(),
            None if error is None else error.float(),
            whole.count,
            agreement,
            whole.count * sum(len(blocks_of(size, r)) for r in self.options.ratios),
        )

    def repeats(self) -> Iterator[Tensor]:
        """float32 [N] of each repeat in turn: 1 − accuracy when left out, averaged over ratios."""
        if len(self.data) < 2:
            name = self.data.name
            raise DataError(f"the holdout estimator needs at least 2 samples, {name} has 1")
        return map(self._repeat, range(self.options.repeats))

    def _repeat(self, repeat: int) -> Tensor:
        o, cache, size = self.options, self.context.cache, len(self.data)
        subsets = [s for r in o.ratios for s in subsets_of(size, r, repeat, self.seed)]
        keys = [self.key(subset) for subset in subsets]
        steps = [
            batches_per_epoch(size - len(subsets[k].left_out), o.batch_size) * o.epochs
            for k in MissingFrom(cache, "holdout", keys)
        ]
        title = f"holdout, repeat {repeat + 1} of at most {o.repeats}"
        with self.context.progress.task(title, sum(steps) or 1, "step") as task:
            stored = cached_trainings(
                cache,
                "holdout",
                keys,
                lambda number: self.training(subsets[number], task),
                lambda number, done: self.outcome(subsets[number], done),
                expected=lambda _: {
                    "outcome": Expected(torch.uint8, (len(self.data),), low=0, high=TRAINED_ON)
                },
            )
            outcomes = [tensors["outcome"] for tensors in stored]
        return 1 - _mean_over_ratios([s.ratio for s in subsets], outcomes)

    def key(self, subset: Subset) -> dict[str, Any]:
        """Cache key of one training; neither the budget nor the other ratios are part of it."""
        return part_of(SgdOptions, self.options).key(self.context) | {
            "component": "holdout",
            "version": VERSION,
            "data": self.data.fingerprint,
            "seed": self.seed.value,
            "subset": [subset.ratio, subset.repeat, subset.block],
        }

    def training(self, subset: Subset, task: Task) -> Training:
        """The training that does not see what ``subset`` leaves out."""
        seen = torch.ones(len(self.data), dtype=torch.bool)
        seen[subset.left_out] = False
        part = TrainingSet.of(self.data.subset(seen.nonzero().flatten()))
        place = (repr(subset.ratio), subset.repeat, subset.block)
        sgd = part_of(SgdOptions, self.options)
        return sgd_training(part, self.context, sgd, self.seed, *place, task=task)

    def outcome(self, subset: Subset, training: Training) -> dict[str, Tensor]:
        """uint8 [N]: whether each sample left out is classified right, in eval mode at the end."""
        check_converged(training.network, "a network trained for the scores", "scorer.lr")
        outcome = torch.full((len(self.data),), TRAINED_ON, dtype=torch.uint8)
        rest = Batcher(TrainingSet.of(self.data.subset(subset.left_out)), training.data.device)
        right = predict(training.network, rest).argmax(1) == rest.labels
        outcome[subset.left_out] = torch.where(right, RIGHT, WRONG).to("cpu", torch.uint8)
        return {"outcome": outcome}


@dataclass(frozen=True, eq=False)
class Subset:
    """One training: ``left_out`` (int64 [h], ascending) is what it does not see."""

    ratio: float
    repeat: int
    block: int
    left_out: Tensor


def blocks_of(samples: int, ratio: float) -> list[tuple[int, int]]:
    """Start and size of the blocks left out on the circle of ``samples`` ≥ 2; they cover it.

    max(1, ⌊ratio·N + 1e-9⌋) samples are trained on.
    """
    size = samples - max(1, portion(ratio, samples))
    return [(block * size, size) for block in range(-(-samples // size))]


def subsets_of(samples: int, ratio: float, repeat: int, seed: Seed) -> list[Subset]:
    """The trainings of one repeat at one ratio; independent of every other's."""
    rng = seed.fork("subsets", repr(ratio), repeat).generator()
    circle = torch.randperm(samples, generator=rng)
    return [
        Subset(ratio, repeat, block, circle[(start + torch.arange(size)) % samples].sort().values)
        for block, (start, size) in enumerate(blocks_of(samples, ratio))
    ]


def _mean_over_ratios(ratios: list[float], outcomes: list[Tensor]) -> Tensor:
    """float32 [N]: accuracy over the subsets of a ratio that left a sample out, then over ratios.

    Args:
        ratios: of each training.
        outcomes: uint8 [N] of each training.
    """
    means = []
    for ratio in sorted(set(ratios)):
        same = torch.stack([o for r, o in zip(ratios, outcomes, strict=True) if r == ratio])
        left_out = (same != TRAINED_ON).sum(0)  # [N], at least 1
        means.append((same == RIGHT).sum(0) / left_out)
    return torch.stack(means).mean(0)


def holdout_cost(data: LabeledData, context: Context, options: HoldoutOptions) -> Cost:
    """Estimate of all repeats, as if nothing were stored and the ranking never stable."""
    sgd = part_of(SgdOptions, options)
    schedule = replace(sgd.schedule(len(data), context.device), steps=1)
    augmentation = context.augmentation(options.augmentation)
    step = training_cost(data, context, options.network, augmentation, schedule)
    sizes = [size for r in options.ratios for _, size in blocks_of(len(data), r)]
    steps = sum(batches_per_epoch(len(data) - size, options.batch_size) for size in sizes)
    disk = options.repeats * len(sizes) * len(data)
    return replace(step.times(options.repeats * options.epochs * steps), disk=disk)
