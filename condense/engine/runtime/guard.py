"""Watching a component at work: what it breaks is named, put right where it can be, not stored."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

from torch import Tensor

from condense.data import LabeledData, content_digest
from condense.engine.runtime.exhaustion import is_out_of_memory
from condense.errors import BrokenPlugin, blamed, is_ours
from condense.randomness import GlobalRandomness


@contextlib.contextmanager
def guarded(kind: str, component: Any, *tensors: Tensor) -> Iterator[None]:
    """Run one method of ``component`` inside.

    Args:
        kind: as on the command line, for messages.
        component: whose method runs.
        tensors: what it was given and must leave as it is (CPU).

    Raises:
        BrokenPlugin: if it changed its input or global randomness (which is put back first), or
            raised something that is no :class:`CondenseError` and is not of this package. Nothing
            of the stage enters the store then.
    """
    who = f"{kind} '{component.name}'"
    before = _state(component, tensors)
    states = GlobalRandomness()
    try:
        yield
    except BaseException as error:
        states.restore()
        blame = None if is_out_of_memory(error) else blamed(who, type(component), error)
        if blame is None:
            raise
        raise blame from error
    changed = states.restore()
    if changed:
        raise BrokenPlugin(
            f"{who} changed the global randomness of {', '.join(changed)}, so its result would "
            "not repeat; draw from the rng it is given"
        )
    if before != _state(component, tensors):
        raise BrokenPlugin(f"{who} changed the data it was given; work on a copy (.clone())")


def _state(component: Any, tensors: Sequence[Tensor]) -> list[object]:
    """What is different after a tensor was written to.

    A version counter costs nothing and counts every write through torch, also to a view. It misses
    what goes past torch: ``tensor.numpy()[:] = 0``, ``tensor.data``, a kernel of one's own. For
    those the bytes are hashed, at 0.6 s a GB and stage; not for our own components, which do none
    of that (the conformance kit hashes their inputs).
    """
    versions: list[object] = [None if t.is_inference() else t._version for t in tensors]
    if is_ours(type(component)) and None not in versions:
        return versions
    return [*versions, content_digest(*(t.detach() for t in tensors))]


def contents(data: LabeledData) -> tuple[Tensor, Tensor]:
    """The tensors of ``data`` that nobody may change."""
    return data.inputs, data.labels
