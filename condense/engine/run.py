"""A whole run: condense, evaluate beside the baselines, write the artefact."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from condense.engine.artefact.dataset import CondensedDataset
from condense.engine.artefact.write import LOG, RESULTS, save_artefact
from condense.engine.documents import (
    OWN,
    ArmResult,
    JobNote,
    Results,
    RunDocument,
    RunLog,
    notes_of,
    stage_seconds,
)
from condense.engine.graph import all_within, in_order, in_turn, stages
from condense.engine.jobs.driver import Crew, Target
from condense.engine.jobs.second_process import helped
from condense.engine.pipeline import Pipeline, StageTime
from condense.engine.runtime.locks import silent
from condense.engine.runtime.memory import peak_memory_mb
from condense.engine.stages.evaluation import EvaluationStage
from condense.engine.target import (
    check_target,
    default_folder,
    findings_of_studies,
)
from condense.engine.training.threads import threads_for
from condense.interfaces import Evaluation
from condense.kinds import LOCAL
from condense.recipe import Recipe
from condense.results import Finding


@dataclass(frozen=True, eq=False)
class RunResult:
    """What a run made and measured.

    Attributes:
        recipe: resolved.
        artefact: the folder written.
        condensed: the set.
        accuracy: of the set; None where the data has no test split.
        baselines: ``random`` and ``whole``, empty with ``--no-baselines``.
        stages: seconds and cache hits.
        peak_memory_mb: of this process, 2²⁰ bytes.
        device: what it ran on.
        findings: the signs of failure that were found.
        jobs: that an executor worked off.
        executor: its name.
        tracker: that watched it; empty for none.
        content: digest of all that it depends on.
    """

    recipe: Recipe
    artefact: Path
    condensed: CondensedDataset
    accuracy: Evaluation | None
    baselines: Mapping[str, Evaluation]
    stages: Mapping[str, StageTime]
    peak_memory_mb: float
    device: str
    findings: tuple[Finding, ...] = ()
    jobs: tuple[JobNote, ...] = ()
    executor: str = LOCAL
    tracker: str = ""
    content: str = ""

    @property
    def evaluations(self) -> dict[str, Evaluation]:
        """By arm, the set's own called ``condensed``."""
        own = {OWN: self.accuracy} if self.accuracy else {}
        return {**own, **self.baselines}

    @property
    def results(self) -> Results:
        """The document of ``results.json``."""
        return results_of(self.condensed, self.evaluations, self.findings)

    @property
    def log(self) -> RunLog:
        """The document of ``run.log.json``."""
        return RunLog(
            artefact=str(self.artefact),
            stages=stage_seconds(self.stages),
            peak_memory_mb=round(self.peak_memory_mb, 1),
            device=self.device,
            torch=torch.__version__,
            pid=os.getpid(),
            jobs=self.jobs,
            executor=self.executor,
            tracker=self.tracker,
            paths=self.recipe.all_paths(),
            content=self.content,
        )

    @property
    def document(self) -> RunDocument:
        """The document of ``run --json``: both together, but for what only files hold."""
        document = self.results.to_json() | self.log.to_json()
        return RunDocument.model_validate_json(json.dumps(document))

    def to_json(self) -> dict[str, Any]:
        """:attr:`document`, JSON-ready."""
        return self.document.to_json()


def results_of(
    condensed: CondensedDataset,
    evaluations: Mapping[str, Evaluation],
    findings: Sequence[Finding],
) -> Results:
    """The document of ``results.json``; ``evaluations`` are by arm, the set's own ``condensed``."""
    arms = {name: ArmResult.of(found) for name, found in evaluations.items()}
    return Results.of(condensed, arms, notes_of(findings))


# what is wrong with a run, by its pipeline, its set and its evaluations by arm
Diagnose = Callable[[Pipeline, CondensedDataset, Mapping[str, Evaluation]], tuple[Finding, ...]]


def no_findings(
    pipeline: Pipeline, condensed: CondensedDataset, evaluations: Mapping[str, Evaluation]
) -> tuple[Finding, ...]:
    """Nothing is looked at."""
    return ()


