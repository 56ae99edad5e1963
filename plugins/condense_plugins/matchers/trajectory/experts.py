"""Expert trajectories: snapshots of networks trained on the whole training split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import Generator, Tensor

from condense.engine.runtime.memory import available_memory, in_bytes
from condense.engine.runtime.precision import precision_of
from condense.engine.runtime.rng import Seed
from condense.engine.training.batches import Batcher
from condense.engine.training.concurrent import MissingFrom, cached_trainings
from condense.engine.training.estimate import training_cost
from condense.engine.training.loop import Training, check_converged
from condense.engine.training.schedule import Schedule, batches_per_epoch
from condense.errors import CapacityError
from condense.interfaces import Context, Cost, LabeledData, StoreEntry, Task, TrainingSet
from condense_plugins.matchers.trajectory.options import TrajectoryOptions
from condense_plugins.matchers.trajectory.snapshots import Snapshots, expected, packed, unpacked

VERSION = "3"
KIND = "experts"  # folder in the store


@dataclass(frozen=True, eq=False)
class Experts:
    """The experts of a data set under the options of a matcher.

    Attributes:
        data: training split.
        context: device, store, networks.
        options: how they are trained.
        seed: of their own; more experts later re-use the first ones.
    """

    data: LabeledData
    context: Context
    options: TrajectoryOptions
    seed: Seed

    @staticmethod
    def of(
        data: LabeledData, context: Context, options: TrajectoryOptions, rng: Generator
    ) -> Experts:
        """Those of the stage whose generator is ``rng``, of which only the seed is read."""
        return Experts(data, context, options, Seed.of(rng).fork("experts"))

    def load(self, numbers: Sequence[int] | None = None) -> list[Tensor]:
        """One float32 [last_epoch + 1, P] trajectory per expert, trained where not in the store.

        Args:
            numbers: of those that are wanted; all by default.

        Raises:
            CapacityError: if the missing ones would not fit the disk, or all of them the memory.
        """
        self._check_memory()
        wanted = range(self.options.experts) if numbers is None else numbers
        keys = [self.key(k) for k in wanted]
        missing = len(MissingFrom(self.context.cache, KIND, keys))
        if missing:
            self._check_disk(missing)
        total = max(missing, 1) * self.schedule.steps
        with self.context.progress.task("experts", total, "step") as task:
            stored = cached_trainings(
                self.context.cache,
                KIND,
                keys,
                lambda place: self.training(wanted[place], task),
                lambda _, expert: packed(trajectory_of(expert), self.options.expert_dtype),
                self.options.experts_at_once,
                lambda _: expected(self.options.last_epoch, self.options.expert_dtype),
            )
            return [unpacked(tensors) for tensors in stored]

    def entries(self) -> list[StoreEntry]:
        """Folder in the store and key of each."""
        return [(KIND, self.key(k)) for k in range(self.options.experts)]

    def key(self, index: int) -> dict[str, Any]:
        """Cache key of expert ``index``."""
        o = self.options
        names = ("expert_lr", "expert_momentum", "expert_batch_size")
        precision = precision_of(o, self.context.device)
        return {
            "component": "expert",
            "version": VERSION,
            "options": {name: getattr(o, name) for name in names} | {"precision": precision},
            "dtype": o.expert_dtype,
            "epochs": o.last_epoch,
            "network": self.context.identity(o.network),
            "augmentation": self.context.identity(o.expert_augmentation),
            "data": self.data.fingerprint,
            "seed": self.seed.value,
            "index": index,
        }

    @property
    def schedule(self) -> Schedule:
        """SGD at a constant rate, up to the last epoch that can be a target."""
        o = self.options
        return Schedule(
            steps=o.last_epoch * batches_per_epoch(len(self.data), o.expert_batch_size),
            batch_size=o.expert_batch_size,
            lr=o.expert_lr,
            momentum=o.expert_momentum,
            precision=precision_of(o, self.context.device),
        )

    def training(self, index: int, task: Task | None = None) -> Training:
        """Expert ``index``, ready to be trained; :func:`trajectory_of` has its snapshots after."""
        context, options = self.context, self.options
        init = self.seed.fork("init", index).generator()
        network = context.network(options.network, self.data.geometry, init)
        return Training(
            network,
            Batcher(TrainingSet.of(self.data), context.device),
            self.schedule,
            context.augmentation(options.expert_augmentation),
            self.seed.fork("batches", index).generator(context.device),
            callback=Snapshots(network, options.last_epoch),
            task=task,
        )

    def cost(self) -> Cost:
        """Seconds and disk of those that are not in the store."""
        missing = [entry for entry in self.entries() if not self.context.cache.has(*entry)]
        if not missing:
            return Cost()
        network, context = self.options.network, self.context
        augmentation = context.augmentation(self.options.expert_augmentation)
        one = training_cost(self.data, context, network, augmentation, self.schedule)
        every = replace(one, disk=self.bytes_of_one()[0]).times(len(missing))
        return every.shared_as(lambda _: missing)

    def bytes_of_one(self) -> tuple[int, int]:
        """Bytes of one expert's snapshots (on disk, in memory)."""
        o = self.options
        network = self.context.network(o.network, self.data.geometry, self.seed.generator())
        parameters = sum(p.numel() for p in network.parameters())
        each = 4 if o.expert_dtype == "fp32" else 2
        return parameters * (4 + o.last_epoch * each), parameters * (1 + o.last_epoch) * 4

    def _check_disk(self, missing: int) -> None:
        need = missing * self.bytes_of_one()[0]
        place, free = self.context.cache.free_disk()
        if need > 0.95 * free:
            packing = (
                "" if self.options.expert_dtype == "bf16" else ", set matcher.expert_dtype=bf16"
            )
            raise CapacityError(
                f"{missing} experts need {in_bytes(need)}, {place} has {in_bytes(free)} free; "
                f"lower matcher.experts or matcher.max_start_epoch{packing}, or set CONDENSE_STORE"
            )

    def _check_memory(self) -> None:
        one = self.bytes_of_one()[1]
        if self.context.device.type == "cuda":  # page-locked blocks are powers of two
            one = 1 << (one - 1).bit_length()
        experts = self.options.experts
        need, free = (experts + 2) * one, available_memory()  # two copies while one is read
        if need > 0.95 * free:
            raise CapacityError(
                f"{experts} experts take {in_bytes(need)} of main memory while matching, "
                f"{in_bytes(free)} are free; lower matcher.experts or matcher.max_start_epoch"
            )


def trajectory_of(training: Training) -> Tensor:
    """float32 [last_epoch + 1, P], the parameters after 0, 1, … epochs of a finished expert.

    Raises:
        DivergedError: if it ended with values that are not finite: nothing can be matched to them.
    """
    check_converged(training.network, "an expert", "matcher.expert_lr")
    assert isinstance(training.callback, Snapshots)
    return training.callback.all()
