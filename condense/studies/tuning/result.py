"""What tuning found, as frozen dataclasses and as ``tune.json``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from condense.recipe import Recipe
from condense.studies.tuning.curve import Point, Shape
from condense.studies.tuning.objective import Cost
from condense.studies.tuning.settings import Settings

GRID = 10  # places of the grid that the cost is compared with
Values = tuple[float, ...]


@dataclass(frozen=True)
class Row:
    """One place: the value of every key, and the accuracy, 0-1, under every seed."""

    values: Values
    accuracies: tuple[float, ...]
    guess: float | None = None

    @property
    def point(self) -> Point:
        """The place on the curve of the first key."""
        return Point(self.values[0], self.accuracies)


@dataclass(frozen=True)
class Guessed:
    """The training-free curve.

    Attributes:
        curve: (value, accuracy 0-1).
        best: the value it is highest at.
        agreement: Spearman's ρ to the trained accuracies at the same values.
    """

    curve: tuple[tuple[float, float], ...]
    best: float
    agreement: float


@dataclass(frozen=True)
class Stage:
    """A search over one option, or over two jointly.

    Attributes:
        keys: what was searched.
        matched: whether sets were matched, or selections evaluated as they are.
        ranges: what each key could be.
        rows: by value.
        best: the one chosen: the highest mean, unless one of ``finals`` overtook it.
        plateau: values of a single key that ``best`` is not ahead of; None for two.
        shape: of the curve; None for two keys.
        stop: why it ended, see :class:`condense.studies.tuning.search.Search`.
        cost: what it took.
        guessed: the training-free curve, where there is one.
        finals: the best values again, at full length.
    """

    keys: tuple[str, ...]
    matched: bool
    ranges: tuple[tuple[float, float], ...]
    rows: tuple[Row, ...]
    best: Row
    plateau: tuple[float, float] | None
    shape: Shape | None
    stop: str
    cost: Cost
    guessed: Guessed | None = None
    finals: tuple[Row, ...] = ()

    @property
    def top(self) -> Row:
        """The best value with its accuracy at full length, where that was measured."""
        return next((row for row in self.finals if row.values == self.best.values), self.best)

    @property
    def edge(self) -> str | None:
        """``"lowest"`` or ``"highest"`` if the best lies at that end of the range."""
        ends = dict(zip(self.ranges[0], ("lowest", "highest"), strict=True))
        return ends.get(self.best.values[0])


@dataclass(frozen=True)
class Arm:
    """One recipe tuned.

    Attributes:
        name: ``"scorer=el2n"``; empty without ``--over``.
        values: what ``--over`` set.
        recipe: as it was.
        stages: in order.
        tuned: the recipe with the values found, its trainings at full length.
        steps, whole_steps: optimiser steps of a training, as shortened and as in the recipe.
        error: why there is no result.
    """

    name: str
    values: Mapping[str, str]
    recipe: Recipe | None
    stages: tuple[Stage, ...] = ()
    tuned: Recipe | None = None
    steps: int | None = None
    whole_steps: int | None = None
    error: str | None = None

    @property
    def found(self) -> dict[str, float]:
        """The best value of every key."""
        stages = (zip(s.keys, s.best.values, strict=True) for s in self.stages)
        return {key: value for stage in stages for key, value in stage}

    @property
    def top(self) -> Row:
        """The best place of the last search, at full length where that was measured."""
        return self.stages[-1].top

    @property
    def seconds(self) -> float:
        """Of all trainings when they were made."""
        return sum(stage.cost.seconds for stage in self.stages)

    @property
    def grid(self) -> dict[str, Any] | None:
        """What :data:`GRID` places of the first stage would take at full length.

        Under as many seeds as its best place had.
        """
        if not self.stages or self.stages[0].matched or not self.whole_steps:
            return None
        first = self.stages[0]
        rows = (*first.rows, *first.finals)
        each = first.cost.trainings / sum(len(row.accuracies) for row in rows)
        trainings = round(GRID * len(first.best.accuracies) * each)
        steps = trainings * self.whole_steps
        return {"places": GRID, "trainings": trainings, "steps": steps}


@dataclass(frozen=True)
class Tuning:
    """Everything that was found.

    Attributes:
        base: the recipe that is tuned.
        settings: how.
        data: name of the data set.
        samples: of the part condensed and of the validation part.
        arms: one, or one a value of ``--over``.
        computed: stages not found in the store.
    """

    base: Recipe
    settings: Settings
    data: str
    samples: tuple[int, int]
    arms: tuple[Arm, ...] = ()
    computed: int = 0

    @property
    def best(self) -> Arm | None:
        """The arm whose last search reached the highest mean; None if all failed."""
        done = [arm for arm in self.arms if arm.error is None]
        return max(done, key=lambda arm: arm.top.point.mean, default=None)

    def to_json(self) -> dict[str, Any]:
        """``tune.json``: free of the clock; accuracies in 0-1."""
        settings, budget, best = self.settings, self.base.budget, self.best
        return {
            "method": self.base.method,
            "data": self.data,
            "ipc": budget.ipc,
            "fraction": budget.fraction,
            "seed": self.base.seed,
            "key": settings.key,
            "also": settings.also,
            "design": "grid" if settings.grid is not None else settings.sampler,
            "scan": settings.scan,
            "finals": settings.finals,
            "seeds": settings.seeds,
            "max_seeds": settings.most,
            "repeats": settings.repeats,
            "validation": {
                "share": settings.validation,
                "fit": self.samples[0],
                "held_out": self.samples[1],
            },
            "arms": [_arm_json(arm) for arm in self.arms],
            "best": None
            if best is None
            else {
                "name": best.name,
                "values": dict(best.values),
                "found": best.found,
                "accuracy": _accuracy(best.top),
            },
            "recipe": None if best is None or best.tuned is None else best.tuned.to_dict(),
        }


def _arm_json(arm: Arm) -> dict[str, Any]:
    return {
        "name": arm.name,
        "values": dict(arm.values),
        "error": arm.error,
        "steps": arm.steps,
        "whole_steps": arm.whole_steps,
        "found": arm.found,
        "stages": [_stage_json(stage) for stage in arm.stages],
        "cost": {
            "trainings": sum(s.cost.trainings for s in arm.stages),
            "steps": sum(s.cost.steps for s in arm.stages),
            "matchings": sum(s.cost.matchings for s in arm.stages),
            "grid": arm.grid,
        },
    }


def _stage_json(stage: Stage) -> dict[str, Any]:
    shape, guessed = stage.shape, stage.guessed
    return {
        "keys": list(stage.keys),
        "matched": stage.matched,
        "ranges": [list(ends) for ends in stage.ranges],
        "points": [
            {
                "values": list(row.values),
                "accuracy": _accuracy(row),
                "accuracies": list(row.accuracies),
                "guess": row.guess,
            }
            for row in stage.rows
        ],
        "finals": [
            {
                "values": list(row.values),
                "accuracy": _accuracy(row),
                "accuracies": list(row.accuracies),
            }
            for row in stage.finals
        ],
        "best": list(stage.best.values),
        "plateau": None if stage.plateau is None else list(stage.plateau),
        "edge": stage.edge,
        "stop": stage.stop,
        "shape": None
        if shape is None
        else {"verdict": shape.verdict, "dents": list(shape.dents), "triples": shape.triples},
        "guess": None
        if guessed is None
        else {
            "curve": [list(pair) for pair in guessed.curve],
            "best": guessed.best,
            "rank_agreement": guessed.agreement,
        },
        "trainings": stage.cost.trainings,
        "steps": stage.cost.steps,
        "matchings": stage.cost.matchings,
    }


def _accuracy(row: Row) -> dict[str, Any]:
    point = row.point
    return {"mean": point.mean, "standard_error": point.standard_error, "n": len(point.values)}
