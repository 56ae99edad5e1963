"""Running a study: every cell under every seed, on shared scores and experts, compared in pairs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from condense.data import LabeledData
from condense.engine.ingest.holdout import validation_part
from condense.engine.pipeline import Pipeline
from condense.errors import CondenseError
from condense.interfaces import Progress
from condense.recipe import Recipe
from condense.studies.ablation.design import Cell, Study
from condense.studies.documents import (
    AblationDocument,
    CellOutcome,
    FactorVaried,
    HeldOutPart,
    Interval,
    MainEffect,
)
from condense.studies.statistics import Estimate, difference, estimate, main_effect
from condense.traits import EvaluatorTraits, traits_of

Bind = Callable[..., Pipeline]  # (recipe, *, shared_seed, data) → the stages of that recipe


@dataclass(frozen=True)
class Row:
    """A cell with what was measured.

    Attributes:
        cell: which.
        accuracies: 0–1, the mean over the evaluator's repeats, one a seed; None where it failed
            or has not run yet.
        errors: what went wrong, by seed.
    """

    cell: Cell
    accuracies: tuple[float | None, ...]
    errors: Mapping[int, str] = field(default_factory=dict)

    @property
    def values(self) -> list[float]:
        """The accuracies that are there."""
        return [a for a in self.accuracies if a is not None]

    @property
    def mean(self) -> Estimate | None:
        """Mean over seeds with its interval; None if no seed succeeded."""
        return estimate(self.values)

    @property
    def error(self) -> str | None:
        """The first thing that went wrong."""
        return next(iter(self.errors.values()), None)


@dataclass(frozen=True)
class Effect:
    """What one value of a factor does on average over the grid.

    Attributes:
        key, value: as in ``--vary``.
        effect: mean over the cells that have it minus mean over all; None if none is complete, or
            no complete cell has another value to compare with.
        cells: how many complete cells have it.
    """

    key: str
    value: str
    effect: Estimate | None
    cells: int


@dataclass(frozen=True)
class Ablation:
    """What a study measured.

    Attributes:
        study: what was to be done.
        data: name of the data set of the base.
        rows: one a cell, in the order of the study.
        samples: of the part that is condensed and of the one it is tested on.
        runs, computed: cells × seeds that were run, and those that gave a figure but were not
            wholly found in the store.
    """

    study: Study
    data: str
    rows: tuple[Row, ...]
    samples: tuple[int, int] = (0, 0)
    runs: int = 0
    computed: int = 0

    @property
    def base(self) -> Row:
        """The row that the others are compared with."""
        return next(row for row in self.rows if row.cell.is_base)

    @property
    def measure(self) -> str:
        """What the figures are, by the evaluator of the base: ``accuracy`` as a rule."""
        return traits_of(self.study.base["evaluator"].cls, EvaluatorTraits).measure

    @property
    def held_out(self) -> HeldOutPart | None:
        """The held-out part that stands in the test split's place; None on the test split."""
        if self.study.validation is None:
            return None
        fit, held_out = self.samples
        return HeldOutPart(share=self.study.validation, fit=fit, held_out=held_out)

    @property
    def failures(self) -> int:
        """How many of ``runs`` gave no figure."""
        return sum(len(row.errors) for row in self.rows)

    @property
    def stored(self) -> int:
        """How many of ``runs`` gave a figure and were wholly found in the store."""
        return self.runs - self.computed - self.failures

    @property
    def failed(self) -> bool:
        """Whether nothing succeeded."""
        return all(row.mean is None for row in self.rows)

    def difference(self, row: Row) -> Estimate | None:
        """Of ``row`` to the base over the seeds both have; None for the base itself."""
        return None if row.cell.is_base else difference(row.accuracies, self.base.accuracies)

    def complete(self) -> dict[str, list[float]]:
        """Accuracies of the cells of the grid in which every seed succeeded."""
        rows = (r for r in self.rows if r.cell.in_grid and None not in r.accuracies)
        return {row.cell.name: row.values for row in rows}

    def effects(self) -> list[Effect]:
        """The main effect of every value; empty unless the study is a grid.

        Only complete cells count: with some missing the grid is no longer balanced.
        """
        if self.study.one_at_a_time:
            return []
        complete = self.complete()
        found = []
        for factor in self.study.factors:
            for value in factor.values:
                having = [
                    row.cell.name
                    for row in self.rows
                    if row.cell.name in complete and row.cell.values[factor.key] == value
                ]
                alone = len(having) == len(complete)  # nothing to compare with
                effect = None if alone else main_effect(complete, having)
                found.append(Effect(factor.key, value, effect, len(having)))
        return found

    @property
    def document(self) -> AblationDocument:
        """``ablation.json``: free of the clock; accuracies and differences in 0–1."""
        study, budget = self.study, self.study.base.budget
        return AblationDocument(
            method=study.base.method,
            data=self.data,
            measure=self.measure,
            validation=self.held_out,
            ipc=budget.ipc,
            fraction=budget.fraction,
            seeds=study.seeds,
            shared_seed=study.base.seed,
            design="one-at-a-time" if study.one_at_a_time else "grid",
            factors=tuple(FactorVaried(key=f.key, values=f.values) for f in study.factors),
            cells=tuple(self._outcome(row) for row in self.rows),
            main_effects=tuple(
                MainEffect(key=e.key, value=e.value, cells=e.cells, effect=Interval.of(e.effect))
                for e in self.effects()
            ),
            recipe=study.base.portable(),
        )

    def to_json(self) -> dict[str, Any]:
        """:attr:`document`, JSON-ready."""
        return self.document.to_json()

    def _outcome(self, row: Row) -> CellOutcome:
        return CellOutcome(
            name=row.cell.name,
            values=dict(row.cell.values),
            base=row.cell.is_base,
            in_grid=row.cell.in_grid,
            accuracies=row.accuracies,
            accuracy=Interval.of(row.mean),
            difference=Interval.of(self.difference(row)),
            error=row.error,
            errors={str(seed): text for seed, text in row.errors.items()},
        )


