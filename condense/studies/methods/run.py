"""Running a comparison: every method in every column under every seed, on shared stages."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from condense.engine.arms import random_plan, whole_plan
from condense.engine.documents import OWN
from condense.engine.graph import stages
from condense.engine.jobs.driver import Crew, Target
from condense.engine.pipeline import Pipeline
from condense.engine.run import Diagnose, no_findings
from condense.engine.runtime.progress import over_all
from condense.engine.stages.evaluation import EvaluationStage
from condense.engine.stages.stage import Stage
from condense.errors import CondenseError, message_of
from condense.interfaces import Progress
from condense.kinds import RANDOM, WHOLE
from condense.results import Evaluation, Finding
from condense.studies.binding import Bind
from condense.studies.methods.design import Comparison, Entry
from condense.studies.methods.result import Compared, Measured, Row, samples_bytes, set_bytes
from condense.studies.planning import Planner, StudyPlan
from condense.studies.validation import HeldOut, divided, held_out_of

# of the name of an arm that nothing was made for, and its networks
DiagnoseArm = Callable[[Pipeline, str, Evaluation], tuple[Finding, ...]]
PLANS = {RANDOM: random_plan, WHOLE: whole_plan}  # of the arms that always stand beside


def no_arm_findings(pipeline: Pipeline, name: str, evaluation: Evaluation) -> tuple[Finding, ...]:
    """Nothing is looked for."""
    return ()


def compare(
    comparison: Comparison,
    bind: Bind,
    progress: Progress,
    observe: Callable[[Compared], None] = lambda so_far: None,
    diagnose: Diagnose = no_findings,
    crew: Crew | None = None,
    diagnose_arm: DiagnoseArm = no_arm_findings,
) -> Compared:
    """Measure every entry of ``comparison`` under every seed.

    Seed by seed, so that all have a first figure early. Each stage is looked up in the store
    first: a second or interrupted call re-uses all that was finished.

    Args:
        comparison: what to run.
        bind: makes a pipeline.
        progress: where the whole and each stage report.
        observe: called with the result so far after every run.
        diagnose: finds what is wrong with a set.
        crew: works the stages off elsewhere; None works them off here.
        diagnose_arm: finds what is wrong with the networks of ``random`` and ``whole``.

    Raises:
        CondenseError: before any work, for data without a test split (unless a part is held out)
            or with too small a class. What goes wrong in a method is kept in its row, and the
            others go on.
    """
    runner = _Runner(comparison, bind, diagnose, diagnose_arm)
    if crew is not None:
        runner.hand_out(crew)
    count = len(comparison.seeds) * len(comparison.entries)
    with over_all(progress, "compare", count, "run", lambda: runner.plan().parts) as task:
        for place in range(len(comparison.seeds)):
            for number in range(len(comparison.entries)):
                runner.run(number, place)
                observe(runner.result)
                task.advance(1)
    return runner.result


def plan_comparison(comparison: Comparison, bind: Bind) -> StudyPlan:
    """What :func:`compare` would take; nothing is stored.

    Raises:
        CondenseError: as :func:`compare` does. A method that cannot be planned is named.
    """
    return _Runner(comparison, bind).plan()


class _Runner:
    """Measures entries one by one and keeps the result so far."""

    def __init__(
        self,
        comparison: Comparison,
        bind: Bind,
        diagnose: Diagnose = no_findings,
        diagnose_arm: DiagnoseArm = no_arm_findings,
    ) -> None:
        self.comparison, self.bind = comparison, bind
        self.diagnose, self.diagnose_arm = diagnose, diagnose_arm
        base = bind(comparison.base)
        self.progress = base.progress
        self.data = divided(base.data, comparison.validation, comparison.base.seed)
        bind(comparison.base, data=self.data).test_split()  # raises where there is none
        for column in comparison.columns:
            column.budget.counts(self.data)
        nothing = (None,) * len(comparison.seeds)
        rows = tuple(Row(entry, nothing) for entry in comparison.entries)
        share = comparison.validation
        part = None if share is None else HeldOut.of(share, self.data)
        self.result = Compared(comparison, base.data.name, rows, part)
        self.errors: dict[tuple[str, int], str] = {}  # of jobs, by row and seed

    def plan(self) -> StudyPlan:
        """What all runs would take, in their order."""
        planner = Planner()
        for seed in self.comparison.seeds:
            for entry in self.comparison.entries:
                with planner.run(entry.method):
                    planner.add(self._stages(entry, self._bound(entry, seed)))
        return planner.plan()

    def hand_out(self, crew: Crew) -> None:
        """Have all stages of all entries stored; what goes wrong is said when their turn comes."""
        part = held_out_of(self.comparison.validation, self.comparison.base.seed)
        targets = {}
        for seed in self.comparison.seeds:
            for row in self.result.rows:
                with contextlib.suppress(CondenseError):  # said in its turn
                    pipeline = self._bound(row.entry, seed)
                    todo = self._stages(row.entry, pipeline)
                    targets[row.name, seed] = Target(pipeline, todo, part)
        self.errors = crew.work_off(targets)

    def run(self, number: int, place: int) -> None:
        """Entry ``number`` under the seed at ``place``."""
        row, seed = self.result.rows[number], self.comparison.seeds[place]
        try:
            if (row.name, seed) in self.errors:
                raise CondenseError(self.errors[row.name, seed])
            found, findings = self._measured(row.entry, seed)
            measured = (*row.measured[:place], found, *row.measured[place + 1 :])
            row = replace(row, measured=measured, findings={**row.findings, seed: findings})
        except Exception as error:  # noqa: BLE001 – whatever it is, the others go on
            message = message_of(error)
            if message not in row.errors.values():
                self.progress.note(f"{row.name}, seed {seed}, failed: {message}")
            row = replace(row, errors={**row.errors, seed: message})
        rows = self.result.rows
        rows = (*rows[:number], row, *rows[number + 1 :])
        self.result = replace(self.result, rows=rows, runs=self.result.runs + 1)

    def _measured(self, entry: Entry, seed: int) -> tuple[Measured, tuple[Finding, ...]]:
        pipeline = self._bound(entry, seed)
        with pipeline.store.ledger.work() as teaching:
            _ = pipeline.teaching.result
        if entry.method in PLANS:
            found = EvaluationStage(pipeline, PLANS[entry.method](pipeline)).result
            whole = entry.method == WHOLE
            kept = [len(self.data)] if whole else pipeline.recipe.budget.counts(self.data)
            size = samples_bytes(self.data, sum(kept))
            measured = Measured.of(found, 0.0, size, teaching.seconds)
            return measured, self.diagnose_arm(pipeline, entry.method, found)
        with pipeline.store.ledger.work() as making:
            condensed = pipeline.condensed
        found, size = pipeline.evaluation, set_bytes(condensed, self.data)
        findings = self.diagnose(pipeline, condensed, {OWN: found})
        return Measured.of(found, making.seconds, size, teaching.seconds), findings

    def _bound(self, entry: Entry, seed: int) -> Pipeline:
        if entry.recipe is None:
            raise CondenseError(entry.error)
        recipe, shared = replace(entry.recipe, seed=seed), self.comparison.base.seed
        return self.bind(recipe, shared_seed=shared, data=self.data)

    @staticmethod
    def _stages(entry: Entry, pipeline: Pipeline) -> list[Stage[Any]]:
        """Those that are asked for in :meth:`_measured`."""
        if entry.method not in PLANS:
            return stages(pipeline, baselines=False)
        arm = EvaluationStage(pipeline, PLANS[entry.method](pipeline))
        return [stage for stage in (*arm.needs, arm) if stage.needed]
