"""What stored work takes from nothing, whoever did it and when."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass
class Work:
    """A piece of work, those within it included.

    Attributes:
        seconds: what it takes when nothing of it is stored; None where a part is not known.
        clock: seconds that its parts took just now, most of them read from the store perhaps.
    """

    seconds: float | None = 0.0
    clock: float = 0.0

    def add(self, seconds: float | None) -> None:
        """A further part, of ``seconds``."""
        known = self.seconds is not None and seconds is not None
        self.seconds = self.seconds + seconds if known else None  # type: ignore[operator]


class Ledger:
    """Adds up work within work. Not for several threads."""

    def __init__(self) -> None:
        self._open = [Work()]

    @contextmanager
    def work(self) -> Iterator[Work]:
        """A piece of work, part of the one that is under way; work inside is part of it."""
        own, start = Work(), time.perf_counter()
        self._open.append(own)
        try:
            yield own
        finally:
            self._open.pop()
            self._open[-1].add(own.seconds)
            self._open[-1].clock += time.perf_counter() - start

    def unknown(self) -> None:
        """Of the work that is under way a part was done before, in a time that nobody kept."""
        self._open[-1].add(None)