def ablate(
    study: Study,
    bind: Bind,
    progress: Progress,
    observe: Callable[[Ablation], None] = lambda so_far: None,
) -> Ablation:
    """Run every cell of ``study`` under every seed.

    Seed by seed, so that all cells have a first figure early. Each stage is looked up in the
    store first: a second call re-uses all that was finished.

    Args:
        study: what to run.
        bind: makes a pipeline.
        progress: where the whole and each stage report.
        observe: called with the result so far after every run.

    Raises:
        CondenseError: before any work, for data of the base that has no test split (unless a part
            is held out) or is too small. What goes wrong in a cell is kept in its row, and the
            others go on.
    """
    runner = _Runner(study, bind)
    observe(runner.result)
    with progress.task("ablation", len(study.seeds) * len(study.cells), "run") as task:
        for place in range(len(study.seeds)):
            for number in range(len(study.cells)):
                runner.run(number, place)
                observe(runner.result)
                task.advance(1)
    return runner.result


class _Runner:
    """Runs cells one by one and keeps the result so far."""

    def __init__(self, study: Study, bind: Bind) -> None:
        self.study, self.bind = study, bind
        base = bind(study.base)
        self.store, self.progress = base.store, base.progress
        data = self.divided(base.data)
        self.data = {_data_key(study.base): data}  # loaded once for all cells that share it
        tested = bind(study.base, data=data).test_split()
        study.base.budget.counts(data)
        nothing = (None,) * len(study.seeds)
        rows = tuple(Row(cell, nothing) for cell in study.cells)
        self.result = Ablation(study, base.data.name, rows, (len(data), len(tested)))

    def divided(self, data: LabeledData) -> LabeledData:
        """``data``, where a validation part is asked for with that in its test split's place."""
        share, seed = self.study.validation, self.study.base.seed
        return data if share is None else validation_part(data, share, seed)

    def data_of(self, recipe: Recipe) -> LabeledData:
        """The data of ``recipe`` as the study divides them."""
        key = _data_key(recipe)
        if key not in self.data:
            self.data[key] = self.divided(self.bind(recipe).data)
        return self.data[key]

    def run(self, number: int, place: int) -> None:
        """Cell ``number`` under the seed at ``place``."""
        result = self.result
        row, seed = result.rows[number], result.study.seeds[place]
        misses = self.store.misses
        try:
            row = replace(row, accuracies=_set(row.accuracies, place, self.accuracy(row, seed)))
        except Exception as error:  # noqa: BLE001 – whatever it is, the other cells go on
            message = _message(error)
            row = replace(row, errors={**row.errors, seed: message})
            if list(row.errors.values()).count(message) == 1:
                self.progress.note(f"{row.cell.name}, seed {seed}, failed: {message}")
        self.result = replace(
            result,
            rows=_set(result.rows, number, row),
            runs=result.runs + 1,
            computed=result.computed + (seed not in row.errors and self.store.misses > misses),
        )

    def accuracy(self, row: Row, seed: int) -> float:
        """Accuracy of the cell's condensed set, mean over the evaluator's repeats."""
        study, recipe = self.result.study, row.cell.recipe
        if recipe is None:
            raise _Unresolved(row.cell.error)
        pipeline = self.bind(
            replace(recipe, seed=seed),
            shared_seed=study.base.seed,
            data=self.data_of(recipe),
        )
        return pipeline.evaluation.mean


class _Unresolved(Exception):
    """A cell without a recipe."""


def _message(error: Exception) -> str:
    """One line; with the type's name for what is no message to a user."""
    text = " ".join(str(error).split())
    known = isinstance(error, (CondenseError, _Unresolved))
    return text if known else f"{type(error).__name__}: {text}"


def _data_key(recipe: Recipe) -> str:
    return str(recipe["data"].identity)


def _set(values: Sequence[Any], place: int, value: Any) -> tuple[Any, ...]:
    """``values`` with ``value`` at ``place``."""
    return (*values[:place], value, *values[place + 1 :])
