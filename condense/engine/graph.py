"""Which stages a recipe has, in order, which are stored, and what the others would take."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import methodcaller
from typing import Any

from condense.engine.evaluation import RANDOM, WHOLE, random_plan, whole_plan
from condense.engine.feature_space.network import FeatureNetworks, features_cost
from condense.engine.pipeline import Pipeline
from condense.engine.runtime.memory import peak_memory_mb
from condense.engine.stages.evaluation import EvaluationStage, TeachingStage
from condense.engine.stages.matching import MatchingStage, PreparationStage
from condense.engine.stages.reselection import ReselectionStage
from condense.engine.stages.scores import ScoresStage
from condense.engine.stages.selection import SelectionStage
from condense.engine.stages.stage import Piece, Stage
from condense.errors import CondenseError
from condense.interfaces import Cost, LabeledData
from condense.recipe import Recipe

MIB = 2**20
FEATURES = "features"
# names of stages that the evaluator serves
ARMS = (TeachingStage.name, EvaluationStage.component, RANDOM, WHOLE)
_MAKING = (ScoresStage, SelectionStage, PreparationStage, MatchingStage, ReselectionStage)
# stage by the name its time is recorded under → stage of the recipe whose component serves it
SERVED_BY = {
    **{stage.name: stage.component for stage in _MAKING},
    **dict.fromkeys(ARMS, EvaluationStage.component),
}


def stages(pipeline: Pipeline, baselines: bool) -> list[Stage[Any]]:
    """The stages that a run has, in the order in which it comes to them.

    No scorer where nobody looks at scores, no experts and no matching where nothing is
    distilled and no label learned, no evaluation without a test split.

    Args:
        pipeline: a bound recipe; its data are loaded, and nothing is computed.
        baselines: whether random subsets and the whole training split are evaluated as well.
    """
    p = pipeline
    found: list[Stage[Any]] = [p.scoring, p.selecting, p.matching]
    found += [p.reselecting, p.teaching, *evaluations(p, baselines)]
    return all_within(found)


def all_within(found: Sequence[Stage[Any]]) -> list[Stage[Any]]:
    """Those of ``found`` that are needed, each after the stages that run inside it."""
    return [inner for stage in found for inner in (*stage.within, stage) if inner.needed]


def evaluations(pipeline: Pipeline, baselines: bool) -> list[EvaluationStage]:
    """The arms: the condensed set, and what it is compared with; none without a test split."""
    plans = [random_plan(pipeline), whole_plan(pipeline)] if baselines else []
    found = [pipeline.evaluating, *(EvaluationStage(pipeline, plan) for plan in plans)]
    return [stage for stage in found if stage.needed]


def pieces(pipeline: Pipeline, baselines: bool) -> list[Piece]:
    """The independent pieces of all work whose inputs are stored, in order.

    Those of a stage that needs another one, which is not stored yet, are not known before that.
    """
    found = [s for s in stages(pipeline, baselines) if all(need.stored for need in s.needs)]
    return [piece for stage in found for piece in stage.pieces()]


def run_piece(pipeline: Pipeline, piece: Piece) -> None:
    """Leave ``piece`` of another process's pipeline of the same recipe in this one's store.

    Raises:
        CondenseError: if this recipe has no such piece, as after a change of versions or data.
    """
    # scores may be asked for by themselves, though no selector of the recipe looks at them
    for stage in (pipeline.scoring, *stages(pipeline, baselines=True)):
        if stage.name == piece.stage and piece in stage.pieces():
            stage.run_piece(piece.number)
            return
    raise CondenseError(
        f"piece {piece.number} of stage {piece.stage} is none of this recipe here; are versions "
        "and data the same in both places?"
    )


@dataclass(frozen=True)
class PlannedStage:
    """One stage: what would serve it, and its estimated cost unless it is cached.

    None where the component does not say what it takes.
    """

    stage: str
    component: str
    cached: bool
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
    pipeline.recipe.budget.counts(pipeline.data)
    return plan_of(pipeline.recipe, stages(pipeline, baselines))


def plan_of(recipe: Recipe, found: Sequence[Stage[Any]], more: Sequence[PlannedStage] = ()) -> Plan:
    """The plan of the stages ``found`` of ``recipe``, and of ``more`` after them."""
    return Plan([*map(planned, found), *more], recipe.to_dict())


def plan_of_features(networks: FeatureNetworks, data: LabeledData) -> PlannedStage:
    """The networks of a feature space, which are no stage of a recipe, trained on ``data``."""
    name = networks.options.feature_network.component
    if networks.stored:
        return PlannedStage(FEATURES, name, True, 0.0, 0.0, 0.0)
    return _priced(FEATURES, name, features_cost(data, networks.context, networks.options))


def seconds_of(stage: Stage[Any]) -> list[float | None]:
    """Estimated seconds of the tasks that ``stage`` comes to, None where that is unknown.

    For the time left of a run, which is none of its results: what goes wrong here is unknown too.
    """
    found: list[float | None] = []
    for one in (*stage.within, stage):
        try:
            found += parts_of(one, planned(one).seconds) if one.needed else []
        except Exception:  # noqa: BLE001 – the stage itself will say what is wrong
            found.append(None)
    return found


def parts_of(stage: Stage[Any], seconds: float | None) -> list[float | None]:
    """``seconds`` of ``stage`` shared out among its tasks; of one that is stored, nothing."""
    if not seconds:
        return [None] if seconds is None else []
    return [seconds / stage.tasks] * stage.tasks


def planned(
    stage: Stage[Any], estimate: Callable[[Stage[Any]], Cost | None] = methodcaller("cost")
) -> PlannedStage:
    """What ``stage`` would take, as ``estimate`` says unless it is stored."""
    if not stage.stored:
        return priced(stage, estimate(stage))
    name = stage.bound.recipe[stage.component].name
    return PlannedStage(stage.name, name, True, 0.0, 0.0, 0.0)


def priced(stage: Stage[Any], cost: Cost | None) -> PlannedStage:
    """``stage`` at ``cost``, stored or not."""
    return _priced(stage.name, stage.bound.recipe[stage.component].name, cost)


def _priced(stage: str, component: str, cost: Cost | None) -> PlannedStage:
    if cost is None:
        return PlannedStage(stage, component, False, None, None, None)
    # and what this process takes: its timed steps took what a run's steps take
    memory = peak_memory_mb() + cost.memory / MIB
    return PlannedStage(stage, component, False, cost.seconds, memory, cost.disk / MIB)
