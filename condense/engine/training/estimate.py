"""Seconds of a job from a few of its steps, timed for real."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import replace

import torch

from condense.engine.runtime.malloc import retain_freed_memory
from condense.engine.training.batches import Batcher
from condense.engine.training.loop import Training
from condense.engine.training.schedule import Schedule
from condense.engine.training.sgd import SgdOptions
from condense.engine.training.step import Teacher
from condense.interfaces import Augmentation, Context, LabeledData, TrainingSet
from condense.options import NetworkSpec

TIMED_STEPS = 3
TIMED_ON_GPU = 100  # of a recorded step, which takes well under a millisecond


def training_seconds(
    data: LabeledData,
    context: Context,
    network: NetworkSpec,
    augmentation: Augmentation,
    schedule: Schedule,
    samples: int | None = None,
    teacher: Teacher | None = None,
) -> float:
    """Estimated seconds of one network trained on ``schedule``.

    Args:
        data: what it would be trained on.
        samples: use only so many of them, as a condensed set would have.
        teacher: that it would be trained towards.
    """
    rng = torch.Generator().manual_seed(0)
    module = context.network(network, data.geometry, rng)
    size = min(samples or len(data), len(data), 4 * schedule.batch_size)
    batcher = Batcher(TrainingSet.of(data.subset(torch.arange(size))), context.device)
    generator = torch.Generator(context.device).manual_seed(0)

    def seconds(steps: int) -> float:
        short = replace(schedule, steps=steps)
        return time_call(
            lambda: Training(
                module, batcher, short, augmentation, generator, teacher=teacher
            ).run(),
            context.device,
        )

    if context.device.type != "cuda":
        return seconds(TIMED_STEPS) / TIMED_STEPS * schedule.steps
    # every call records its step anew, which takes as long as hundreds of steps: once is enough
    recording = seconds(TIMED_STEPS)
    step = max(seconds(TIMED_STEPS + TIMED_ON_GPU) - recording, 0.0) / TIMED_ON_GPU
    return recording + step * schedule.steps


def sgd_seconds(data: LabeledData, context: Context, options: SgdOptions) -> float:
    """Estimated seconds of one network trained on ``data`` by ``options``."""
    schedule = options.schedule(len(data), context.device)
    augmentation = context.augmentation(options.augmentation)
    return training_seconds(data, context, options.network, augmentation, schedule)


def time_call(call: Callable[[], object], device: torch.device, repeats: int = 3) -> float:
    """Median seconds of ``call`` after one warm-up."""
    seconds = []
    with retain_freed_memory():
        call()
        for _ in range(repeats):
            start = time.perf_counter()
            call()
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)
