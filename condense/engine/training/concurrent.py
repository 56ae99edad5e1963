"""Several trainings at once on a GPU that one does not fill, each in a stream of its own.

A step of a small network on a small batch leaves most of a large GPU idle. Steps of different
networks do not wait for each other, so their kernels run side by side; every network gets the
steps, batches and draws that it would get alone.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from condense.engine.runtime.malloc import retain_freed_memory
from condense.engine.runtime.precision import numeric_precision
from condense.engine.training.loop import Training
from condense.interfaces import Cache

MOST = 8  # trainings side by side
SETTLING = 10  # rounds beyond an epoch that are not timed once a training has begun
WINDOW = 50  # rounds that are timed
GAIN = 1.1  # a doubling that gives fewer steps a second than so many times those before is undone


def train_concurrently(
    trainings: Iterable[Training], max_concurrent: int | None = 1
) -> Iterator[tuple[int, Training]]:
    """Do ``trainings`` and hand on each, with its position, as it is done.

    Args:
        trainings: all on one device and in one precision; each is taken only when its turn comes,
            so that networks may be made then.
        max_concurrent: how many run side by side. None: on a GPU as many as is quickest, found by
            doubling while steps a second grow and memory allows; on a CPU one.

    Yields:
        (position in ``trainings``, training), in the order in which they end.
    """
    waiting = iter(enumerate(trainings))
    running: list[_Running] = []
    width: Width | None = None
    while True:
        while width is None or len(running) < width.now:
            following = next(waiting, None)
            if following is None:
                break
            width = width or Width.of(max_concurrent, following[1].data.device)
            running.append(_Running.start(*following, own_stream=width.most > 1))
        if width is None or not running:
            return
        training = running[0].training
        with (
            numeric_precision(training.schedule.precision, training.data.device),
            retain_freed_memory(),
        ):
            done = width.run(running)
        if done is not None:
            running.remove(done)
            yield done.position, done.end()


@dataclass(eq=False)
class _Running:
    """A training under way, and its stream."""

    position: int
    training: Training
    steps: Iterator[None]
    stream: torch.cuda.Stream | None

    @staticmethod
    def start(position: int, training: Training, own_stream: bool) -> _Running:
        device, stream = training.data.device, None
        if own_stream and device.type == "cuda":
            stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
            stream.wait_stream(torch.cuda.current_stream(device))  # where the network was made
        return _Running(position, training, training.steps(), stream)

    def step(self) -> bool:
        """One step; False where none was left."""
        with self._inside():
            return next(self.steps, _END) is not _END

    def end(self) -> Training:
        """The training, whose results the present stream waits for."""
        if self.stream is not None:
            torch.cuda.current_stream(self.training.data.device).wait_stream(self.stream)
        return self.training

    def _inside(self) -> AbstractContextManager[object]:
        return contextlib.nullcontext() if self.stream is None else torch.cuda.stream(self.stream)


_END = object()


@dataclass(eq=False)
class Width:
    """How many trainings run side by side.

    Attributes:
        most: upper limit.
        now: how many do; doubled up to ``most`` while that makes all of them together quicker.
    """

    most: int
    now: int = 1
    _rate: float = 0.0  # steps a second of all, before the last doubling
    _rounds: int = 0
    _since: float = 0.0

    @staticmethod
    def of(max_concurrent: int | None, device: torch.device) -> Width:
        """What ``max_concurrent`` of :func:`train_concurrently` means on ``device``."""
        if max_concurrent is not None:
            return Width(max_concurrent, max_concurrent)
        return Width(MOST if device.type == "cuda" else 1)

    def run(self, running: Sequence[_Running]) -> _Running | None:
        """Step all in turn until one is done, which is returned, or until more should run."""
        active = running[: self.now]  # those beyond were begun before a doubling was undone
        before = self.now
        while True:
            for one in active:
                if not one.step():
                    self._rounds = 0  # a timing across the end of a training says nothing
                    return one
            if len(active) == self.now < self.most:  # fewer at the end would look slower
                self._look(active)
                if self.now != before:
                    return None

    def _look(self, active: Sequence[_Running]) -> None:
        self._rounds += 1
        device = active[0].training.data.device
        # by the end of its first epoch a step has been recorded in both of its sizes
        settled = SETTLING + max(one.training.batches_per_epoch for one in active)
        if self._rounds == settled:
            self._since = _clock(device)
        elif self._rounds == settled + WINDOW:
            seconds = _clock(device) - self._since
            self.timed(len(active) * WINDOW / seconds, room=_room(device))

    def timed(self, rate: float, room: bool) -> None:
        """Settle how many should run, now that ``now`` of them do ``rate`` steps a second in all.

        Args:
            room: whether memory allows for twice as many.
        """
        self._rounds = 0
        if rate < GAIN * self._rate:
            self.now //= 2
            self.most = self.now
        elif room:
            self._rate, self.now = rate, min(2 * self.now, self.most)
        else:
            self.most = self.now


def _clock(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def _room(device: torch.device) -> bool:
    """Whether what is in use would fit the device once more."""
    if device.type != "cuda":
        return True
    return torch.cuda.memory_reserved(device) < 0.8 * torch.cuda.mem_get_info(device)[0]


def missing_from(cache: Cache, kind: str, keys: Sequence[Mapping[str, Any]]) -> Iterator[int]:
    """Positions of those ``keys`` that are not in the store when their turn comes."""
    return (k for k, key in enumerate(keys) if not cache.has(kind, key))


def cached_trainings(
    cache: Cache,
    kind: str,
    keys: Sequence[Mapping[str, Any]],
    make: Callable[[int], Training],
    result: Callable[[int, Training], dict[str, Tensor]],
    max_concurrent: int | None = None,
) -> Iterator[dict[str, Tensor]]:
    """The tensors under each of ``keys`` in turn, kept one by one as they are made.

    Args:
        cache: the store.
        kind: folder in it.
        keys: of all that a result depends on.
        make: the training at a position in ``keys``.
        result: the tensors to keep of it once it is done.
        max_concurrent: how many train side by side; see :func:`train_concurrently`.
    """
    # the generator looks a key up only when its turn comes: another process may have been there
    shared = _SharedTrainings(missing_from(cache, kind, keys), make, max_concurrent)

    def compute(position: int) -> dict[str, Tensor]:
        return result(position, shared.finish(position))

    for k, key in enumerate(keys):
        yield cache.tensors(kind, key, partial(compute, k))


class _SharedTrainings:
    """Trainings, each done when it is asked for; those that follow may train along with it."""

    def __init__(
        self, missing: Iterable[int], make: Callable[[int], Training], max_concurrent: int | None
    ) -> None:
        self._make = make
        self._begun: list[int] = []
        self._done: dict[int, Training] = {}
        self._under_way = train_concurrently(self._trainings(missing), max_concurrent)

    def finish(self, position: int) -> Training:
        """The training of ``position``, done; it is let go of here."""
        while position not in self._done:
            passed = any(begun > position for begun in self._begun) and position not in self._begun
            following = None if passed else next(self._under_way, None)
            if following is None:  # not thought to be missing: it was stored, but damaged
                return next(done for _, done in train_concurrently([self._make(position)]))
            order, training = following
            self._done[self._begun[order]] = training
        return self._done.pop(position)

    def _trainings(self, missing: Iterable[int]) -> Iterator[Training]:
        for position in missing:
            self._begun.append(position)
            yield self._make(position)
