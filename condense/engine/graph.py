"""Which stages a recipe has, in order, which are stored, and what the others would take."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from operator import methodcaller
from typing import Any, Protocol

from condense.engine.arms import random_plan, whole_plan
from condense.engine.pipeline import Pipeline
from condense.engine.runtime.housekeeping import digest
from condense.engine.runtime.memory import peak_memory_mb
from condense.engine.runtime.progress import over_all
from condense.engine.stages.evaluation import EvaluationStage, TeachingStage
from condense.engine.stages.matching import MatchingStage
from condense.engine.stages.preparation import PreparationStage
from condense.engine.stages.reselection import ReselectionStage
from condense.engine.stages.scores import ScoresStage
from condense.engine.stages.selection import SelectionStage
from condense.engine.stages.stage import Piece, Stage
from condense.engine.training.threads import threads_for
from condense.errors import CondenseError
from condense.interfaces import Cost, Progress
from condense.kinds import RANDOM, WHOLE
from condense.recipe import Recipe

MIB = 2**20
# names of stages that the evaluator serves
ARMS = (TeachingStage.name, EvaluationStage.component, RANDOM, WHOLE)
_MAKING = (ScoresStage, SelectionStage, PreparationStage, MatchingStage, ReselectionStage)
# stage by the name its time is recorded under → stage of the recipe whose component serves it
SERVED_BY = {
    **{stage.name: stage.component for stage in _MAKING},
    **dict.fromkeys(ARMS, EvaluationStage.component),
}


def in_order(pipeline: Pipeline, baselines: bool, evaluated: bool = True) -> list[Stage[Any]]:
    """What a run asks for, one after another; stages inside others are not named.

    Matching is named also where nothing is matched, as it makes the set in any case.

    Args:
        pipeline: a bound recipe; its data are loaded, and nothing is computed.
        baselines: whether random subsets and the whole training split are evaluated as well.
        evaluated: whether anything is; nothing is without a test split.
    """
    p = pipeline
    found: list[Stage[Any]] = [p.scoring, p.selecting, p.matching, p.reselecting]
    found += [p.teaching, *evaluations(p, baselines)] if evaluated else []
    return [stage for stage in found if stage.needed or stage is p.matching]


def stages(pipeline: Pipeline, baselines: bool, evaluated: bool = True) -> list[Stage[Any]]:
    """The stages that a run has, those inside others too, in the order in which it comes to them.

    No scorer where nobody looks at scores, no experts and no matching where nothing is
    distilled and no label learned, no evaluation without a test split.

    Args:
        pipeline, baselines, evaluated: as for :func:`in_order`.
    """
    return all_within(in_order(pipeline, baselines, evaluated))


def all_within(found: Sequence[Stage[Any]]) -> list[Stage[Any]]:
    """Those of ``found`` that are needed, each after the stages that run inside it."""
    return [inner for stage in found for inner in (*stage.within, stage) if inner.needed]


def evaluations(pipeline: Pipeline, baselines: bool) -> list[EvaluationStage]:
    """The arms: the condensed set, and what it is compared with; none without a test split."""
    plans = [random_plan(pipeline), whole_plan(pipeline)] if baselines else []
    found = [pipeline.evaluating, *(EvaluationStage(pipeline, plan) for plan in plans)]
    return [stage for stage in found if stage.needed]


def run_piece(pipeline: Pipeline, piece: Piece, extra: Sequence[Stage[Any]] = ()) -> Piece:
    """Leave ``piece`` of another process's pipeline of the same recipe in this one's store.

    Args:
        pipeline: of the recipe.
        piece: of one of its stages, or of
        extra: stages that are asked for beside those of a run, or in their place.

    Returns:
        the piece that is stored: ``piece``, or one that serves for it.

    Raises:
        CondenseError: if this recipe has no such piece, as after a change of versions or data.
    """

    def asked_for() -> Iterator[Stage[Any]]:
        yield from extra
        # scores may be asked for by themselves, though no selector of the recipe looks at them
        yield pipeline.scoring
        yield from stages(pipeline, baselines=True)  # not where the budget does not fit the data

    for stage in asked_for():
        if stage.name == piece.stage and any(own.serves(piece) for own in stage.pieces()):
            with threads_for(pipeline.data.geometry.shape):
                stage.run_piece(piece.number)
            # asked again: another process may have left one that serves just now
            return next(own for own in stage.pieces() if own.serves(piece))
    raise CondenseError(
        f"piece {piece.number} of stage {piece.stage} is none of this recipe here; are versions "
        "and data the same in both places?"
    )


class Work(Protocol):
    """Jobs, and what all of them take; None where nobody knows."""

    @property
    def jobs(self) -> int:
        """How many."""

    @property
    def seconds(self) -> float | None:
        """Of all of them."""


@dataclass(frozen=True)
class PlannedStage:
    """One stage: what would serve it, and its estimated cost unless it is cached.

    None where the component does not say what it takes; ``jobs`` are those that an executor would
    be given, at most.
    """

    stage: str
    component: str
    cached: bool
    jobs: int
    seconds: float | None
    memory_mb: float | None
    disk_mb: float | None


@dataclass(frozen=True)
class Plan:
    """All stages of a run with their totals, which hold at least where a stage is unknown."""

    stages: list[PlannedStage]
    recipe: dict[str, Any]

    @property
    def unknown(self) -> list[str]:
        """The stages of which nobody knows what they take."""
        return [s.stage for s in self.stages if s.seconds is None]

    @property
    def seconds(self) -> float:
        """Of all stages."""
        return sum(s.seconds or 0.0 for s in self.stages)

    @property
    def memory_mb(self) -> float:
        """The largest stage; they run one after another."""
        return max((s.memory_mb or 0.0 for s in self.stages), default=0.0)

    @property
    def disk_mb(self) -> float:
        """Of all stages."""
        return sum(s.disk_mb or 0.0 for s in self.stages)

    def to_json(self) -> dict[str, Any]:
        """The document of ``--dry-run --json``."""
        return {
            "dry_run": True,
            "stages": [vars(s) for s in self.stages],
            "unknown": self.unknown,
            "seconds": self.seconds,
            "memory_mb": self.memory_mb,
            "disk_mb": self.disk_mb,
            "recipe": self.recipe,
        }


def plan(pipeline: Pipeline, baselines: bool) -> Plan:
    """``--dry-run``: the stages of ``pipeline`` with estimates from a few timed steps.

    Nothing is stored. A stage is looked up only if all that it needs are cached, since its key
    depends on their results.

    Raises:
        CondenseError: for what a run would refuse before it starts.
    """
    pipeline.check_budget()
    return plan_of(pipeline.recipe, stages(pipeline, baselines))


def plan_of(recipe: Recipe, found: Sequence[Stage[Any]]) -> Plan:
    """The plan of the stages ``found``, those of ``recipe`` or some of them."""
    rows, counted = [], set[str]()
    for stage in found:
        # of large data that takes a while
        with stage.bound.progress.task(f"estimate {stage.name}", 1):
            rows.append(planned(stage, counted))
    return Plan(rows, recipe.to_dict())


def seconds_of(
    stage: Stage[Any], counted: set[str], shared: Collection[str] = ()
) -> list[float | None]:
    """Estimated seconds of the tasks that ``stage`` comes to, None where that is unknown.

    Half of them for stages of which another process does half, those named in ``shared``; and
    nothing of what is ``counted``, as for :func:`planned`.

    For the time left of a run, which is none of its results: what goes wrong here is unknown too.
    """
    found: list[float | None] = []
    for one in (*stage.within, stage):
        try:
            parts = parts_of(one, planned(one, counted).seconds) if one.needed else []
            found += [part and part / 2 for part in parts] if one.name in shared else parts
        except Exception:  # noqa: BLE001 – the stage itself will say what is wrong
            found.append(None)
    return found


def in_turn(progress: Progress, todo: Sequence[Stage[Any]], shared: Collection[str] = ()) -> None:
    """Have the results of ``todo``, one stage after another, under one bar of them all.

    Of stages named in ``shared`` another process does half.
    """

    def expected() -> list[list[float | None]]:
        counted: set[str] = set()
        return [seconds_of(stage, counted, shared) for stage in todo]

    with over_all(progress, "", len(todo), "stage", expected) as done:
        for number, stage in enumerate(todo, 1):
            with progress.stage(stage.name, number, len(todo)):
                _ = stage.result
            done.advance()


def parts_of(stage: Stage[Any], seconds: float | None) -> list[float | None]:
    """``seconds`` of ``stage`` shared out among its tasks; of one that is stored, nothing."""
    if not seconds:
        return [None] if seconds is None else []
    return [seconds / stage.tasks] * stage.tasks


def planned(
    stage: Stage[Any],
    counted: set[str],
    estimate: Callable[[Stage[Any]], Cost | None] = methodcaller("cost"),
) -> PlannedStage:
    """What ``stage`` would take, as ``estimate`` says unless it is stored.

    Args:
        stage: of a run.
        counted: entries of the store that stages before it leave there, to which its own come.
        estimate: what all of it takes.
    """
    if stage.stored:
        return PlannedStage(stage.name, stage.served_by, True, 0, 0.0, 0.0, 0.0)
    cost = estimate(stage)
    found = priced(stage, cost and uncounted(stage, cost, counted))
    return replace(found, jobs=_jobs(stage))


def uncounted(stage: Stage[Any], cost: Cost, counted: set[str]) -> Cost:
    """``cost`` of ``stage`` without entries that are stored or ``counted``; the others are then."""
    for part, entries in cost.shared:
        every = {digest(*entry): entry for entry in entries(stage.rng)}
        done = {n for n, entry in every.items() if n in counted or stage.bound.store.has(*entry)}
        counted.update(every)
        cost = cost.less(part, len(done) / max(1, len(every)))
    return cost


def _jobs(stage: Stage[Any]) -> int:
    """How many pieces of ``stage`` are not stored; at most, where what it reads is not yet."""
    if not all(need.stored for need in stage.needs):
        return stage.most_pieces
    store = stage.bound.store
    return sum(not store.has(*piece.entry) for piece in stage.pieces())


def at_once(stages: Iterable[Work], workers: int) -> float:
    """Seconds of ``stages`` one after another, the jobs of each worked off ``workers`` at once.

    At most: stages that do not need each other are worked off beside each other.
    """
    return sum(
        (s.seconds or 0.0) * (-(-s.jobs // workers) / s.jobs if s.jobs else 1.0) for s in stages
    )


def priced(stage: Stage[Any], cost: Cost | None) -> PlannedStage:
    """``stage`` at ``cost``, stored or not."""
    name = stage.served_by
    if cost is None:
        return PlannedStage(stage.name, name, False, stage.most_pieces, None, None, None)
    # and what this process takes: its timed steps took what a run's steps take
    memory = peak_memory_mb() + cost.memory / MIB
    sizes = (cost.seconds, memory, cost.disk / MIB)
    return PlannedStage(stage.name, name, False, stage.most_pieces, *sizes)