def run(
    pipeline: Pipeline,
    out: Path | None,
    baselines: bool,
    diagnose: Diagnose = no_findings,
    force: bool = False,
    beside: Mapping[str, str] | None = None,
    crew: Crew | None = None,
) -> RunResult:
    """Every stage of the recipe, the evaluation, and the artefact in ``out``.

    Args:
        pipeline: a bound recipe.
        out: the folder to write; None for ``runs/METHOD-DATA-ipcN-sSEED-HASH``.
        baselines: whether to train on random subsets and on the whole set as well.
        diagnose: finds what is wrong with the result.
        force: whether to replace the result of another recipe in ``out``.
        beside: further text files of the artefact, by name.
        crew: works the stages off elsewhere; None works them off here.

    Raises:
        CondenseError: before any work for an output that cannot be written or a budget that the
            data cannot meet; later for whatever a stage cannot do.
    """
    target = out if out is not None else default_folder(pipeline, baselines)
    check = partial(check_target, target, pipeline, force)
    check()
    pipeline.check_budget()
    if pipeline.data.test is None:
        pipeline.progress.note(
            f"note: {pipeline.data.name} has no test split, nothing will be evaluated; "
            f"{pipeline.ways_to_a_test_split}"
        )
    tracker = pipeline.tracking.name
    with pipeline.tracking.over(pipeline.recipe, lambda: target.name):
        if crew is not None:
            crew.work_all_off(Target(pipeline, stages(pipeline, baselines)))
        condensed, arms = worked_off(pipeline, baselines)
        pipeline.tracking.result(condensed, arms)
        result = write_run(
            pipeline, target, condensed, arms, check, diagnose, beside, crew, tracker
        )
        pipeline.tracking.saved(target)
    return result


def write_run(
    pipeline: Pipeline,
    target: Path,
    condensed: CondensedDataset,
    arms: Mapping[str, Evaluation],
    check: Callable[[], Path],
    diagnose: Diagnose = no_findings,
    beside: Mapping[str, str] | None = None,
    crew: Crew | None = None,
    tracker: str = "",
    draw: Callable[[Path], object] = silent,
) -> RunResult:
    """The artefact of what was made and measured, with its diagnosis.

    Args:
        pipeline: whose it is.
        target: the folder to write.
        condensed: the set.
        arms: evaluations by arm, the set's own called ``condensed``.
        check: the place of ``target``; raises OutputError if it may not be replaced.
        diagnose, beside, crew: as for :func:`run`.
        tracker: that watched it.
        draw: adds further files to the folder it is given.
    """
    others = {name: found for name, found in arms.items() if name != OWN}
    result = RunResult(
        pipeline.recipe,
        target,
        condensed,
        arms.get(OWN),
        others,
        dict(pipeline.timings),
        peak_memory_mb(),
        device_name(pipeline.device),
        jobs=() if crew is None else tuple(crew.notes),
        executor=LOCAL if crew is None else crew.executor.name,
        tracker=tracker,
        content=pipeline.content_digest,
    )
    result = replace(result, findings=diagnose(pipeline, condensed, result.evaluations))
    files = {RESULTS: result.results.text(), LOG: result.log.text(), **(beside or {})}

    def finish(draft: Path) -> None:
        # how the recipe was found is still so where the same run is repeated
        for path in findings_of_studies(target, result.content):
            if path.name not in files:
                shutil.copyfile(path, draft / path.name)
        draw(draft)

    save_artefact(condensed, target, files, check, pipeline.progress.note, finish)
    return result


def worked_off(
    pipeline: Pipeline, baselines: bool, evaluated: bool = True
) -> tuple[CondensedDataset, dict[str, Evaluation]]:
    """All stages of a run, one after another.

    Args:
        pipeline: a bound recipe.
        baselines: whether random subsets and the whole set are evaluated as well.
        evaluated: whether anything is.

    Returns:
        the condensed set, and evaluations by arm, its own called ``condensed``; none without a
        test split.
    """
    p = pipeline
    todo = in_order(p, baselines, evaluated)
    threads = torch.get_num_threads()
    with (
        threads_for(p.data.geometry.shape),
        helped(p, all_within(todo), threads) as shared,
    ):
        in_turn(p.progress, todo, shared)
    tested = [stage for stage in todo if isinstance(stage, EvaluationStage)]
    arms = {OWN if s.name == p.evaluating.name else s.name: s.result for s in tested}
    return p.condensed, arms


def device_name(device: torch.device) -> str:
    """``"cpu"`` or the GPU's product name."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
