"""What stored work takes from nothing, whoever did it and when."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Work:
    """A piece of work, those within it included.

    Attributes:
        seconds: what it takes when nothing of it is stored; None where a part is not known.
        clock: seconds that its parts took just now, most of them read from the store perhaps.
        entries: of the store among its parts.
    """

    seconds: float | None = 0.0
    clock: float = 0.0
    entries: set[str | None] = field(default_factory=set)

    def add(self, seconds: float | None) -> None:
        """A further part, of ``seconds``."""
        known = self.seconds is not None and seconds is not None
        self.seconds = self.seconds + seconds if known else None  # type: ignore[operator]


class Ledger:
    """Adds up work within work. Not for several threads."""

    def __init__(self) -> None:
        self._open = [Work()]

    @contextmanager
    def work(self, entry: str | None = None) -> Iterator[Work]:
        """A piece of work, part of the one that is under way; work inside is part of it.

        What is there for an ``entry`` of the store counts once, however often that is asked for.
        """
        own, start = Work(), time.perf_counter()
        self._open.append(own)
        try:
            yield own
        finally:
            self._open.pop()
            outer = self._open[-1]
            if entry is None or entry not in outer.entries:
                outer.add(own.seconds)
            outer.entries.add(entry)
            outer.clock += time.perf_counter() - start

    def unknown(self) -> None:
        """Of the work that is under way a part was done before, in a time that nobody kept."""
        self._open[-1].add(None)
