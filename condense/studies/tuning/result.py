"""What tuning found: the typed contents of ``tune.json``, written and read through one model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from pydantic import BaseModel, Field, computed_field, model_validator
from typing_extensions import Self

from condense.engine.documents import Document
from condense.engine.stages.evaluation import EvaluationStage
from condense.reading import shown
from condense.recipe import Recipe
from condense.results import Evaluation
from condense.studies.tuning.settings import Settings
from condense.studies.validation import HeldOut

Values = tuple[float, ...]  # one a tuned option


def standard_error(values: Sequence[float]) -> float | None:
    """s / √n; None for a single value."""
    return None if len(values) < 2 else stdev(values) / math.sqrt(len(values))


class MeanAccuracy(Document):
    """A mean over seeds, 0–1, with its standard error; None for one seed."""

    mean: float
    standard_error: float | None
    n: int


class Place(Document):
    """What was measured for one value of every option.

    Attributes:
        values: of the options, in the order of the search's keys.
        accuracies: 0–1, one a seed; two places' figures of equal index are under the same seed.
    """

    values: Values
    accuracies: tuple[float, ...] = Field(min_length=1)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def accuracy(self) -> MeanAccuracy:
        """Over the seeds."""
        found = self.accuracies
        return MeanAccuracy(mean=fmean(found), standard_error=standard_error(found), n=len(found))

    @property
    def mean(self) -> float:
        """Of the accuracies."""
        return fmean(self.accuracies)


class OptionSearch(Document):
    """A search over one option, or over several jointly.

    Attributes:
        keys: what was searched.
        matched: whether sets were matched, or selections evaluated as they are.
        ranges: what each key could be.
        points: everything tried with short trainings, by value.
        finals: the best again, at full length.
        best: values of the one chosen: the highest mean, unless one of ``finals`` overtook it.
        plateau: values of a single key that ``best`` is not ahead of; None for several.
        stop: ``narrow`` (zoomed in to the end), ``noise`` (the values left cannot be told apart)
            or ``done`` (all trials made).
    """

    keys: tuple[str, ...]
    matched: bool
    ranges: tuple[tuple[float, float], ...]
    points: tuple[Place, ...]
    finals: tuple[Place, ...] = ()
    best: Values
    plateau: tuple[float, float] | None
    stop: str

    @model_validator(mode="after")
    def _values_fit(self) -> Self:
        count = len(self.keys)
        places = (*self.points, *self.finals)
        if not count or len(self.ranges) != count:
            raise ValueError(f"keys has {count} options, ranges {len(self.ranges)}; one each")
        if any(len(place.values) != count for place in places):
            raise ValueError("points and finals must have a value for every one of keys")
        if self.best not in [place.values for place in places]:
            raise ValueError(f"best is {shown(list(self.best))}, which is none of its points")
        return self

    @computed_field  # type: ignore[prop-decorator]
    @property
    def edge(self) -> str | None:
        """``"lowest"`` or ``"highest"`` if the first key's best lies at that end of its range."""
        ends = dict(zip(self.ranges[0], ("lowest", "highest"), strict=True))
        return ends.get(self.best[0])

    @property
    def top(self) -> Place:
        """The best place with its accuracies at full length, where these were measured."""
        return next(p for p in (*self.finals, *self.points) if p.values == self.best)

    @property
    def found(self) -> dict[str, float]:
        """The best value of every key."""
        return dict(zip(self.keys, self.best, strict=True))


class Spent(BaseModel):
    """What evaluations took, counted up as they are made.

    Attributes:
        trainings: networks trained to evaluate.
        steps: their optimiser steps.
        matchings: distilled sets made.
        seconds: of the trainings when they were made, found in the store or not; not in the file,
            which is free of the clock.
    """

    trainings: int = 0
    steps: int = 0
    matchings: int = 0
    seconds: float = Field(0.0, exclude=True)

    def count(self, stage: EvaluationStage, matched: bool) -> Evaluation:
        """The result of ``stage``, of a set that was ``matched`` or not, and what it took."""
        found = stage.result
        ways = len(stage.plan.augmentations)
        trainings, steps = found.n * ways, found.protocol.get("steps")
        self.matchings += matched
        self.trainings += trainings
        self.steps += trainings * steps if isinstance(steps, int) else 0
        self.seconds += found.seconds * ways
        return found


class TunedRecipe(Document):
    """One recipe tuned.

    Attributes:
        error: why there is no result.
        steps, whole_steps: optimiser steps of a training, as shortened and as in the recipe.
        stages: its search; none where it failed.
        cost: what it took.
    """

    values: dict[str, str] = Field({}, description="what `--over` set")
    error: str | None = None
    steps: int | None = None
    whole_steps: int | None = None
    stages: tuple[OptionSearch, ...] = ()
    cost: Spent = Spent()

    @model_validator(mode="after")
    def _has_a_result(self) -> Self:
        if not self.stages and self.error is None:
            raise ValueError("stages is empty although there is no error")
        return self

    @computed_field  # type: ignore[prop-decorator]
    @property
    def name(self) -> str:
        """``"scorer=el2n"``; empty without ``--over``."""
        return " ".join(f"{key}={value}" for key, value in self.values.items())

    @computed_field  # type: ignore[prop-decorator]
    @property
    def found(self) -> dict[str, float]:
        """The best value of every key."""
        return {key: value for search in self.stages for key, value in search.found.items()}

    @property
    def top(self) -> Place:
        """The best place of the last search, at full length where that was measured."""
        return self.stages[-1].top


class BestFound(Document):
    """The recipe that reached the highest mean: its name, values, best options and accuracy."""

    name: str
    values: dict[str, str]
    found: dict[str, float]
    accuracy: MeanAccuracy


class TuningDocument(Settings):
    """``tune.json``: the settings and what was found; free of the clock, accuracies in 0–1.

    Attributes:
        method, data, ipc, fraction, seed: of the recipe that is tuned.
        validation: what was held out.
        arms: one, or one a value of ``--over``.
        recipe: tuned, its trainings at full length.
    """

    method: str
    data: str
    ipc: int | None
    fraction: float | None
    seed: int
    validation: HeldOut
    arms: tuple[TunedRecipe, ...]
    recipe: dict[str, Any] | None = None

    @property
    def top(self) -> TunedRecipe | None:
        """The recipe whose search reached the highest mean; None if all failed."""
        done = [arm for arm in self.arms if arm.error is None]
        return max(done, key=lambda arm: arm.top.mean, default=None)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def best(self) -> BestFound | None:
        """What :attr:`top` found."""
        arm = self.top
        if arm is None:
            return None
        accuracy = arm.top.accuracy
        return BestFound(name=arm.name, values=arm.values, found=arm.found, accuracy=accuracy)

    @property
    def searches(self) -> list[tuple[TunedRecipe, OptionSearch]]:
        """Every search with the recipe that it is of."""
        return [(arm, search) for arm in self.arms for search in arm.stages]


@dataclass(frozen=True)
class Tuning:
    """Everything that was found.

    Attributes:
        document: for ``tune.json``.
        recipe: tuned; None if all failed.
        computed: stages not found in the store.
    """

    document: TuningDocument
    recipe: Recipe | None
    computed: int
