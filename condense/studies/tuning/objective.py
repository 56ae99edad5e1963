"""What tuning maximises: accuracy on a validation part, of selections alone or of whole runs."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic.fields import FieldInfo
from torch import Tensor

from condense.capabilities import CountsSteps
from condense.data import LabeledData
from condense.engine.arms import selection_plan
from condense.engine.checked import run_selector
from condense.engine.graph import all_within
from condense.engine.ingest.holdout import HeldOutOf
from condense.engine.jobs.driver import Crew, Target
from condense.engine.jobs.extra import Extra
from condense.engine.pipeline import Pipeline
from condense.engine.stages.evaluation import EvaluationStage
from condense.engine.stages.stage import Stage
from condense.errors import CondenseError, OptionError, closest
from condense.kinds import STAGES
from condense.options import assignments_of, is_real, limits
from condense.plugin.host import Host
from condense.recipe import Recipe
from condense.resolve import Request, resolve
from condense.studies.binding import Bind
from condense.studies.tuning.result import Spent, Values

STEP = 0.001  # to which the end of a range is known
INSIDE = {"ge": 0.0, "gt": STEP, "le": 0.0, "lt": -STEP}  # an excluded bound is moved inside


@dataclass(frozen=True)
class Objective:
    """Accuracy of a recipe on a validation part, as a function of some of its options.

    Scores and experts are made once, with the recipe's seed; seed number i of the rest is i more.

    Attributes:
        bind: makes a pipeline.
        host: what components are looked up in.
        recipe: what is evaluated, its trainings shortened already.
        data: the part to condense, the validation part in its test split's place.
        keys: of the options, ``STAGE.OPTION``.
        matched: whether sets are matched, or selections evaluated as they are.
        spent: counts what evaluations take.
        crew: works stages off elsewhere before they are asked for; None works them off here.
        held_out: of what the data are a part.
    """

    bind: Bind
    host: Host
    recipe: Recipe
    data: LabeledData
    keys: Sequence[str]
    matched: bool
    spent: Spent
    crew: Crew | None = None
    held_out: HeldOutOf | None = None

    def pipeline(self, values: Values, number: int = 0) -> Pipeline:
        """The stages with ``values`` of the options under seed ``number``."""
        named = dict(zip(self.keys, values, strict=True))
        recipe = with_options(self.host, self.recipe, named)
        seeded = replace(recipe, seed=recipe.seed + number)
        return self.bind(seeded, shared_seed=recipe.seed, data=self.data)

    def __call__(self, values: Values, number: int) -> float:
        """Accuracy, 0–1, at ``values`` under seed ``number``."""
        stage = self.evaluating(self.pipeline(values, number))
        return self.spent.count(stage, self.matched).mean

    def evaluating(self, pipeline: Pipeline) -> EvaluationStage:
        """The last of the stages of ``pipeline``."""
        if self.matched:
            return pipeline.evaluating
        return EvaluationStage(pipeline, selection_plan(pipeline.selecting), [pipeline.selecting])

    def stages(self, values: Values, number: int = 0) -> list[Stage[Any]]:
        """All that an evaluation at ``values`` under seed ``number`` comes to."""
        return self._stages_of(self.pipeline(values, number))

    def prepare(self, pairs: Sequence[tuple[Values, int]]) -> None:
        """Have the crew store all that evaluations at ``pairs`` of values and seeds come to.

        Raises:
            CondenseError: for the first thing that goes wrong.
        """
        if self.crew is None:
            return
        pipelines = [self.pipeline(*pair) for pair in pairs]
        extra = Extra(selection=not self.matched)
        self.crew.work_all_off(
            *(Target(p, self._stages_of(p), self.held_out, extra) for p in pipelines)
        )

    def prepare_scores(self, values: Values) -> None:
        """Have the crew store the scores, which are asked for before anything is evaluated."""
        pipeline = self.pipeline(values)
        if self.crew is not None and pipeline.scoring.needed:
            self.crew.work_all_off(Target(pipeline, [pipeline.scoring], self.held_out))

    def _stages_of(self, pipeline: Pipeline) -> list[Stage[Any]]:
        last = self.evaluating(pipeline)
        matched = [pipeline.matching, pipeline.reselecting] if self.matched else []
        return all_within([pipeline.scoring, pipeline.selecting, *matched, pipeline.teaching, last])

    def select(self, values: Values) -> Tensor:
        """int64 [M] of the samples that are selected with ``values``; nothing is stored.

        Raises:
            CondenseError: if the selector cannot.
        """
        pipeline = self.pipeline(values)
        selector = pipeline.recipe["selector"].create()
        budget, rng = pipeline.recipe.budget, pipeline.rng("selector")
        scores, context = pipeline.selecting.scores, pipeline.context
        return run_selector(selector, self.data, scores, budget, context, rng).indices

    def range_of(self, asked: tuple[float, float] | None = None) -> tuple[float, float]:
        """The values of the only option that it may have and a selection can be made with.

        Args:
            asked: ends to use instead of the option's own.

        Raises:
            OptionError: as :func:`declared_range`; an option without bounds can be asked for.
            CondenseError: if there is no selection at an end that was asked for, or at the lowest.
        """
        (key,) = self.keys
        low, high = declared_range(self.recipe, key) if asked is None else asked
        self.select((low,))
        if asked is not None:
            self.select((high,))
        if self._can_select(high):
            return low, high
        steps = range(round(low / STEP), round(high / STEP))
        first = bisect(steps, False, key=lambda n: not self._can_select(round(n * STEP, 3)))
        return low, round(steps[first - 1] * STEP, 3)

    def _can_select(self, value: float) -> bool:
        try:
            self.select((value,))
        except CondenseError:
            return False
        return True


def with_options(host: Host, recipe: Recipe, values: Mapping[str, Any]) -> Recipe:
    """``recipe`` with the options ``values``, by dotted key."""
    if not values:
        return recipe
    assignments = assignments_of(values)
    return resolve(host, Request(recipe=recipe.to_dict(), assignments=assignments))


def real_option(recipe: Recipe, key: str) -> FieldInfo:
    """The field of the real-valued option ``key``, ``STAGE.OPTION``.

    Raises:
        OptionError: for an option that is unknown or not a real number.
    """
    stage, _, name = key.partition(".")
    if stage not in STAGES or not name:
        stages = ", ".join(STAGES)
        raise OptionError(f"key '{key}' is no STAGE.OPTION; stages are {stages}")
    fields = type(recipe[stage].options).model_fields
    real = [name for name, field in fields.items() if is_real(field)]
    if name not in real:
        raise OptionError(
            f"{stage} '{recipe[stage].name}' has no real-valued option {name}"
            f"{closest(name, real)}; choose another {stage} or option "
            f"(real-valued: {', '.join(real) or 'none'})"
        )
    return fields[name]


def option_value(recipe: Recipe, key: str) -> float:
    """Of the real-valued option ``key``, ``STAGE.OPTION``.

    Raises:
        OptionError: where it is no number now, or as :func:`real_option` does.
    """
    real_option(recipe, key)
    stage, _, name = key.partition(".")
    value = recipe[stage].table[name]
    if isinstance(value, str):
        raise OptionError(
            f"{key} is {value}, no number that a search could start from; give one, `{key}=1`"
        )
    return float(value)


def declared_range(recipe: Recipe, key: str) -> tuple[float, float]:
    """The bounds of the real-valued option ``key``, an excluded one moved inside by 0.001.

    Raises:
        OptionError: for an option without bounds, or as :func:`real_option` does.
    """
    declared = limits(real_option(recipe, key))
    ends = {name[0]: float(edge) + INSIDE[name] for name, edge in declared.items()}
    if len(ends) < 2:
        raise OptionError(f"{key} has no bounds of its own; give `range=LOW,HIGH`")
    return ends["g"], ends["l"]


def training_steps(recipe: Recipe, size: int) -> int | None:
    """Optimiser steps of one training on ``size`` samples; None if the evaluator does not say."""
    evaluator = recipe["evaluator"].create()
    return evaluator.steps(size) if isinstance(evaluator, CountsSteps) else None


def shortened(host: Host, recipe: Recipe, size: int, share: float, repeats: int) -> Recipe:
    """``recipe`` with fewer evaluation steps, and as many fewer matching iterations.

    Args:
        host: what components are looked up in.
        recipe: whose evaluator has options ``steps`` and ``repeats``, and matcher ``iterations``;
            those that are missing are left as they are.
        size: samples trained on.
        share: of steps and iterations that is kept, in (0, 1].
        repeats: networks a seed.

    Raises:
        OptionError: if the evaluator's trainings cannot be shortened.
    """
    fields = type(recipe["evaluator"].options).model_fields
    lengths = {
        "evaluator.steps": training_steps(recipe, size) if "steps" in fields else None,
        "matcher.iterations": recipe["matcher"].table.get("iterations"),
    }
    if share < 1 and lengths["evaluator.steps"] is None:
        raise OptionError(
            f"evaluator '{recipe['evaluator'].name}' has no option steps, so its trainings cannot "
            "be shortened; give `share=1`"
        )
    options = {key: max(1, round(share * n)) for key, n in lengths.items() if n is not None}
    if "repeats" in fields:
        options["evaluator.repeats"] = repeats
    return with_options(host, recipe, options)
