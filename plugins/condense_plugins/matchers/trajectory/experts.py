"""Expert trajectories: snapshots of networks trained on the whole training split."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Generator, Tensor, nn

from condense.engine import rng as rngs
from condense.engine.device import available_memory
from condense.engine.precision import settle_precision
from condense.engine.schedule import Schedule, batches_per_epoch
from condense.engine.tensors import Batcher
from condense.engine.train import train
from condense.errors import CapacityError
from condense.interfaces import Context, LabeledData, Task, TrainingSet
from condense_plugins.matchers.trajectory.options import ExpertDtype, TrajectoryOptions
from condense_plugins.matchers.trajectory.student import flatten

VERSION = "1"


class _Snapshots:
    """Keeps the parameters after every epoch, without holding the training up.

    Args:
        network: in training; its parameters of now are the first snapshot.
        epochs: how many more will come.
    """

    def __init__(self, network: nn.Module, epochs: int) -> None:
        self.network = network
        first = flatten(network)
        # one block in main memory; page-locked, so that a GPU copies into it on its own
        self._kept = torch.empty(epochs + 1, len(first), pin_memory=first.is_cuda)
        self._copies = torch.cuda.Stream(first.device) if first.is_cuda else None  # type: ignore[no-untyped-call]
        self._keep(0, first)

    def _keep(self, epoch: int, vector: Tensor) -> None:
        # flatten() is a new vector: no snapshot shares memory with the live weights
        if self._copies is None:
            self._kept[epoch] = vector
            return
        self._copies.wait_stream(torch.cuda.current_stream(vector.device))
        with torch.cuda.stream(self._copies):
            self._kept[epoch].copy_(vector, non_blocking=True)
        vector.record_stream(self._copies)  # not to be used anew before it is copied

    def on_batch(self, indices: Tensor, logits: Tensor) -> None:
        """Nothing to see inside an epoch."""

    def on_epoch(self, done: int) -> None:
        self._keep(done, flatten(self.network))

    def all(self) -> Tensor:
        """float32 [epochs + 1, P] on the CPU, once every copy is done."""
        if self._copies is not None:
            self._copies.synchronize()
        return self._kept


def packed(trajectory: Tensor, dtype: ExpertDtype) -> dict[str, Tensor]:
    """``trajectory`` float32 [E + 1, P] as it is stored.

    In bf16 the first snapshot stays float32 and each later one is the way from the one before
    *as it will be read back*: rounding errors are those of one epoch's way, and do not add up.
    """
    if dtype == "fp32":
        return {"trajectory": trajectory}
    now = trajectory[0].clone()
    ways = torch.empty(len(trajectory) - 1, len(now), dtype=torch.bfloat16)
    for way, snapshot in zip(ways, trajectory[1:], strict=True):
        way.copy_(snapshot - now)
        now += way
    return {"first": trajectory[0], "ways": ways}


def unpacked(stored: dict[str, Tensor]) -> Tensor:
    """The trajectory float32 [E + 1, P] behind :func:`packed`."""
    if "trajectory" in stored:
        return stored["trajectory"]
    trajectory = torch.empty(len(stored["ways"]) + 1, len(stored["first"]))
    trajectory[0] = stored["first"]
    for epoch, way in enumerate(stored["ways"]):
        torch.add(trajectory[epoch], way, out=trajectory[epoch + 1])
    return trajectory


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
        "dtype": options.expert_dtype,
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
        CapacityError: if the missing ones would not fit the disk, or all of them the memory.
    """
    seed = rngs.fork_seed(rng.initial_seed(), "experts")
    keys = [expert_key(data, context, options, seed, k) for k in range(options.experts)]
    missing = missing_experts(data, context, options, rng)
    _check_memory(data, context, options, rng)
    if missing:
        _check_disk(data, context, options, missing, rng)
    steps = options.last_epoch * batches_per_epoch(len(data), options.expert_batch_size)
    with context.progress.task("experts", max(missing, 1) * steps, "step") as task:
        return [
            unpacked(
                context.cache.tensors(
                    "experts",
                    key,
                    partial(_expert_tensors, data, context, options, seed, k, task),
                )
            )
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
    trajectory = train_expert(data, context, options, seed, index, task)
    return packed(trajectory, options.expert_dtype)


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
    snapshots = _Snapshots(network, options.last_epoch)
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
    return snapshots.all()


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
    need, free = (options.experts + 2) * one, available_memory()  # two copies while one is read
    if need > 0.95 * free:
        raise CapacityError(
            f"{options.experts} experts take {need / 2**30:.1f} GiB of main memory while matching, "
            f"{free / 2**30:.1f} GiB are free; lower matcher.experts or matcher.max_start_epoch"
        )
