"""How many threads work on a sample: of small ones one, whatever the machine has.

A step on a batch of 8×8 images is a few hundred operations of some ten microseconds, which threads
spend waiting for each other; and results depend on their number.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator

import torch

SMALL = 256  # values of a sample


def is_small(shape: tuple[int, ...]) -> bool:
    """Whether one thread works on samples of ``shape``."""
    return math.prod(shape) <= SMALL


@contextlib.contextmanager
def threads_for(shape: tuple[int, ...]) -> Iterator[None]:
    """One torch thread inside where samples of ``shape`` are small, else as many as there are."""
    before = torch.get_num_threads()
    if not is_small(shape) or before == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
