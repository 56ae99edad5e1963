"""Expert trajectories: snapshots of networks trained on the whole training split."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Generator, Tensor

from condense.engine.runtime.memory import available_memory
from condense.engine.runtime.precision import precision_of
from condense.engine.runtime.rng import Seed
from condense.engine.training.batches import Batcher
from condense.engine.training.concurrent import MissingFrom, cached_trainings
from condense.engine.training.loop import Training
from condense.engine.training.schedule import Schedule, batches_per_epoch
from condense.errors import CapacityError
from condense.interfaces import Context, LabeledData, Task, TrainingSet
from condense_plugins.matchers.trajectory.options import TrajectoryOptions
from condense_plugins.matchers.trajectory.snapshots import Snapshots, packed, unpacked

VERSION = "2"


def expert_key(
    data: LabeledData, context: Context, options: TrajectoryOptions, seed: Seed, index: int
) -> dict[str, Any]:
    """Cache key of one expert; more experts later re-use the first ones."""
    names = ("expert_lr", "expert_momentum", "expert_batch_size")
    precision = precision_of(options, context.device)
    return {
        "component": "expert",
        "version": VERSION,
        "options": {name: getattr(options, name) for name in names} | {"precision": precision},
        "dtype": options.expert_dtype,
        "epochs": options.last_epoch,
        "network": context.identity(options.network),
        "augmentation": context.identity(options.expert_augmentation),
        "data": data.fingerprint,
        "seed": seed.value,
        "index": index,
    }


def load_experts(
    data: LabeledData,
    context: Context,
    options: TrajectoryOptions,
    rng: Generator,
    numbers: Sequence[int] | None = None,
) -> list[Tensor]:
    """One float32 [last_epoch + 1, P] trajectory per expert, trained where not in the store.

    Args:
        numbers: of those that are wanted; all by default.

    Raises:
        CapacityError: if the missing ones would not fit the disk, or all of them the memory.
    """
    _check_memory(data, context, options, rng)
    every = expert_keys(data, context, options, rng)
    seed = Seed.of(rng).fork("experts")
    wanted = range(len(every)) if numbers is None else numbers
    keys = [every[k] for k in wanted]
    missing = len(MissingFrom(context.cache, "experts", keys))
    if missing:
        _check_disk(data, context, options, missing, rng)
    steps = options.last_epoch * batches_per_epoch(len(data), options.expert_batch_size)
    with context.progress.task("experts", max(missing, 1) * steps, "step") as task:
        stored = cached_trainings(
            context.cache,
            "experts",
            keys,
            lambda place: expert_training(data, context, options, seed, wanted[place], task),
            lambda _, expert: packed(trajectory_of(expert), options.expert_dtype),
            options.experts_at_once,
        )
        return [unpacked(tensors) for tensors in stored]


def missing_experts(
    data: LabeledData, context: Context, options: TrajectoryOptions, rng: Generator
) -> int:
    """How many of the experts are not in the store."""
    return len(MissingFrom(context.cache, "experts", expert_keys(data, context, options, rng)))


def expert_keys(
    data: LabeledData, context: Context, options: TrajectoryOptions, rng: Generator
) -> list[dict[str, Any]]:
    """The cache key of each expert; only the seed of ``rng`` is read."""
    seed = Seed.of(rng).fork("experts")
    return [expert_key(data, context, options, seed, k) for k in range(options.experts)]


def expert_schedule(data: LabeledData, context: Context, options: TrajectoryOptions) -> Schedule:
    """SGD at a constant rate, up to the last epoch that can be a target."""
    return Schedule(
        steps=options.last_epoch * batches_per_epoch(len(data), options.expert_batch_size),
        batch_size=options.expert_batch_size,
        lr=options.expert_lr,
        momentum=options.expert_momentum,
        precision=precision_of(options, context.device),
    )


def expert_training(
    data: LabeledData,
    context: Context,
    options: TrajectoryOptions,
    seed: Seed,
    index: int,
    task: Task | None = None,
) -> Training:
    """Expert ``index``, ready to be trained; :func:`trajectory_of` has its snapshots afterwards."""
    init = seed.fork("init", index).generator()
    network = context.network(options.network, data.geometry, init)
    return Training(
        network,
        Batcher(TrainingSet.of(data), context.device),
        expert_schedule(data, context, options),
        context.augmentation(options.expert_augmentation),
        seed.fork("batches", index).generator(context.device),
        callback=Snapshots(network, options.last_epoch),
        task=task,
    )


def trajectory_of(training: Training) -> Tensor:
    """float32 [last_epoch + 1, P], the parameters after 0, 1, … epochs of a finished expert."""
    assert isinstance(training.callback, Snapshots)
    return training.callback.all()


def trajectory_bytes(
    data: LabeledData, context: Context, options: TrajectoryOptions, rng: Generator
) -> tuple[int, int]:
    """Bytes of one expert's snapshots (on disk, in memory)."""
    network = context.network(options.network, data.geometry, rng)
    parameters = sum(p.numel() for p in network.parameters())
    each = 4 if options.expert_dtype == "fp32" else 2
    return parameters * (4 + options.last_epoch * each), parameters * (1 + options.last_epoch) * 4


def _check_disk(
    data: LabeledData, context: Context, options: TrajectoryOptions, missing: int, rng: Generator
) -> None:
    need = missing * trajectory_bytes(data, context, options, rng)[0]
    root = Path(getattr(context.cache, "root", "."))
    while not root.exists():
        root = root.parent
    free = shutil.disk_usage(root).free
    if need > 0.95 * free:
        packing = "" if options.expert_dtype == "bf16" else ", set matcher.expert_dtype=bf16"
        raise CapacityError(
            f"{missing} experts need {need / 2**30:.1f} GiB, {root} has {free / 2**30:.1f} GiB "
            "free; lower matcher.experts or matcher.max_start_epoch"
            f"{packing}, or set CONDENSE_STORE"
        )


def _check_memory(
    data: LabeledData, context: Context, options: TrajectoryOptions, rng: Generator
) -> None:
    one = trajectory_bytes(data, context, options, rng)[1]
    if context.device.type == "cuda":  # page-locked blocks are powers of two
        one = 1 << (one - 1).bit_length()
    need, free = (options.experts + 2) * one, available_memory()  # two copies while one is read
    if need > 0.95 * free:
        raise CapacityError(
            f"{options.experts} experts take {need / 2**30:.1f} GiB of main memory while matching, "
            f"{free / 2**30:.1f} GiB are free; lower matcher.experts or matcher.max_start_epoch"
        )
