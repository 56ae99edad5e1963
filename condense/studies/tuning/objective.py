"""What tuning maximises: accuracy on a validation part, of selections alone or of whole runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from pydantic.fields import FieldInfo
from torch import Tensor

from condense.data import LabeledData, TrainingSet, content_digest
from condense.engine.checked import run_selector
from condense.engine.evaluation import EvaluationPlan, condensed_plan, evaluate, own_augmentations
from condense.engine.pipeline import Pipeline
from condense.errors import CondenseError, OptionError, closest
from condense.kinds import STAGES
from condense.plugin.host import Host
from condense.recipe import Recipe
from condense.resolve import Request, resolve
from condense.results import Arm, Scores
from condense.studies.ablation.run import Bind

PLACES = 3  # decimals of a tuned option
STEP = 0.001


@dataclass
class Cost:
    """What evaluations took.

    Attributes:
        trainings: networks trained to evaluate.
        steps: their optimiser steps.
        seconds: of these trainings when they were made, found in the store or not.
        matchings: distilled sets made.
    """

    trainings: int = 0
    steps: int = 0
    seconds: float = 0.0
    matchings: int = 0

    def plus(self, other: Cost) -> Cost:
        """Both together."""
        return Cost(
            self.trainings + other.trainings,
            self.steps + other.steps,
            self.seconds + other.seconds,
            self.matchings + other.matchings,
        )


class Objective:
    """Accuracy of a recipe on a validation part, as a function of some of its options.

    Scores and experts are made once, with the recipe's seed; seed number i of the rest is i more.

    Args:
        bind: makes a pipeline.
        host: what components are looked up in.
        recipe: what is evaluated, its trainings shortened already.
        data: the part to condense, the validation part in its test split's place.
    """

    def __init__(self, bind: Bind, host: Host, recipe: Recipe, data: LabeledData) -> None:
        self.bind, self.host, self.recipe, self.data = bind, host, recipe, data
        self.cost = Cost()
        self._kept: dict[str, Scores] = {}

    def pipeline(self, values: Mapping[str, float], number: int = 0) -> Pipeline:
        """The stages with the options ``values`` (by key) under seed ``number``."""
        recipe = with_options(self.host, self.recipe, values)
        seeded = replace(recipe, seed=recipe.seed + number)
        return self.bind(seeded, shared_seed=recipe.seed, data=self.data)

    def selected(self, values: Mapping[str, float], number: int) -> float:
        """Accuracy, 0-1, of the selection alone: nothing is matched."""
        pipeline = self.pipeline(values, number)
        return self._evaluate(pipeline, selection_plan(pipeline))

    def matched(self, values: Mapping[str, float], number: int) -> float:
        """Accuracy, 0-1, of the condensed set."""
        pipeline = self.pipeline(values, number)
        self.cost.matchings += 1
        return self._evaluate(pipeline, condensed_plan(pipeline, pipeline.condensed))

    def _evaluate(self, pipeline: Pipeline, trial: EvaluationPlan) -> float:
        found = evaluate(pipeline, trial)
        ways = len(trial.augmentations)
        steps = found.protocol.get("steps", 0)
        self.cost.trainings += found.n * ways
        self.cost.steps += found.n * ways * (steps if isinstance(steps, int) else 0)
        self.cost.seconds += found.seconds * ways
        return found.mean

    def select(self, values: Mapping[str, float]) -> Tensor:
        """int64 [M] of the samples that are selected with ``values``; nothing is stored.

        Raises:
            CondenseError: if the selector cannot.
        """
        pipeline = self.pipeline(values)
        scores = self._scores(pipeline) if pipeline.needs_scores else None
        selector = pipeline.recipe["selector"].create()
        budget, rng = pipeline.recipe.budget, pipeline.rng("selector")
        return run_selector(selector, self.data, scores, budget, rng).indices

    def _scores(self, pipeline: Pipeline) -> Scores:
        """The scores, read once for all selections with the same scorer."""
        key = str(pipeline.recipe["scorer"].identity)
        if key not in self._kept:
            self._kept[key] = pipeline.scores
        return self._kept[key]

    def range_of(self, key: str, asked: tuple[float, float] | None = None) -> tuple[float, float]:
        """The values of option ``key`` that it may have and that a selection can be made with.

        Args:
            key: ``STAGE.OPTION``.
            asked: ends to use instead of the option's own.

        Raises:
            OptionError: as :func:`declared_range`; an option without bounds can be asked for.
            CondenseError: if there is no selection at an end that was asked for, or at the lowest.
        """
        real_option(self.recipe, key)
        low, high = declared_range(self.recipe, key) if asked is None else asked
        self.select({key: low})
        if asked is not None:
            self.select({key: high})
        return low, self._highest(key, low, high)

    def _highest(self, key: str, low: float, high: float) -> float:
        """The highest value, to :data:`PLACES` decimals, at which a selection can be made."""
        if self._can_select({key: high}):
            return high
        good, bad = round(low / STEP), round(high / STEP)
        while bad - good > 1:
            middle = (good + bad) // 2
            if self._can_select({key: round(middle * STEP, PLACES)}):
                good = middle
            else:
                bad = middle
        return float(round(good * STEP, PLACES))

    def _can_select(self, values: Mapping[str, float]) -> bool:
        try:
            self.select(values)
        except CondenseError:
            return False
        return True


def selection_plan(pipeline: Pipeline) -> EvaluationPlan:
    """The selected samples as they are, under one augmentation.

    The recipe's, unless that goes by role: then the last of those that the evaluator tries on
    real samples.
    """
    chosen = pipeline.data.subset(pipeline.selection.indices)
    training = TrainingSet.of(chosen)
    content = {
        "selected": content_digest(pipeline.selection.indices),
        "of": pipeline.data.fingerprint,
    }
    return EvaluationPlan(
        "evaluator",
        Arm("selection", lambda repeat: training, len(training)),
        content,
        own_augmentations(pipeline, matched=False)[-1:],
    )


def with_options(host: Host, recipe: Recipe, values: Mapping[str, Any]) -> Recipe:
    """``recipe`` with the options ``values``, by dotted key."""
    if not values:
        return recipe
    assignments = tuple((tuple(key.split(".")), value) for key, value in values.items())
    return resolve(host, Request(recipe=recipe.to_dict(), assignments=assignments))


def real_option(recipe: Recipe, key: str) -> FieldInfo:
    """The field of the real-valued option ``key``, ``STAGE.OPTION``.

    Raises:
        OptionError: for an option that is unknown or not a real number.
    """
    stage, _, name = key.partition(".")
    if stage not in STAGES or not name or "." in name:
        raise OptionError(
            f"{key} is no STAGE.OPTION, for example selector.beta (stages: {', '.join(STAGES)})"
        )
    fields = type(recipe[stage].options).model_fields
    if name not in fields:
        known = f" (options: {', '.join(fields)})" if fields else ""
        raise OptionError(
            f"{stage} '{recipe[stage].name}' has no option {name}{closest(name, fields)}, so it "
            f"cannot be tuned; choose another {stage} or another option{known}"
        )
    if fields[name].annotation is not float:
        raise OptionError(f"{key} is not a real number; tune another option")
    return fields[name]


def declared_range(recipe: Recipe, key: str) -> tuple[float, float]:
    """The bounds of the real-valued option ``key``, an excluded one moved inside by 0.001.

    Raises:
        OptionError: for an option without bounds, or as :func:`real_option` does.
    """
    rules = real_option(recipe, key).metadata
    low = _bound(rules, "ge", "gt", STEP)
    high = _bound(rules, "le", "lt", -STEP)
    if low is None or high is None:
        raise OptionError(f"{key} has no bounds of its own; give --range LOW,HIGH")
    return low, high


def _bound(rules: Sequence[object], inclusive: str, exclusive: str, inside: float) -> float | None:
    for rule in rules:
        for name, moved in ((inclusive, 0.0), (exclusive, inside)):
            value = getattr(rule, name, None)
            if value is not None:
                return float(value) + moved
    return None


def training_steps(recipe: Recipe, size: int) -> int | None:
    """Optimiser steps of one training on ``size`` samples; None if the evaluator does not say."""
    steps = getattr(recipe["evaluator"].create(), "steps", None)
    return cast(int, steps(size)) if callable(steps) else None


def shortened(
    host: Host, recipe: Recipe, size: int, share: float, steps: int | None, repeats: int
) -> Recipe:
    """``recipe`` with fewer evaluation steps, and as many fewer matching iterations.

    Args:
        host: what components are looked up in.
        recipe: whose evaluator has options ``steps`` and ``repeats``, and matcher ``iterations``;
            those that are missing are left as they are.
        size: samples trained on.
        share: of steps and iterations that is kept, in (0, 1].
        steps: evaluation steps instead of that share of them.
        repeats: networks a seed.

    Raises:
        OptionError: if the evaluator's trainings cannot be shortened.
    """
    evaluator, matcher = recipe["evaluator"], recipe["matcher"]
    options: dict[str, Any] = {}
    whole = training_steps(recipe, size)
    if "steps" in type(evaluator.options).model_fields and whole is not None:
        options["evaluator.steps"] = steps or max(1, round(share * whole))
    elif share < 1 or steps is not None:
        raise OptionError(
            f"evaluator '{evaluator.name}' has no option steps, so its trainings cannot be "
            "shortened; give --share 1 and no --steps"
        )
    if "repeats" in type(evaluator.options).model_fields:
        options["evaluator.repeats"] = repeats
    iterations = getattr(matcher.options, "iterations", None)
    if isinstance(iterations, int) and share < 1:
        options["matcher.iterations"] = max(1, round(share * iterations))
    return with_options(host, recipe, options)
