"""Running a study: every cell under every seed, on shared scores and experts, compared in pairs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from condense.data import LabeledData
from condense.engine.arms import evaluate, random_plan
from condense.engine.documents import OWN
from condense.engine.graph import stages
from condense.engine.jobs.driver import Crew, Target
from condense.engine.pipeline import Pipeline
from condense.engine.run import Diagnose, no_findings
from condense.engine.runtime.progress import over_all
from condense.engine.stages.evaluation import EvaluationStage
from condense.engine.stages.stage import Stage
from condense.errors import CondenseError, DataError, message_of
from condense.interfaces import Evaluation, Progress
from condense.kinds import RANDOM
from condense.recipe import Recipe
from condense.results import Finding
from condense.studies.ablation.design import Study, by_value
from condense.studies.ablation.result import Ablation, Row
from condense.studies.binding import Bind
from condense.studies.planning import Planner, StudyPlan
from condense.studies.validation import HeldOut, divided, held_out_of


def ablate(
    study: Study,
    bind: Bind,
    progress: Progress,
    observe: Callable[[Ablation], None] = lambda so_far: None,
    diagnose: Diagnose = no_findings,
    crew: Crew | None = None,
) -> Ablation:
    """Run every cell of ``study`` under every seed.

    Seed by seed, so that all cells have a first figure early. Each stage is looked up in the
    store first: a second call re-uses all that was finished.

    Args:
        study: what to run.
        bind: makes a pipeline.
        progress: where the whole and each stage report.
        observe: called with the result so far after every run.
        diagnose: finds what is wrong with the set of a run.
        crew: works the stages off elsewhere; None works them off here.

    Raises:
        CondenseError: before any work, for data of the base that has no test split (unless a part
            is held out) or is too small. What goes wrong in a cell is kept in its row, and the
            others go on.
    """
    runner = _Runner(study, bind, diagnose)
    if crew is not None:
        runner.hand_out(crew)
    observe(runner.result)
    runs = len(study.seeds) * len(study.cells)
    with over_all(progress, "ablate", runs, "run", lambda: runner.plan().parts) as task:
        for place in range(len(study.seeds)):
            for number in range(len(study.cells)):
                runner.run(number, place)
                observe(runner.result)
                task.advance(1)
    return runner.result


def plan_ablation(study: Study, bind: Bind) -> StudyPlan:
    """What :func:`ablate` would take; nothing is stored.

    Raises:
        CondenseError: as :func:`ablate` does. A cell that cannot be planned is named.
    """
    return _Runner(study, bind, no_findings).plan()


class _Runner:
    """Runs cells one by one and keeps the result so far."""

    def __init__(self, study: Study, bind: Bind, diagnose: Diagnose) -> None:
        self.study, self.bind, self.diagnose = study, bind, diagnose
        first = bind(study.first)
        self.store, self.progress = first.store, first.progress
        data = self.divided(first.data)
        self.data = {_data_key(study.first): data}  # loaded once for all cells that share it
        bind(study.first, data=data).test_split()  # raises where there is none
        self.check_sizes(data)
        nothing = (None,) * len(study.seeds)
        random = nothing if study.is_sweep else ()
        rows = tuple(Row(cell, nothing, random=random) for cell in study.cells)
        share = study.validation
        part = None if share is None else HeldOut.of(share, data)
        self.result = Ablation(study, first.data.name, rows, part)
        self.errors: dict[tuple[int, int], str] = {}  # of jobs, by cell and seed

    def check_sizes(self, data: LabeledData) -> None:
        """That ``data`` has the samples that the base asks for, and for each value some cell."""
        errors: dict[str, DataError] = {}
        for cell in self.study.cells:
            if cell.recipe is not None and _data_key(cell.recipe) in self.data:
                try:
                    cell.recipe.budget.counts(data)
                except DataError as error:
                    if cell.is_base and not (cell.in_grid and self.study.is_sweep):
                        raise  # no value of a factor is to blame
                    errors[cell.name] = error
        for key, value, having in by_value(self.study.factors, self.study.cells):
            if all(cell.name in errors for cell in having):
                raise DataError(f"`vary={key}={value}`: {errors[having[0].name]}")

    def divided(self, data: LabeledData) -> LabeledData:
        """``data``, where a validation part is asked for with that in its test split's place."""
        return divided(data, self.study.validation, self.study.base.seed)

    def data_of(self, recipe: Recipe) -> LabeledData:
        """The data of ``recipe`` as the study divides them."""
        key = _data_key(recipe)
        if key not in self.data:
            self.data[key] = self.divided(self.bind(recipe).data)
        return self.data[key]

    def hand_out(self, crew: Crew) -> None:
        """Have all stages of all cells stored; what goes wrong is said when their turn comes."""
        part = held_out_of(self.study.validation, self.study.base.seed)
        targets = {}
        for seed in self.study.seeds:
            for number, row in enumerate(self.result.rows):
                with contextlib.suppress(CondenseError):  # said in its turn
                    pipeline = self.pipeline(row, seed)
                    targets[number, seed] = Target(pipeline, self.todo(pipeline), part)
        self.errors = crew.work_off(targets)

    def todo(self, pipeline: Pipeline) -> list[Stage[Any]]:
        """Those of a cell."""
        found = stages(pipeline, baselines=False)
        if self.study.is_sweep:
            found.append(EvaluationStage(pipeline, random_plan(pipeline)))
        return found

    def run(self, number: int, place: int) -> None:
        """Cell ``number`` under the seed at ``place``."""
        result = self.result
        row, seed = result.rows[number], result.study.seeds[place]
        misses = self.store.misses
        try:
            if (number, seed) in self.errors:
                raise CondenseError(self.errors[number, seed])
            arms, findings = self.outcome(row, seed)
            row = replace(
                row,
                accuracies=_set(row.accuracies, place, arms[OWN].mean),
                findings={**row.findings, seed: findings},
            )
            if RANDOM in arms:
                row = replace(row, random=_set(row.random, place, arms[RANDOM].mean))
        except Exception as error:  # noqa: BLE001 – whatever it is, the other cells go on
            message = message_of(error)
            row = replace(row, errors={**row.errors, seed: message})
            if list(row.errors.values()).count(message) == 1:
                self.progress.note(f"{row.cell.name}, seed {seed}, failed: {message}")
        self.result = replace(
            result,
            rows=_set(result.rows, number, row),
            runs=result.runs + 1,
            computed=result.computed + (seed not in row.errors and self.store.misses > misses),
        )

    def outcome(self, row: Row, seed: int) -> tuple[dict[str, Evaluation], tuple[Finding, ...]]:
        """The cell's condensed set, evaluated, beside random ones where sizes differ; findings.

        Random subsets of one size and seed are the same in all cells, and stored once.
        """
        pipeline = self.pipeline(row, seed)
        arms = {OWN: pipeline.evaluation}
        if self.study.is_sweep:
            arms[RANDOM] = evaluate(pipeline, random_plan(pipeline))
        return arms, self.diagnose(pipeline, pipeline.condensed, arms)

    def pipeline(self, row: Row, seed: int) -> Pipeline:
        """The stages of the cell."""
        recipe = row.cell.recipe
        if recipe is None:
            raise CondenseError(row.cell.error)
        return self.bind(
            replace(recipe, seed=seed),
            shared_seed=self.study.base.seed,
            data=self.data_of(recipe),
        )

    def plan(self) -> StudyPlan:
        """What all runs would take, in their order."""
        planner = Planner()
        for seed in self.study.seeds:
            for row in self.result.rows:
                with planner.run(row.cell.name):
                    planner.add(self.todo(self.pipeline(row, seed)))
        return planner.plan()


def _data_key(recipe: Recipe) -> str:
    return str(recipe["data"].identity)


def _set(values: Sequence[Any], place: int, value: Any) -> tuple[Any, ...]:
    """``values`` with ``value`` at ``place``."""
    return (*values[:place], value, *values[place + 1 :])
