"""How long what is under way still takes: by estimates made before it began, and by its pace.

Pure arithmetic of the clock's readings, which the caller passes on as ``now``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

Parts = Sequence[float | None]  # seconds of tasks that follow one another; None if unknown

STARTED = 4  # units after which the first, which holds what starting takes, is left out
TRUSTED_SHARE = 0.25  # of a task, or
TRUSTED_SECONDS = 30.0  # of it, after which its pace alone counts, and no estimate
SHORTEST = 2.0  # seconds of a task of unknown length before anything is said of it
MORE = 1 / 3  # a task that promises to be shorter than this share of its part is not all of it
STORED = 0.02  # what took less than this share of its estimate was found in the store
DOUBT = 0.1  # share of the whole for which estimates are believed before they are corrected


@dataclass(frozen=True)
class Left:
    """Seconds that are left; ``at_least`` if something unknown comes on top of them."""

    seconds: float
    at_least: bool = False

    def __str__(self) -> str:
        minutes, seconds = divmod(max(0, round(self.seconds)), 60)
        hours, minutes = divmod(minutes, 60)
        text = f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
        return f"at least {text} left" if self.at_least else f"{text} left"


class Pace:
    """One task of equal units.

    Args:
        total: how many units it has.
        now: when it began.
    """

    def __init__(self, total: int, now: float) -> None:
        self.total, self.done = total, 0
        self.begun = self.last = now
        self._first: tuple[float, int] | None = None  # when the first units were done, how many

    def advance(self, n: int, now: float) -> None:
        """``n`` more units are done."""
        self.done += n
        self.last = now
        if self._first is None:
            self._first = (now, self.done)

    @property
    def share(self) -> float:
        """Of the units that are done, 0–1."""
        return min(self.done / self.total, 1.0) if self.total > 0 else 0.0

    def by_pace(self, now: float) -> float | None:
        """Seconds left as fast as it has been so far; None before the first unit is done."""
        if self._first is None:
            return None
        since, before = self._first if self.done - self._first[1] >= STARTED else (self.begun, 0)
        a_unit = (self.last - since) / max(self.done - before, 1)
        return max(0.0, a_unit * max(self.total - self.done, 0) - (now - self.last))

    def left(self, now: float, expected: float | None = None) -> float | None:
        """Seconds left; None if nothing can be said yet.

        Args:
            expected: what the whole task was thought to take; its pace counts more and more.
        """
        found, elapsed = self.by_pace(now), now - self.begun
        if expected is None:
            early = elapsed < SHORTEST or self.done < 2
            return None if early and self.share < TRUSTED_SHARE else found
        rest = max(0.0, expected - elapsed)
        if found is None:
            return rest
        weight = min(1.0, max(self.share / TRUSTED_SHARE, elapsed / TRUSTED_SECONDS))
        return weight * found + (1 - weight) * rest


class Whole:
    """Units of work, one after another, each of tasks whose lengths were estimated.

    Args:
        expected: of every unit, the seconds of its parts; nothing for one that is stored.
        now: when the first begins.
    """

    def __init__(self, expected: Sequence[Parts], now: float) -> None:
        self._units = [[part for part in parts if part != 0] for parts in expected]
        self._done = 0
        self._begun = self._unit_begun = self._part_begun = now
        self._tasks = 0  # begun in this unit
        self._task: Pace | None = None  # the one under way
        self._thought = self._took = 0.0  # seconds of finished units, and what they really took
        self._doubt = DOUBT * sum(part or 0.0 for parts in self._units for part in parts) + 1.0

    @property
    def done(self) -> int:
        """How many units are."""
        return self._done

    def begin(self, task: Pace) -> None:
        """``task`` is the next one of the unit."""
        if self._tasks < len(self._parts(self._done)):
            self._part_begun = task.begun
        self._tasks += 1
        self._task = task

    def end(self) -> None:
        """The task is over."""
        self._task = None

    def advance(self, n: int, now: float) -> None:
        """The unit is done; of ``n`` units, the others turned out not to be needed."""
        parts, took = self._parts(self._done), now - self._unit_begun
        thought = sum(part for part in parts if part is not None)
        if None not in parts and took > STORED * thought:
            self._thought += thought
            self._took += took
        self._done += n
        self._unit_begun = now
        self._tasks = 0

    def left(self, now: float) -> Left | None:
        """Of all units; None if nothing is known of what is left."""
        parts, scale = self._parts(self._done), self._scale(now)
        later = [part for unit in self._units[self._done + 1 :] for part in unit]
        task, place = self._task, max(0, min(self._tasks - 1, len(parts) - 1))
        current: list[float | None]
        if task is not None:
            current = [self._left_of(task, parts[place : place + 1], scale, now)]
            rest = parts[place + 1 :]
        elif self._tasks == 0:
            known = sum(part or 0.0 for part in parts) * scale - (now - self._unit_begun)
            current = [max(0.0, known)] if parts else []
            rest = [None] if None in parts else []
        else:
            current, rest = [], parts[place + 1 :]
        ahead = [None if part is None else part * scale for part in [*rest, *later]]
        known_parts = [part for part in [*current, *ahead] if part is not None]
        unknown = len(known_parts) < len(current) + len(ahead)
        if unknown and sum(known_parts) < SHORTEST:
            return None
        return Left(sum(known_parts), unknown)

    def share(self, now: float) -> float:
        """Of the whole that is done, 0–1, by time; by units where that is unknown."""
        left = self.left(now)
        if left is None or left.at_least:
            return min(1.0, self._done / max(len(self._units), 1))
        elapsed = now - self._begun
        return elapsed / (elapsed + left.seconds) if elapsed + left.seconds > 0 else 0.0

    def _parts(self, unit: int) -> list[float | None]:
        return self._units[unit] if unit < len(self._units) else []

    def _left_of(
        self, task: Pace, part: list[float | None], scale: float, now: float
    ) -> float | None:
        """Of the ``task`` under way, which is the ``part``, or one task of several in it."""
        thought = part[0] * scale if part and part[0] is not None else None
        found = task.left(now, thought)
        if thought is None or found is None:
            return found
        promised = now - task.begun + found
        rest = max(0.0, thought - (now - self._part_begun))
        return found if promised >= MORE * thought else max(found, rest)

    def _scale(self, now: float) -> float:
        """How much longer things take than was thought, from what has been seen so far."""
        thought, took, task = self._thought, self._took, self._task
        parts, place = self._parts(self._done), self._tasks - 1
        if task is not None and 0 <= place < len(parts):
            part, found = parts[place], task.by_pace(now)
            if part is not None and found is not None:
                promised = now - task.begun + found
                if promised >= MORE * part:
                    thought += task.share * part
                    took += task.share * promised
        return (took + self._doubt) / (thought + self._doubt)
