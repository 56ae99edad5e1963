"""Expert trajectories: snapshots of networks trained on the whole training split."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Generator, Tensor, nn

from condense.engine import rng as rngs
from condense.engine.precision import settle_precision
from condense.engine.schedule import Schedule, batches_per_epoch
from condense.engine.tensors import Batcher
from condense.engine.train import train
from condense.errors import CapacityError
from condense.interfaces import Context, LabeledData, Task, TrainingSet
from condense_plugins.matchers.trajectory.options import TrajectoryOptions
from condense_plugins.matchers.trajectory.student import flatten

VERSION = "1"


class _Snapshots:
    """Keeps the parameters after every epoch."""

    def __init__(self, network: nn.Module) -> None:
        self.network = network
        self.kept = [self._now()]

    def _now(self) -> Tensor:
        # flatten() is a new vector, so on a CPU no snapshot shares memory with the live weights
        return flatten(self.network).cpu()

    def on_batch(self, indices: Tensor, logits: Tensor) -> None:
        """Nothing to see inside an epoch."""

    def on_epoch(self, done: int) -> None:
        self.kept.append(self._now())


def expert_key(
    data: LabeledData, context: Context, options: TrajectoryOptions, seed: int, index: int
) -> dict[str, Any]:
    """Cache key of one expert; more experts later re-use the first ones."""
    names = ("expert_lr", "expert_momentum", "expert_batch_size")
    precision = settle_precision(options.precision, context.device, "tf32")
    return {
        "component": "expert",
        "version": VERSION,
        "options": {name: getattr(options, name) for name in names} | {"precision": precision},
        "epochs": options.last_epoch,
        "network": context.identity(options.network),
        "augmentation": context.identity(options.expert_augmentation),
        "data": data.fingerprint,
        "seed": seed,
        "index": index,
    }


def load_experts(
    data: LabeledData, context: Context, options: TrajectoryOptions, rng: Generator
) -> list[Tensor]:
    """One float32 [last_epoch + 1, P] trajectory per expert, trained where not in the store.

    Raises:
        CapacityError: if the missing ones would not fit the disk.
    """
    seed = rngs.fork_seed(rng.initial_seed(), "experts")
    keys = [expert_key(data, context, options, seed, k) for k in range(options.experts)]
    missing = missing_experts(data, context, options, rng)
    if missing:
        _check_disk(data, context, options, missing, rng)
    steps = options.last_epoch * batches_per_epoch(len(data), options.expert_batch_size)
    with context.progress.task("experts", max(missing, 1) * steps, "step") as task:
        return [
            context.cache.tensors(
                "experts",
                key,
                partial(_expert_tensors, data, context, options, seed, k, task),
            )["trajectory"]
            for k, key in enumerate(keys)
        ]


def _expert_tensors(
    data: LabeledData,
    context: Context,
    options: TrajectoryOptions,
    seed: int,
    index: int,
    task: Task,
) -> dict[str, Tensor]:
    return {"trajectory": train_expert(data, context, options, seed, index, task)}


def missing_experts(
    data: LabeledData, context: Context, options: TrajectoryOptions, rng: Generator
) -> int:
    """How many of the experts are not in the store."""
    seed = rngs.fork_seed(rng.initial_seed(), "experts")
    keys = [expert_key(data, context, options, seed, k) for k in range(options.experts)]
    return sum(not context.cache.has("experts", key) for key in keys)


def expert_schedule(data: LabeledData, context: Context, options: TrajectoryOptions) -> Schedule:
    """SGD at a constant rate, up to the last epoch that can be a target."""
    return Schedule(
        steps=options.last_epoch * batches_per_epoch(len(data), options.expert_batch_size),
        batch_size=options.expert_batch_size,
        lr=options.expert_lr,
        momentum=options.expert_momentum,
        precision=settle_precision(options.precision, context.device, "tf32"),
    )


def train_expert(
    data: LabeledData,
    context: Context,
    options: TrajectoryOptions,
    seed: int,
    index: int,
    task: Task | None = None,
) -> Tensor:
    """The trajectory of expert ``index``: its parameters after 0, 1, … ``last_epoch`` epochs."""
    network = context.network(options.network, data.geometry, rngs.generator(seed, "init", index))
    snapshots = _Snapshots(network)
    batcher = Batcher(TrainingSet.of(data), context.device)
    train(
        network,
        batcher,
        expert_schedule(data, context, options),
        context.augmentation(options.expert_augmentation),
        rngs.generator(seed, "batches", index, device=context.device),
        watch=snapshots,
        task=task,
    )
    return torch.stack(snapshots.kept)


def trajectory_bytes(
    data: LabeledData, context: Context, options: TrajectoryOptions, rng: Generator
) -> int:
    """Bytes of one expert's snapshots."""
    network = context.network(options.network, data.geometry, rng)
    parameters = sum(p.numel() for p in network.parameters())
    return parameters * (options.last_epoch + 1) * 4


def _check_disk(
    data: LabeledData, context: Context, options: TrajectoryOptions, missing: int, rng: Generator
) -> None:
    need = missing * trajectory_bytes(data, context, options, rng)
    root = Path(getattr(context.cache, "root", "."))
    while not root.exists():
        root = root.parent
    free = shutil.disk_usage(root).free
    if need > 0.95 * free:
        raise CapacityError(
            f"{missing} experts need {need / 2**30:.1f} GiB, {root} has {free / 2**30:.1f} GiB "
            "free; lower matcher.experts or matcher.max_start_epoch, or set CONDENSE_STORE"
        )
