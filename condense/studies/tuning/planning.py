"""What a tuning would take: how often it trains depends on what it finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from condense.engine.graph import SERVED_BY, PlannedStage, parts_of
from condense.engine.runtime.pace import Parts
from condense.engine.stages.evaluation import TeachingStage
from condense.engine.stages.stage import SHARED
from condense.interfaces import Task
from condense.studies.planning import Planner, StudyPlan
from condense.studies.tuning.objective import Objective
from condense.studies.tuning.result import Values
from condense.studies.tuning.search import Evaluate, Evaluations
from condense.studies.tuning.settings import Settings

# stages of every evaluation; the others are shared
AGAIN = {*SERVED_BY} - {*SHARED, TeachingStage.name}


class Count:
    """Counts evaluations of one recipe as units of the whole, of which there may be fewer.

    Args:
        task: of the whole.
        units: that are thought of.
    """

    def __init__(self, task: Task, units: int) -> None:
        self._task, self._left, self._ahead = task, units, 0

    def phase(self, evaluate: Evaluate, units: int) -> Evaluate:
        """``evaluate`` counted, for which ``units`` are thought of; phases follow one another."""
        self._ahead += units
        rest = self._left - self._ahead  # units of what comes later

        def counted(values: Values, number: int) -> float:
            if self._left > rest + units:  # the phase before it needed fewer
                self._skip(self._left - rest - units)
            found = evaluate(values, number)
            if self._left > rest + 1:  # more than are thought of are the last
                self._skip(1)
            return found

        return counted

    def end(self) -> None:
        """The recipe is done."""
        if self._left:
            self._skip(self._left)

    def _skip(self, n: int) -> None:
        self._task.advance(n)
        self._left -= n


@dataclass(frozen=True)
class PlannedTimes:
    """A stage of each evaluation of one recipe.

    Attributes:
        recipe: what sets it apart; empty for the only one.
        stage, component: its name and what serves it.
        full: whether at full length.
        least, most: times.
        jobs: of one, that an executor would be given.
        seconds, memory_mb, disk_mb: of one; None if nobody knows.
    """

    recipe: str
    stage: str
    component: str
    full: bool
    least: int
    most: int
    jobs: int
    seconds: float | None
    memory_mb: float | None
    disk_mb: float | None


@dataclass(frozen=True)
class TuningPlan:
    """What a tuning comes to.

    Attributes:
        shared: what is made once.
        each: what every evaluation takes.
        parts: of each evaluation that is thought of, seconds task by task.
        networks: trained by each evaluation.
    """

    shared: StudyPlan
    each: tuple[PlannedTimes, ...]
    parts: tuple[Parts, ...]
    networks: int

    @property
    def unknown(self) -> list[str]:
        """The stages of which nobody knows what they take."""
        found = [one.stage for one in self.each if one.seconds is None and one.most]
        return list(dict.fromkeys([*self.shared.unknown, *found]))

    @property
    def seconds(self) -> dict[str, float]:
        """The least and the most that all of it takes."""
        return self._ends(self.shared.seconds, [one.seconds for one in self.each])

    @property
    def disk_mb(self) -> dict[str, float]:
        """The least and the most."""
        return self._ends(self.shared.disk_mb, [one.disk_mb for one in self.each])

    def _ends(self, shared: float, values: list[float | None]) -> dict[str, float]:
        pairs = [(one, value or 0.0) for one, value in zip(self.each, values, strict=True)]
        least = shared + sum(one.least * value for one, value in pairs)
        return {"least": least, "most": shared + sum(one.most * value for one, value in pairs)}

    def times(self, stage: str, each: int = 1) -> dict[str, int]:
        """The least and the most that there is of ``stage``."""
        found = [one for one in self.each if one.stage == stage]
        least = each * sum(one.least for one in found)
        return {"least": least, "most": each * sum(one.most for one in found)}

    @property
    def memory_mb(self) -> float:
        """Of the largest stage."""
        return max([self.shared.memory_mb, *(one.memory_mb or 0.0 for one in self.each)])

    def to_json(self) -> dict[str, Any]:
        """The document of ``tune --dry-run --json``."""
        return {
            "dry_run": True,
            "trainings": self.times("evaluator", self.networks),
            "matchings": self.times("matcher"),
            "stages": [*map(vars, self.shared.stages), *map(vars, self.each)],
            "unknown": self.unknown,
            "seconds": self.seconds,
            "memory_mb": self.memory_mb,
            "disk_mb": self.disk_mb,
            "failed": self.shared.failed,
        }


class TuningPlanner:
    """Adds up recipes to be tuned by ``settings``."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._planner = Planner()
        self._each: list[PlannedTimes] = []
        self._parts: list[Parts] = []

    def add(self, name: str, start: Values, short: Objective, full: Objective | None) -> None:
        """The recipe ``name``, whose options stand at ``start``."""
        phases: list[tuple[Objective, Evaluations, bool]] = []
        phases.append((short, Evaluations.short(self._settings), False))
        if full is not None:
            phases.append((full, Evaluations.full(self._settings), True))
        parts: list[Parts] = []
        for objective, times, is_full in phases:
            once = self._once(objective, start)
            again = [s for s in objective.stages(start) if s.name in AGAIN]
            found = [self._planner.alone(stage) for stage in again]
            pairs = zip(again, found, strict=True)
            own = [part for stage, one in pairs for part in parts_of(stage, one.seconds)]
            parts += [[*once, *own], *[own] * (times.likely - 1)]
            self._each += [_times(name, one, is_full, times) for one in found]
        self._add(parts)

    def fail(self, name: str, message: str) -> None:
        """A recipe that cannot be planned."""
        self._planner.fail(name, message)
        self._add([])

    def plan(self) -> TuningPlan:
        """All that was added."""
        networks = self._settings.repeats
        each, parts = tuple(self._each), tuple(self._parts)
        return TuningPlan(self._planner.plan(), each, parts, networks)

    def _add(self, parts: list[Parts]) -> None:
        s = self._settings
        units = Evaluations.short(s).likely + Evaluations.full(s).likely
        self._parts += [*parts, *[()] * (units - len(parts))]

    def _once(self, objective: Objective, start: Values) -> list[float | None]:
        """Parts of what all evaluations share, or all under one seed."""
        found: list[float | None] = []
        for number in range(self._settings.seeds):
            stages = objective.stages(start, number)
            found += self._planner.add([s for s in stages if s.name not in AGAIN])
            found += self._planner.add_shared([s for s in stages if s.name in AGAIN])
        return found


def _times(name: str, one: PlannedStage, full: bool, times: Evaluations) -> PlannedTimes:
    sizes = (one.seconds, one.memory_mb, one.disk_mb)
    counts = (times.least, times.most, one.jobs)
    return PlannedTimes(name, one.stage, one.component, full, *counts, *sizes)
