"""One recipe under several seeds: how well its result repeats."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import stdev
from typing import Any

from pydantic import Field, FiniteFloat

from condense.engine.artefact.write import ARTEFACT
from condense.engine.documents import Document, RunDocument
from condense.engine.graph import stages
from condense.engine.jobs.driver import Crew, Target
from condense.engine.pipeline import Pipeline
from condense.engine.run import Diagnose, RunResult, no_findings, run
from condense.engine.runtime.progress import over_all
from condense.engine.target import check_target, default_folder
from condense.recipe import Recipe
from condense.studies.binding import check_seeds
from condense.studies.planning import Planner, StudyPlan
from condense.studies.statistics import LEVEL, estimate_shares


class SeedsAccuracy(Document):
    """The mean over the networks of each seed, over the seeds; 0–1."""

    mean: FiniteFloat
    std: FiniteFloat = Field(description="sample standard deviation (ddof 1), 0 for one seed")
    n: int = Field(description="seeds", ge=1)
    low: FiniteFloat | None = Field(
        description="end of the interval by Student's t, within 0–1; null where not known"
    )
    high: FiniteFloat | None


class SeedsDocument(Document):
    """``condense run --seeds N --json``."""

    runs: tuple[RunDocument, ...] = Field(description="one a seed, as `condense run` has it")
    accuracy: SeedsAccuracy | None = Field(description="null where nothing was evaluated")
    baselines: dict[str, SeedsAccuracy]
    level: FiniteFloat = Field(description="of the intervals")
    shared_seed: int | None = Field(description="of scores and experts; null if anew a seed")
    out: str = Field(description="the folder of the runs")


@dataclass(frozen=True, eq=False)
class SeedRuns:
    """Runs that differ in their seed.

    Attributes:
        runs: one a seed, from the base's seed up.
        folder: holds a folder ``sSEED`` a run.
        shared_seed: of scores and experts where the runs share them; else None.
    """

    runs: tuple[RunResult, ...]
    folder: Path
    shared_seed: int | None

    @property
    def document(self) -> SeedsDocument:
        """The document of ``run --seeds --json``."""
        own = [r.accuracy.mean for r in self.runs if r.accuracy is not None]
        names = self.runs[0].baselines
        baselines = {name: [r.baselines[name].mean for r in self.runs] for name in names}
        return SeedsDocument(
            runs=tuple(r.document for r in self.runs),
            accuracy=over_seeds(own) if own else None,
            baselines={name: over_seeds(means) for name, means in baselines.items()},
            level=LEVEL,
            shared_seed=self.shared_seed,
            out=str(self.folder),
        )

    def to_json(self) -> dict[str, Any]:
        """:attr:`document`, JSON-ready."""
        return self.document.to_json()


def over_seeds(means: Sequence[float]) -> SeedsAccuracy:
    """Mean, spread and t interval of ``means``, one or more."""
    found = estimate_shares(means)
    assert found is not None
    std = stdev(means) if len(means) > 1 else 0.0
    return SeedsAccuracy(mean=found.mean, std=std, n=found.n, low=found.low, high=found.high)


def run_seeds(
    base: Recipe,
    count: int,
    bind: Callable[..., Pipeline],
    out: Path | None,
    baselines: bool,
    shared: bool,
    diagnose: Diagnose = no_findings,
    force: bool = False,
    beside: Mapping[str, str] | None = None,
    crew: Crew | None = None,
) -> SeedRuns:
    """``base`` run under its own seed and the ones after it.

    Args:
        base: resolved.
        count: how many seeds.
        bind: makes a pipeline of a recipe and, by keyword, its ``data`` and ``shared_seed``.
        out: holds a folder a seed; None for that of a run of the base, ``-seedsN`` (and
            ``-shared``) added.
        baselines: as for a run.
        shared: whether scores and experts are made once, with the base's seed, for all; they are
            made anew a seed otherwise, so that the interval says how well the whole repeats.
        diagnose: finds what is wrong with a run.
        force: whether to replace results of other recipes.
        beside: further text files of every artefact, by name.
        crew: works the stages of all runs off elsewhere; None works them off here.

    Raises:
        OptionError: for fewer than one seed, or far too many.
        CondenseError: before any work for a folder that cannot be written, else as a run does.
    """
    pipelines = _pipelines(base, count, bind, shared)
    first = pipelines[0]
    if out is None:
        own = default_folder(first, baselines)
        out = own.with_name(f"{own.name}-seeds{count}{'-shared' if shared else ''}")
    folders = [out / f"s{pipeline.recipe.seed}" for pipeline in pipelines]
    for pipeline, folder in zip(pipelines, folders, strict=True):
        check_target(folder, pipeline, force)
    others = sorted({path.parent for path in out.glob(f"s*/{ARTEFACT.marker}")} - {*folders})
    if others:
        names = ", ".join(folder.name for folder in others)
        first.progress.note(f"note: {out} holds {names} of earlier runs too, which stay")
    found = []
    if crew is not None:
        crew.work_all_off(*(Target(p, stages(p, baselines)) for p in pipelines))
    with over_all(
        first.progress, "seeds", count, "run", lambda: _plan(pipelines, baselines).parts
    ) as task:
        for pipeline, folder in zip(pipelines, folders, strict=True):
            found.append(run(pipeline, folder, baselines, diagnose, force, beside, crew))
            task.advance(1)
    return SeedRuns(tuple(found), out, base.seed if shared else None)


def plan_seeds(
    base: Recipe, count: int, bind: Callable[..., Pipeline], baselines: bool, shared: bool
) -> StudyPlan:
    """What :func:`run_seeds` would take; nothing is stored.

    Raises:
        CondenseError: for what it would refuse before it starts.
    """
    pipelines = _pipelines(base, count, bind, shared)
    pipelines[0].check_budget()
    return _plan(pipelines, baselines)


def _pipelines(
    base: Recipe, count: int, bind: Callable[..., Pipeline], shared: bool
) -> list[Pipeline]:
    """One a seed, all on the same data."""
    check_seeds(count, example=3)
    more: dict[str, Any] = {
        "data": bind(base).data,
        "shared_seed": base.seed if shared else None,
    }
    return [bind(replace(base, seed=base.seed + number), **more) for number in range(count)]


def _plan(pipelines: Sequence[Pipeline], baselines: bool) -> StudyPlan:
    planner = Planner()
    for pipeline in pipelines:
        with planner.run(f"seed {pipeline.recipe.seed}"):
            planner.add(stages(pipeline, baselines))
    return planner.plan()
