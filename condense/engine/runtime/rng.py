"""Randomness as an argument: generators forked by stage name from one seed."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator

import torch
from torch import Generator


def fork_seed(seed: int, *path: str | int) -> int:
    """A 63-bit seed for ``path`` (stage, part, repeat …) under ``seed``; equal in, equal out."""
    digest = hashlib.sha256(repr((seed, *path)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(seed: int, *path: str | int, device: torch.device | str = "cpu") -> Generator:
    """A generator on ``device`` seeded by :func:`fork_seed`."""
    return Generator(device).manual_seed(fork_seed(seed, *path) if path else seed)


def fork(rng: Generator, *path: str | int, device: torch.device | str = "cpu") -> Generator:
    """A generator derived from the *seed* of ``rng``, not from its state.

    Drawing from ``rng`` before or after makes no difference, so parts of a stage can be cached,
    resumed or run in any order.
    """
    return generator(rng.initial_seed(), *path, device=device)


@contextlib.contextmanager
def global_seed(seed: int) -> Iterator[None]:
    """Seed torch's global CPU generator inside, restore it outside.

    For code that only knows the global one, such as ``torch.nn.init``.
    """
    state = torch.get_rng_state()
    try:
        torch.default_generator.manual_seed(seed)
        yield
    finally:
        torch.set_rng_state(state)
