"""Randomness as an argument: streams forked by stage name from one seed."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Generator


@dataclass(frozen=True)
class Seed:
    """Where streams of random numbers start. Nothing is drawn from it itself, so that the parts of
    a stage can be cached, resumed or run in any order.
    """

    value: int

    @staticmethod
    def of(rng: Generator) -> Seed:
        """The seed of ``rng``, whatever has been drawn from it."""
        return Seed(rng.initial_seed())

    def fork(self, *path: str | int) -> Seed:
        """The 63-bit seed of ``path`` (stage, part, repeat …) under this one."""
        digest = hashlib.sha256(repr((self.value, *path)).encode()).digest()
        return Seed(int.from_bytes(digest[:8], "big") >> 1)

    def generator(self, device: torch.device | str = "cpu") -> Generator:
        """A stream to draw from, on ``device``."""
        return Generator(device).manual_seed(self.value)


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
