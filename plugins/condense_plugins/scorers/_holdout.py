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

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Any

import torch
from pydantic import Field, field_validator
from torch import Generator, Tensor

from condense.engine.runtime.rng import Seed
from condense.engine.training.batches import Batcher
from condense.engine.training.concurrent import MissingFrom, cached_trainings
from condense.engine.training.dynamics import DynamicsOptions
from condense.engine.training.estimate import training_seconds
from condense.engine.training.loop import Training, predict
from condense.engine.training.passes import sgd_training
from condense.engine.training.ranking import rank_correlation
from condense.engine.training.schedule import batches_per_epoch
from condense.engine.training.sgd import SgdOptions, part_of
from condense.errors import DataError
from condense.interfaces import Context, Cost, LabeledData, Task, TrainingSet

VERSION = "1"
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
class Estimate:
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


def holdout(
    data: LabeledData, context: Context, rng: Generator, options: HoldoutOptions
) -> Estimate:
    """Repeats until the ranking is stable or the budget is spent.

    Args:
        data: training split, N samples.
        context: device, cache, progress, networks.
        rng: only its seed is read.
        options: subsets, budget, training.

    Raises:
        DataError: for fewer than two samples.
    """
    whole, halves = RunningMean(len(data)), (RunningMean(len(data)), RunningMean(len(data)))
    agreement = None
    for repeat, values in enumerate(holdout_repeats(data, context, rng, options)):
        whole.add(values)
        halves[repeat % 2].add(values)
        if repeat > 0:
            agreement = rank_correlation(halves[0].mean, halves[1].mean)
            if agreement >= options.stable_at:
                break
    error = whole.standard_error
    return Estimate(
        whole.mean.float(),
        None if error is None else error.float(),
        whole.count,
        agreement,
        whole.count * sum(len(blocks_of(len(data), r)) for r in options.ratios),
    )


def holdout_repeats(
    data: LabeledData, context: Context, rng: Generator, options: HoldoutOptions
) -> Iterator[Tensor]:
    """float32 [N] of each repeat in turn: 1 − accuracy when left out, averaged over ratios."""
    if len(data) < 2:
        raise DataError(f"the holdout estimator needs at least 2 samples, {data.name} has 1")
    seed = Seed.of(rng).fork("holdout")
    for repeat in range(options.repeats):
        subsets = [s for r in options.ratios for s in subsets_of(len(data), r, repeat, seed)]
        keys = [subset_key(data, context, options, seed, subset) for subset in subsets]
        steps = [
            batches_per_epoch(len(data) - len(subsets[k].left_out), options.batch_size)
            * options.epochs
            for k in MissingFrom(context.cache, "holdout", keys)
        ]
        title = f"holdout, repeat {repeat + 1} of at most {options.repeats}"
        with context.progress.task(title, sum(steps) or 1, "step") as task:
            stored = cached_trainings(
                context.cache,
                "holdout",
                keys,
                partial(_training, data, context, seed, options, subsets, task),
                partial(_outcome, data, subsets),
            )
            outcomes = [tensors["outcome"] for tensors in stored]
        yield 1 - _mean_over_ratios([s.ratio for s in subsets], outcomes)


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
    size = samples - max(1, int(ratio * samples + 1e-9))
    return [(block * size, size) for block in range(-(-samples // size))]


def subsets_of(samples: int, ratio: float, repeat: int, seed: Seed) -> list[Subset]:
    """The trainings of one repeat at one ratio; independent of every other's."""
    rng = seed.fork("subsets", repr(ratio), repeat).generator()
    circle = torch.randperm(samples, generator=rng)
    return [
        Subset(ratio, repeat, block, circle[(start + torch.arange(size)) % samples].sort().values)
        for block, (start, size) in enumerate(blocks_of(samples, ratio))
    ]


def subset_key(
    data: LabeledData, context: Context, options: HoldoutOptions, seed: Seed, subset: Subset
) -> dict[str, Any]:
    """Cache key of one training; neither the budget nor the other ratios are part of it."""
    return part_of(SgdOptions, options).key(context) | {
        "component": "holdout",
        "version": VERSION,
        "data": data.fingerprint,
        "seed": seed.value,
        "subset": [subset.ratio, subset.repeat, subset.block],
    }


def _training(
    data: LabeledData,
    context: Context,
    seed: Seed,
    options: HoldoutOptions,
    subsets: Sequence[Subset],
    task: Task,
    number: int,
) -> Training:
    """The training that does not see what subset ``number`` leaves out."""
    subset = subsets[number]
    seen = torch.ones(len(data), dtype=torch.bool).index_fill_(0, subset.left_out, False)
    part = TrainingSet.of(data.subset(seen.nonzero().flatten()))
    place = (repr(subset.ratio), subset.repeat, subset.block)
    return sgd_training(part, context, part_of(SgdOptions, options), seed, *place, task=task)


def _outcome(
    data: LabeledData, subsets: Sequence[Subset], number: int, training: Training
) -> dict[str, Tensor]:
    """uint8 [N]: whether each sample left out is classified right, in eval mode at the end."""
    subset = subsets[number]
    outcome = torch.full((len(data),), TRAINED_ON, dtype=torch.uint8)
    rest = Batcher(TrainingSet.of(data.subset(subset.left_out)), training.data.device)
    right = predict(training.network, rest).argmax(1) == rest.labels
    outcome[subset.left_out] = torch.where(right, RIGHT, WRONG).to("cpu", torch.uint8)
    return {"outcome": outcome}


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
    step = training_seconds(data, context, options.network, augmentation, schedule)
    sizes = [size for r in options.ratios for _, size in blocks_of(len(data), r)]
    steps = sum(batches_per_epoch(len(data) - size, options.batch_size) for size in sizes)
    return Cost(
        options.repeats * options.epochs * steps * step,
        disk=options.repeats * len(sizes) * len(data),
    )
