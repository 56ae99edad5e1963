"""What the runs of a study would take, what they share counted once."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from condense.engine.graph import SERVED_BY, PlannedStage, parts_of, planned, priced, uncounted
from condense.engine.runtime.housekeeping import digest
from condense.engine.runtime.pace import Parts
from condense.engine.stages.stage import SHARED, Stage
from condense.errors import message_of
from condense.interfaces import Cost


@dataclass(frozen=True)
class PlannedWork:
    """All stages of one name that a study comes to.

    Attributes:
        stage: their name.
        components: that serve them.
        times: how many there are.
        cached: how many of them are stored.
        jobs: that an executor would be given for the others, at most.
        unknown: of how many nobody knows what they take.
        seconds, memory_mb, disk_mb: of the others; None where there are none.
    """

    stage: str
    components: tuple[str, ...]
    times: int
    cached: int
    jobs: int
    unknown: int
    seconds: float | None
    memory_mb: float | None
    disk_mb: float | None

    @staticmethod
    def of(stages: Sequence[PlannedStage]) -> PlannedWork:
        """``stages`` of equal name together."""
        known = [s for s in stages if s.seconds is not None]
        return PlannedWork(
            stages[0].stage,
            tuple(dict.fromkeys(s.component for s in stages)),
            len(stages),
            sum(s.cached for s in stages),
            sum(s.jobs for s in stages),
            len(stages) - len(known),
            sum(s.seconds or 0.0 for s in known) if known else None,
            max(s.memory_mb or 0.0 for s in known) if known else None,
            sum(s.disk_mb or 0.0 for s in known) if known else None,
        )


@dataclass(frozen=True)
class StudyPlan:
    """What a study comes to; totals hold at least where something is unknown.

    Attributes:
        stages: by name, in the order in which runs come to them.
        parts: of each run, seconds of what no run before it has done, task by task.
        failed: why runs cannot be planned, by their cell's name.
    """

    stages: tuple[PlannedWork, ...]
    parts: tuple[Parts, ...]
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def unknown(self) -> list[str]:
        """The stages of which something is."""
        return [work.stage for work in self.stages if work.unknown]

    @property
    def seconds(self) -> float:
        """Of all."""
        return sum(work.seconds or 0.0 for work in self.stages)

    @property
    def memory_mb(self) -> float:
        """Of the largest."""
        return max((work.memory_mb or 0.0 for work in self.stages), default=0.0)

    @property
    def disk_mb(self) -> float:
        """Of all."""
        return sum(work.disk_mb or 0.0 for work in self.stages)

    def to_json(self) -> dict[str, Any]:
        """For ``--dry-run --json``."""
        return {
            "dry_run": True,
            "runs": len(self.parts),
            "stages": [vars(work) for work in self.stages],
            "unknown": self.unknown,
            "seconds": self.seconds,
            "memory_mb": self.memory_mb,
            "disk_mb": self.disk_mb,
            "failed": self.failed,
        }


class Planner:
    """Adds up the runs of a study; equal work is timed once, and equal results are made once."""

    def __init__(self) -> None:
        self._costs: dict[str, Cost | None] = {}
        self._seen: set[str] = set()
        self._counted: set[str] = set()  # entries of the store
        self._stages: dict[str, list[PlannedStage]] = {}
        self._parts: list[Parts] = []
        self._failed: dict[str, str] = {}

    def add(self, stages: Sequence[Stage[Any]]) -> Parts:
        """One more run, of these stages.

        Returns:
            seconds of what no run before it has done, task by task.

        Raises:
            CondenseError: for options that do not suit the data; it is not counted then.
        """
        parts: list[float | None] = []
        fresh, counted = [], set(self._counted)
        for stage in stages:
            work = digest("work", stage.work())
            if work not in self._seen:
                found = planned(stage, counted, self._estimate)
                fresh.append((work, found))
                parts += parts_of(stage, found.seconds)
        self._counted = counted
        for work, found in fresh:
            self._seen.add(work)
            self._stages.setdefault(found.stage, []).append(found)
        self._parts.append(parts)
        return parts

    @contextlib.contextmanager
    def run(self, name: str) -> Iterator[None]:
        """Inside, a run of the cell ``name`` is added; where that fails, the others go on."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 – whatever it is, the run itself says it as well
            self.fail(name, message_of(error))

    def fail(self, name: str, message: str) -> None:
        """A run of the cell ``name`` that cannot be planned."""
        self._failed.setdefault(name, message)
        self._parts.append(())

    def plan(self) -> StudyPlan:
        """All that was added."""
        order = list(SERVED_BY).index
        works = (PlannedWork.of(self._stages[name]) for name in sorted(self._stages, key=order))
        return StudyPlan(tuple(works), tuple(self._parts), self._failed)

    def alone(self, stage: Stage[Any]) -> PlannedStage:
        """``stage`` as if it were not stored, counted nowhere, without what it shares."""
        cost = self._estimate(stage)
        return priced(stage, cost and cost.own)

    def add_shared(self, stages: Sequence[Stage[Any]]) -> Parts:
        """What stages that are counted by :meth:`alone` share; seconds of what is new."""
        parts = []
        for stage in stages:
            cost = self._estimate(stage)
            left = uncounted(stage, cost, self._counted).less(cost.own) if cost else Cost()
            if left.seconds:
                self._stages.setdefault(stage.name, []).append(priced(stage, left))
                parts.append(left.seconds)
        return parts

    def _estimate(self, stage: Stage[Any]) -> Cost | None:
        """Of ``stage``; seeds make no difference, but to what is stored of a preparation."""
        bound = stage.bound
        own = [stage.name, stage.tasks, bound.data.fingerprint, stage.samples]
        seed = bound.seed(stage.name) if stage.name in SHARED else None
        key = digest("cost", {"of": [*own, bound.component_key(stage.component), seed]})
        if key not in self._costs:
            self._costs[key] = stage.cost()
        return self._costs[key]
