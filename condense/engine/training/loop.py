"""The one fast training loop: experts, scorers and evaluators all run it.

Everything is decided before the loop: the batches of several epochs and their augmentation are
drawn at once, the step is a closure over tensors, and on a CUDA device it is captured in a graph.
Nothing inside waits for the device.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import Protocol

import torch
from torch import Generator, Tensor, nn

from condense.engine.runtime.malloc import retain_freed_memory
from condense.engine.runtime.precision import Precision, numeric_precision
from condense.engine.runtime.rng import GlobalFork, Seed
from condense.engine.training.batches import Batcher, channels_last
from condense.engine.training.capture import plain_only
from condense.engine.training.cuda_graph import CapturedStep
from condense.engine.training.schedule import Schedule, batch_sizes, batches_per_epoch
from condense.engine.training.step import EagerStep, Teacher
from condense.errors import DivergedError
from condense.interfaces import Augmentation, Task

BATCHES_DRAWN_AHEAD = 64  # batches whose order and augmentation are drawn at once


class TrainingCallback(Protocol):
    """Something that looks on while a network trains."""

    def on_batch(self, indices: Tensor, logits: Tensor) -> None:
        """``logits`` [B, C] of the samples at ``indices`` [B], before the step they led to."""

    def on_epoch(self, done: int) -> None:
        """``done`` whole epochs are complete; a part of one at the end is no epoch."""


@dataclass(frozen=True, eq=False)
class Training:
    """One network and how it is to be trained.

    Attributes:
        network: on ``data.device``; trained in place and left in train mode.
        data: what to train on.
        schedule: SGD and its budget.
        augmentation: drawn from ``rng``.
        rng: generator on ``data.device``; the only source of randomness: torch's global ones, which
            a network with dropout draws from, are seeded by its seed, and put back.
        callback: told of every batch and epoch.
        task: advanced by one per step.
        teacher: whose outputs on the augmented batches are trained towards; None takes the data's
            own targets, labels or soft labels.
    """

    network: nn.Module
    data: Batcher
    schedule: Schedule
    augmentation: Augmentation
    rng: Generator
    callback: TrainingCallback | None = None
    task: Task | None = None
    teacher: Teacher | None = None

    @property
    def batches_per_epoch(self) -> int:
        """Steps of an epoch, the last one possibly on a shorter batch."""
        return batches_per_epoch(len(self.data), self.schedule.batch_size)

    def run(self) -> None:
        """Do the training, at the precision of its schedule."""
        with numeric_precision(self.schedule.precision, self.data.device), retain_freed_memory():
            for _ in self.steps():
                pass

    def steps(self) -> Iterator[None]:
        """Do the training, one step each time the next item is asked for."""
        self.network.train()
        step, schedule, per_epoch = _step(self), self.schedule, self.batches_per_epoch
        fork = GlobalFork(Seed.of(self.rng).fork("dropout"), self.data.device)
        done, lr = 0, math.nan
        order = _epochs(self.data, schedule.batch_size, self.augmentation, self.rng)
        for epoch, batches in enumerate(order):
            for indices, draws in batches:
                if done == schedule.steps:  # in the middle of an epoch
                    return
                wanted = schedule.lr_of(done, per_epoch)
                if wanted != lr:  # on a GPU it is written to the device
                    lr = wanted
                    step.set_lr(lr)
                with fork.entered():
                    logits = step(indices, draws)
                if self.callback is not None:
                    self.callback.on_batch(indices, logits)
                if self.task is not None:
                    self.task.advance()
                done += 1
                yield
            if self.callback is not None:
                self.callback.on_epoch(epoch + 1)
            if done == schedule.steps:
                return


def _epochs(
    data: Batcher, batch_size: int, augmentation: Augmentation, rng: Generator
) -> Iterator[Iterator[tuple[Tensor, Tensor]]]:
    """Endless epochs, each an iterator of (indices [B], draws [B, P])."""
    n = len(data)
    batch_size = min(batch_size, n)
    sizes = batch_sizes(n, batch_size)
    whole = sizes.count(batch_size)
    ahead = max(1, BATCHES_DRAWN_AHEAD // max(whole, 1))
    while True:
        noise = torch.rand(ahead, n, generator=rng, device=data.device)
        orders = noise.argsort(dim=1)
        full, *tails = torch.split(orders, [whole * batch_size, *sizes[whole:]], dim=1)
        parts = [full.reshape(ahead, whole, batch_size)] if whole else []
        parts += [tail[:, None] for tail in tails]
        draws = [augmentation.draw(data.role[part], data.geometry, rng) for part in parts]
        for e in range(ahead):
            yield chain.from_iterable(
                zip(part[e], drawn[e], strict=True)
                for part, drawn in zip(parts, draws, strict=True)
            )


def _step(training: Training) -> EagerStep | CapturedStep:
    t = training
    given = (t.network, t.data, t.schedule, t.augmentation, t.teacher)
    if t.data.device.type != "cuda" or plain_only():
        return EagerStep(*given)
    return CapturedStep(EagerStep(*given, lr_on_device=True), t.schedule.precision)


def check_converged(network: nn.Module, what: str, rate: str) -> None:
    """That training has left ``network`` finite.

    Args:
        network: trained.
        what: the network in the words of whoever trained it, for the message.
        rate: its learning rate, likewise.

    Raises:
        DivergedError: if it has not.
    """
    if not all(bool(p.isfinite().all()) for p in network.parameters()):
        raise DivergedError(f"{what} diverged: its parameters are not finite; lower {rate}")


def predict(
    network: nn.Module, data: Batcher, batch_size: int = 1000, precision: Precision = "fp32"
) -> Tensor:
    """Logits float32 [N, C] of all samples in eval mode; the module's mode is restored."""
    batches = (channels_last(inputs) for inputs, _ in data.in_order(batch_size))
    return predict_batches(network, batches, data.device, precision)


@torch.no_grad()
def predict_batches(
    network: nn.Module,
    batches: Iterable[Tensor],
    device: torch.device,
    precision: Precision = "fp32",
) -> Tensor:
    """As :func:`predict`, of ``batches`` of inputs as the network sees them, on ``device``."""
    with evaluating(network), numeric_precision(precision, device):
        return torch.cat([network(inputs).float() for inputs in batches])


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Inside, ``network`` is in eval mode; its own mode is restored."""
    was_training = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(was_training)
