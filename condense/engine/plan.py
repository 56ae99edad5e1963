"""``--dry-run``: what a run would do, what is cached, and what the rest would cost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from condense.capabilities import EstimatesCost, EstimatesPreparation
from condense.engine.evaluation import (
    EvaluationPlan,
    baseline_plans,
    condensed_plan,
    own_augmentations,
)
from condense.engine.pipeline import Pipeline
from condense.engine.runtime.memory import peak_memory_mb
from condense.interfaces import Cost, Matcher

MIB = 2**20


@dataclass(frozen=True)
class PlannedStage:
    """One stage: what would serve it, and its estimated cost unless it is cached."""

    stage: str
    component: str
    cached: bool
    seconds: float
    memory_mb: float
    disk_mb: float


@dataclass(frozen=True)
class Plan:
    """All stages of a run with their totals."""

    stages: list[PlannedStage]
    recipe: dict[str, Any]

    @property
    def seconds(self) -> float:
        """Of all stages."""
        return sum(s.seconds for s in self.stages)

    @property
    def memory_mb(self) -> float:
        """Of the stage that takes most."""
        """The largest stage; they run one after another."""
        return max((s.memory_mb for s in self.stages), default=0.0)

    @property
    def disk_mb(self) -> float:
        """Of all stages."""
        return sum(s.disk_mb for s in self.stages)

    def to_json(self) -> dict[str, Any]:
        """The document of ``run --dry-run --json``."""
        return {
            "dry_run": True,
            "stages": [vars(s) for s in self.stages],
            "seconds": self.seconds,
            "memory_mb": self.memory_mb,
            "disk_mb": self.disk_mb,
            "recipe": self.recipe,
        }


def plan(pipeline: Pipeline, baselines: bool) -> Plan:
    """The stages of ``pipeline`` with estimates from a few timed steps; nothing is stored.

    A stage is looked up only if all before it are cached, since its key depends on their results.

    Raises:
        CondenseError: for what a run would refuse before it starts.
    """
    pipeline.recipe.budget.counts(pipeline.data)
    planner = _Planner(pipeline)
    planner.scorer()
    planner.selector()
    planner.matcher()
    if pipeline.data.test is not None:
        planner.arms(baselines)
    return Plan(planner.stages, pipeline.recipe.to_dict())


class _Planner:
    """Walks the stages; ``known`` stays true while everything so far is in the store."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline
        self.stages: list[PlannedStage] = []
        self.known = True
        self.distils = False
        self.samples = sum(pipeline.recipe.budget.counts(pipeline.data))

    def scorer(self) -> None:
        p = self.pipeline
        if p.needs_scores:
            cached = p.store.has("scores", p.scores_key())
            self._add("scorer", cached, lambda: self._cost("scorer"))

    def selector(self) -> None:
        p = self.pipeline
        cached = self.known and p.store.has("selections", p.selection_key())
        self._add("selector", cached, Cost)

    def matcher(self) -> None:
        p = self.pipeline
        matcher: Matcher = p.recipe["matcher"].create()
        if matcher.plan.iterations == 0:
            return
        self.distils = True
        cached = self.known and p.store.has("matching", p.matching_key())
        self._prepare(matcher, cached)
        self._add("matcher", cached, lambda: self._cost("matcher"))

    def _prepare(self, matcher: Matcher, matched: bool) -> None:
        """A row of its own: it is shared by all matchings on the data, and outlives them."""
        p = self.pipeline
        cost, cached = Cost(), matched
        if not matched and isinstance(matcher, EstimatesPreparation):
            cost = matcher.prepare_cost(p.data, p.context, p.rng("prepare"))
            cached = cost.seconds == 0
        self._append("prepare", "matcher", cached, cost if cached else self._grown(cost))

    def arms(self, baselines: bool) -> None:
        p = self.pipeline
        trials: list[tuple[str, EvaluationPlan | None]] = [("evaluator", None)]
        if self.known:
            trials = [("evaluator", condensed_plan(p, p.condensed))]
        if baselines:
            trials += [(trial.stage, trial) for trial in baseline_plans(p)]
        one: Cost | None = None
        for stage, trial in trials:
            if trial is not None and all(p.store.has("evaluations", k) for k in trial.keys(p)):
                self._append(stage, "evaluator", True, Cost())
                continue
            one = one or self._cost("evaluator")
            tries = len(trial.augmentations if trial else own_augmentations(p, self.distils))
            self._append(stage, "evaluator", False, replace(one, seconds=one.seconds * tries))

    def _add(self, stage: str, cached: bool, cost: Callable[[], Cost]) -> None:
        self.known = self.known and cached
        self._append(stage, stage, cached, Cost() if cached else cost())

    def _append(self, label: str, stage: str, cached: bool, cost: Cost) -> None:
        name = self.pipeline.recipe[stage].name
        self.stages.append(
            PlannedStage(label, name, cached, cost.seconds, cost.memory / MIB, cost.disk / MIB)
        )

    def _cost(self, stage: str) -> Cost:
        """The component's own estimate from a few timed steps; without one it counts as free."""
        component = self.pipeline.recipe[stage].create()
        if not isinstance(component, EstimatesCost):
            return Cost()
        p = self.pipeline
        return self._grown(component.cost(p.data, self.samples, p.context))

    @staticmethod
    def _grown(cost: Cost) -> Cost:
        """``cost`` and what this process takes: its timed steps took what a run's steps take."""
        return replace(cost, memory=int(peak_memory_mb() * MIB) + cost.memory)
