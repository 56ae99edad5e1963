"""Randomness as an argument: streams forked by stage name from one seed."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Generator, Tensor


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


def global_states(device: torch.device) -> list[Tensor]:
    """States of torch's global generators: of the CPU and, where that is a GPU, of ``device``."""
    states = [torch.get_rng_state()]
    return [*states, torch.cuda.get_rng_state(device)] if device.type == "cuda" else states


def set_global_states(states: list[Tensor], device: torch.device) -> None:
    """Put the global generators where :func:`global_states` found them."""
    torch.set_rng_state(states[0])
    if device.type == "cuda":
        torch.cuda.set_rng_state(states[1], device)


def same_states(some: list[Tensor], others: list[Tensor]) -> bool:
    """Whether nothing was drawn between the two."""
    return all(torch.equal(one, other) for one, other in zip(some, others, strict=True))


class GlobalFork:
    """Torch's global generators as one network in training finds them, which knows no others.

    Dropout draws from them. Each step of a network goes on where its last one ended, whatever was
    drawn in between, and leaves the generators as they were. Where the first step draws nothing,
    nothing is done for the others.

    Args:
        seed: where they start.
        device: of the network.
    """

    def __init__(self, seed: Seed, device: torch.device) -> None:
        self._device = device
        places: list[torch.device | str] = ["cpu", device] if device.type == "cuda" else ["cpu"]
        self._own = [seed.generator(place).get_state() for place in places]
        self._draws: bool | None = None  # not known before the first step

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """One step inside."""
        if self._draws is False:
            yield
            return
        outside = global_states(self._device)
        set_global_states(self._own, self._device)
        try:
            yield
        finally:
            now = global_states(self._device)
            self._draws = self._draws or not same_states(now, self._own)
            self._own = now
            set_global_states(outside, self._device)
