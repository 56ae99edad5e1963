"""What a job takes, from a few of its steps, timed for real."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from condense.engine.runtime.malloc import retain_freed_memory
from condense.engine.training.batches import Batcher
from condense.engine.training.loop import Training
from condense.engine.training.schedule import Schedule
from condense.engine.training.sgd import SgdOptions
from condense.engine.training.step import Teacher
from condense.interfaces import Augmentation, Context, Cost, Geometry, LabeledData, TrainingSet
from condense.options import NetworkSpec

TIMED_STEPS = 3
TIMED_ON_GPU = 100  # of a recorded step, which takes well under a millisecond
TIMED_VALUES = 2**17  # in a batch timed on a CPU: an estimate is to take no memory to speak of


def training_cost(
    data: LabeledData,
    context: Context,
    network: NetworkSpec,
    augmentation: Augmentation,
    schedule: Schedule,
    samples: int | None = None,
    teacher: Teacher | None = None,
) -> Cost:
    """Estimate of one network trained on ``schedule``: seconds, and memory beyond what is timed.

    Args:
        data: what it would be trained on.
        samples: use only so many of them, as a condensed set would have.
        teacher: that it would be trained towards.
    """
    rng = torch.Generator().manual_seed(0)
    module = context.network(network, data.geometry, rng)
    size = min(samples or len(data), len(data))
    part = TimedPart.of(min(schedule.batch_size, size), data.geometry, context.device)
    if part.cut:
        schedule = replace(schedule, batch_size=part.timed)
    size = min(size, 4 * schedule.batch_size)
    batcher = Batcher(TrainingSet.of(data.subset(torch.arange(size))), context.device)
    generator = torch.Generator(context.device).manual_seed(0)

    def train(steps: int) -> None:
        short = replace(schedule, steps=steps)
        Training(module, batcher, short, augmentation, generator, teacher=teacher).run()

    def seconds(steps: int) -> float:
        return time_call(lambda: train(steps), context.device)

    if context.device.type != "cuda":
        memory = part.memory(lambda: train(1))
        return Cost(part.scale * seconds(TIMED_STEPS) / TIMED_STEPS * schedule.steps, memory)
    # every call records its step anew, which takes as long as hundreds of steps: once is enough
    recording = seconds(TIMED_STEPS)
    step = max(seconds(TIMED_STEPS + TIMED_ON_GPU) - recording, 0.0) / TIMED_ON_GPU
    return Cost(recording + step * schedule.steps)


def sgd_cost(data: LabeledData, context: Context, options: SgdOptions) -> Cost:
    """Estimate of one network trained on ``data`` by ``options``."""
    schedule = options.schedule(len(data), context.device)
    augmentation = context.augmentation(options.augmentation)
    return training_cost(data, context, options.network, augmentation, schedule)


@dataclass(frozen=True)
class TimedPart:
    """The part of a step's samples that is timed.

    Attributes:
        timed: how many.
        scale: what the seconds and bytes of these are multiplied by for those of all.
    """

    timed: int
    scale: float

    @staticmethod
    def of(samples: int, geometry: Geometry, device: torch.device) -> TimedPart:
        """All ``samples`` of a step, but few of large images on a CPU.

        Of those a step takes time in proportion, and gigabytes. On a GPU it does not: all are
        timed.
        """
        timed = samples
        if device.type == "cpu":
            timed = min(samples, max(2, TIMED_VALUES // math.prod(geometry.shape)))
        return TimedPart(timed, samples / timed)

    @property
    def cut(self) -> bool:
        """Whether it is a part."""
        return self.scale > 1

    def memory(self, call: Callable[[], object]) -> int:
        """Bytes that a whole step keeps for its backward pass, which there takes as many again.

        ``call`` is a step of this part.

        0 where all is timed: this process has taken them by then.
        """
        if not self.cut:
            return 0
        return int(2 * self.scale * saved_bytes(call))


def saved_bytes(call: Callable[[], object]) -> int:
    """Bytes of the storages that autograd keeps of ``call`` for backward passes."""
    seen: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        seen[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        call()
    return sum(seen.values())


def time_call(call: Callable[[], object], device: torch.device) -> float:
    """Median seconds of ``call`` over three, after one warm-up."""
    seconds = []
    with retain_freed_memory():
        call()
        for _ in range(3):
            start = time.perf_counter()
            call()
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)
