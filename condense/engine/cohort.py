"""Results of trainings, from the store where they are there, else trained side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from torch import Tensor

from condense.engine.lanes import train_each
from condense.engine.train import Training
from condense.interfaces import Cache


def missing_from(cache: Cache, kind: str, keys: Sequence[Mapping[str, Any]]) -> Iterator[int]:
    """Positions of those ``keys`` that are not in the store when their turn comes."""
    return (k for k, key in enumerate(keys) if not cache.has(kind, key))


def trained_or_stored(
    cache: Cache,
    kind: str,
    keys: Sequence[Mapping[str, Any]],
    make: Callable[[int], Training],
    result: Callable[[int, Training], dict[str, Tensor]],
    at_once: int | None = None,
) -> Iterator[dict[str, Tensor]]:
    """The tensors under each of ``keys`` in turn, kept one by one as they are made.

    Args:
        cache: the store.
        kind: folder in it.
        keys: of all that a result depends on.
        make: the training at a position in ``keys``.
        result: the tensors to keep of it once it is done.
        at_once: how many train side by side; see :func:`condense.engine.lanes.train_each`.
    """
    # the generator looks a key up only when its turn comes: another process may have been there
    cohort = _Cohort(missing_from(cache, kind, keys), make, at_once)

    def compute(position: int) -> dict[str, Tensor]:
        return result(position, cohort.finish(position))

    for k, key in enumerate(keys):
        yield cache.tensors(kind, key, partial(compute, k))


class _Cohort:
    """Trainings, each done when it is asked for; those that follow may train along with it."""

    def __init__(
        self, missing: Iterable[int], make: Callable[[int], Training], at_once: int | None
    ) -> None:
        self._make = make
        self._begun: list[int] = []
        self._done: dict[int, Training] = {}
        self._under_way = train_each(self._trainings(missing), at_once)

    def finish(self, position: int) -> Training:
        """The training of ``position``, done; it is let go of here."""
        while position not in self._done:
            passed = any(begun > position for begun in self._begun) and position not in self._begun
            following = None if passed else next(self._under_way, None)
            if following is None:  # not thought to be missing: it was stored, but damaged
                return next(done for _, done in train_each([self._make(position)]))
            order, training = following
            self._done[self._begun[order]] = training
        return self._done.pop(position)

    def _trainings(self, missing: Iterable[int]) -> Iterator[Training]:
        for position in missing:
            self._begun.append(position)
            yield self._make(position)
