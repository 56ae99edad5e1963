"""Several trainings at once on a GPU that one does not fill, each in a stream of its own.

A step of a small network on a small batch leaves most of a large GPU idle. Steps of different
networks do not wait for each other, so their kernels run side by side; every network gets the
steps, batches and draws that it would get alone.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from condense.engine.runtime.expected import Expected
from condense.engine.runtime.malloc import retain_freed_memory
from condense.engine.runtime.precision import numeric_precision
from condense.engine.training.loop import Training
from condense.interfaces import Cache

MAX_ON_GPU = 8  # trainings side by side, unless asked for otherwise


def train_concurrently(
    trainings: Iterable[Training], max_concurrent: int | None = None
) -> Iterator[tuple[int, Training]]:
    """Do ``trainings`` and hand on each, with its position, as it is done.

    Args:
        trainings: all on one device; each is taken only when its turn comes, so that networks may
            be made then.
        max_concurrent: how many run side by side. None: on a CPU one; on a GPU as many as its
            memory has room for, at most :data:`MAX_ON_GPU`.

    Yields:
        (position in ``trainings``, training), in the order in which they end.
    """
    waiting = enumerate(trainings)
    running: list[_Running] = []
    while True:
        while _has_room(running, max_concurrent):
            following = next(waiting, None)
            if following is None:
                break
            running.append(_Running(*following, own_stream=max_concurrent != 1))
            with running[-1].numerics():  # its first step takes the memory that it will need
                running[-1].step()
        if not running:
            return
        done = _run_until_one_ends(running)
        running.remove(done)
        yield done.position, done.end()


class _Running:
    """A training under way, and its stream.

    Args:
        position: among all of them.
        training: not yet begun.
        own_stream: whether it runs in a stream of its own, where the device has streams.
    """

    def __init__(self, position: int, training: Training, own_stream: bool) -> None:
        self.position = position
        self.training = training
        self._device = training.data.device
        self._steps = training.steps()
        self._stream: torch.cuda.Stream | None = None
        if own_stream and self._device.type == "cuda":
            self._stream = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]
            # the network was made in the present stream
            self._stream.wait_stream(torch.cuda.current_stream(self._device))

    def step(self) -> bool:
        """One step; False where none was left."""
        own = contextlib.nullcontext() if self._stream is None else torch.cuda.stream(self._stream)
        with own:
            return next(self._steps, _END) is not _END

    def end(self) -> Training:
        """The training, whose results the present stream waits for."""
        if self._stream is not None:
            torch.cuda.current_stream(self._device).wait_stream(self._stream)
        return self.training

    @contextlib.contextmanager
    def numerics(self) -> Iterator[None]:
        """Its precision, and memory that stays with the process."""
        precision = self.training.schedule.precision
        with numeric_precision(precision, self._device), retain_freed_memory():
            yield


_END = object()


def _run_until_one_ends(running: Sequence[_Running]) -> _Running:
    """Step all in turn; the first that has no step left."""
    with running[0].numerics():
        while True:
            for one in running:
                if not one.step():
                    return one


def _has_room(running: Sequence[_Running], max_concurrent: int | None) -> bool:
    """Whether one more may train beside those that are ``running``, a step of each being done."""
    if max_concurrent is not None:
        return len(running) < max_concurrent
    if not running:
        return True
    device = running[0].training.data.device
    if device.type != "cuda" or len(running) >= MAX_ON_GPU:
        return False
    # twice the mean: the last batch of an epoch, being shorter, is recorded apart from the others
    one = 2 * torch.cuda.memory_reserved(device) / len(running)
    return one < torch.cuda.mem_get_info(device)[0]


@dataclass(frozen=True)
class MissingFrom(Collection[int]):
    """Positions of those ``keys`` that are not in the store, each looked up when its turn comes."""

    cache: Cache
    kind: str
    keys: Sequence[Mapping[str, Any]]

    def __contains__(self, position: object) -> bool:
        return any(position == missing for missing in self)

    def __iter__(self) -> Iterator[int]:
        return (k for k, key in enumerate(self.keys) if not self.cache.has(self.kind, key))

    def __len__(self) -> int:
        return sum(1 for _ in self)


def cached_trainings(
    cache: Cache,
    kind: str,
    keys: Sequence[Mapping[str, Any]],
    make: Callable[[int], Training],
    result: Callable[[int, Training], dict[str, Tensor]],
    max_concurrent: int | None = None,
    expected: Callable[[int], Mapping[str, Expected]] | None = None,
) -> Iterator[dict[str, Tensor]]:
    """The tensors under each of ``keys`` in turn, kept one by one as they are made.

    Args:
        cache: the store.
        kind: folder in it.
        keys: of all that a result depends on.
        make: the training at a position in ``keys``.
        result: the tensors to keep of it once it is done.
        max_concurrent: how many train side by side; see :func:`train_concurrently`.
        expected: what the tensors at a position in ``keys`` must be, else they are made anew.
    """
    begun: list[int] = []  # positions, in ascending order
    done: dict[int, Training] = {}  # by position, until they are asked for

    def missing() -> Iterator[Training]:
        # a key is looked up only when its turn comes: another process may have been there
        for position in MissingFrom(cache, kind, keys):
            begun.append(position)
            yield make(position)

    under_way = train_concurrently(missing(), max_concurrent)

    def compute(position: int) -> dict[str, Tensor]:
        while position not in done:
            passed = position not in begun and any(other > position for other in begun)
            following = None if passed else next(under_way, None)
            if following is None:  # it was in the store when it was looked for, but damaged
                _, done[position] = next(train_concurrently([make(position)]))
            else:
                order, training = following
                done[begun[order]] = training
        return result(position, done.pop(position))

    for position, key in enumerate(keys):
        as_made = None if expected is None else expected(position)
        yield cache.tensors(kind, key, partial(compute, position), as_made)
