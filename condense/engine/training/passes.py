"""A pass over a training split: networks trained on it, and what a recorder kept of each.

The training-dynamics pass and the feature networks differ in the recorder alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor, nn

from condense.engine.runtime.expected import Expected
from condense.engine.runtime.progress import SilentProgress
from condense.engine.runtime.rng import Seed
from condense.engine.training.batches import Batcher
from condense.engine.training.concurrent import MissingFrom, cached_trainings
from condense.engine.training.loop import Training, TrainingCallback
from condense.engine.training.sgd import SgdOptions
from condense.interfaces import Context, Task, TrainingSet


class Recorder(TrainingCallback, Protocol):
    """Looks on while a network trains, and has something to keep at the end."""

    def tensors(self) -> dict[str, Tensor]:
        """What is stored of the trained network, on the CPU."""


def sgd_training(
    training: TrainingSet,
    context: Context,
    options: SgdOptions,
    seed: Seed,
    *place: str | int,
    record: Callable[[nn.Module, Batcher], Recorder] | None = None,
    task: Task | None = None,
) -> Training:
    """One network, ready to be trained.

    Args:
        training: what on.
        context: device and networks.
        options: how.
        seed: of all networks of the pass.
        place: of this one among them, by which its initialisation and batches are drawn.
        record: makes what looks on, given the network and ``training`` on the device.
        task: advanced by one per step.
    """
    device = context.device
    init = seed.fork("init", *place).generator()
    network = context.network(options.network, training.geometry, init)
    batcher = Batcher(training, device)
    return Training(
        network,
        batcher,
        options.schedule(len(training), device),
        context.augmentation(options.augmentation),
        seed.fork("batches", *place).generator(device),
        callback=record(network, batcher) if record is not None else None,
        task=task,
    )


def recorded_pass(
    training: TrainingSet,
    context: Context,
    options: SgdOptions,
    seed: Seed,
    keys: Mapping[int, Mapping[str, Any]],
    record: Callable[[int, nn.Module, Batcher], Recorder],
    *,
    expected: Callable[[int], Mapping[str, Expected]],
    kind: str,
    title: str,
) -> list[dict[str, Tensor]]:
    """What is kept of each network, from the store where it is there.

    Args:
        training: what they are trained on.
        context: device, cache, progress, networks.
        options: how they are trained.
        seed: of all of them.
        keys: cache key of each, by its number.
        record: makes what looks on, given the number, the network and ``training`` on the device.
        expected: what is kept, by number, as the store's reader needs it.
        kind: folder in the store.
        title: of the progress bar, which is shown if any has to be trained.
    """
    numbers, entries = list(keys), list(keys.values())
    recorders: dict[int, Recorder] = {}
    missing = len(MissingFrom(context.cache, kind, entries))
    total = missing * options.schedule(len(training), context.device).steps
    progress = context.progress if missing else SilentProgress()
    with progress.task(title, total, "step") as task:

        def make(position: int) -> Training:
            def watched(network: nn.Module, batcher: Batcher) -> Recorder:
                recorders[position] = record(numbers[position], network, batcher)
                return recorders[position]

            place = numbers[position]
            return sgd_training(training, context, options, seed, place, record=watched, task=task)

        def result(position: int, done: Training) -> dict[str, Tensor]:
            return recorders.pop(position).tensors()

        def as_made(position: int) -> Mapping[str, Expected]:
            return expected(numbers[position])

        stored = cached_trainings(context.cache, kind, entries, make, result, expected=as_made)
        return list(stored)


def kept_of_network(
    training: TrainingSet,
    context: Context,
    options: SgdOptions,
    seed: Seed,
    key: Mapping[str, Any],
    kept: Callable[[nn.Module, Batcher], dict[str, Tensor]],
    *,
    expected: Mapping[str, Expected],
    kind: str,
    title: str,
) -> dict[str, Tensor]:
    """What is kept of one network at the end of its training, from the store where it is there.

    Args:
        key: of the entry.
        kept: its tensors on the CPU, given the trained network and ``training`` on the device.
        expected: what these are, as the store's reader needs it; other arguments as for
            :func:`recorded_pass`.
    """
    (tensors,) = recorded_pass(
        training,
        context,
        options,
        seed,
        {0: key},
        lambda _, network, batcher: _AtTheEnd(network, batcher, kept),
        expected=lambda _: expected,
        kind=kind,
        title=title,
    )
    return tensors


@dataclass(frozen=True, eq=False)
class _AtTheEnd:
    """Looks at a network only once it is trained.

    Attributes:
        network: in training.
        batcher: what it is trained on.
        kept: what to keep, given both.
    """

    network: nn.Module
    batcher: Batcher
    kept: Callable[[nn.Module, Batcher], dict[str, Tensor]]

    def on_batch(self, indices: Tensor, logits: Tensor) -> None:
        """Nothing: what counts is the trained network."""

    def on_epoch(self, done: int) -> None:
        """Nothing, likewise."""

    def tensors(self) -> dict[str, Tensor]:
        """What ``kept`` says."""
        return self.kept(self.network, self.batcher)
