"""``condense ablate``: parts of a method swapped, and what each is worth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from condense.cli.flags import method_and_recipe_flags, study_output, validation_flag
from condense.figures.formats import points
from condense.spelling import on_command_line

if TYPE_CHECKING:
    from condense.cli.session import Session
    from condense.engine.jobs.driver import Crew
    from condense.engine.runtime.display import Display
    from condense.resolve import Request
    from condense.studies.ablation.design import Study
    from condense.studies.ablation.result import Ablation, Row


@click.command(
    epilog="""\b
Examples:
  condense ablate selmatch --vary selector=random,hardest,window --vary policy=full,partial
  condense ablate selmatch --vary selector.beta=0.3,0.5,0.7 --seeds 10
  condense ablate --vary ipc=1,5,10 --vary method=selmatch,window --seeds 3
  condense ablate selmatch --vary policy.alpha=0.4,0.6,0.8 --validation 0.2
  condense ablate --vary scorer=cscore,el2n --vary augmentation=dsa,combined --one-at-a-time
"""
)
@method_and_recipe_flags
@click.option(
    "--vary",
    "vary",
    multiple=True,
    required=True,
    metavar="KEY=V1,V2",
    help="A stage and its components, STAGE.OPTION and its values, or ipc, fraction, preset or "
    "method and values; may be repeated.",
)
@click.option(
    "--seeds",
    type=int,
    default=5,
    show_default=True,
    metavar="N",
    help="Runs of every cell, on --seed, --seed + 1 …; they vary selection, matching and "
    "evaluation. Scores and experts are made once, with --seed.",
)
@click.option(
    "--one-at-a-time",
    is_flag=True,
    help="Change one thing of the base at a time, instead of all combinations.",
)
@validation_flag
@study_output(
    out="Where ablation.csv, .json, .png and .svg go.  [default: runs/ablate-METHOD-DATA-HASH]",
    dry_run="Only say how many runs there are, and the seconds, memory and disk that they take; "
    "what cells share is counted once.",
)
@click.pass_context
def ablate(
    ctx: click.Context,
    request: Request,
    vary: Sequence[str],
    seeds: int,
    one_at_a_time: bool,
    validation: float | None,
    device: str | None,
    out: Path | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Swap parts of METHOD and compare every combination with METHOD as it is, seed by seed.

    Prints mean accuracy of every cell, its difference to METHOD over the same seeds, where sizes
    are varied that to random sets of its own size, and the main effect of each value of several
    factors, with 95 % intervals (Student's t over the seeds). A second or interrupted call does
    only the stages that are missing. A cell that fails is a row; exit code 1 only if all do.
    """
    from condense.cli.output import warn_of_runs
    from condense.cli.session import open_session
    from condense.studies.ablation.design import make_study, parse_factor

    factors = [parse_factor(text) for text in vary]
    with open_session(ctx, device) as session:
        study = make_study(session.host, request, factors, seeds, one_at_a_time, validation)
        if dry_run:
            from condense.studies.ablation.run import plan_ablation
            from condense.studies.binding import SharedData

            workers = session.workers(request)
            plan = plan_ablation(study, SharedData(session.pipeline))
        else:
            result, folder = _run(session, study, out, session.crew(request))
    if dry_run:
        from condense.cli.planned import show_runs

        show_runs(plan, "cells", len(study.cells), study.seeds, as_json, workers)
        return
    _show(result, folder, as_json)
    warn_of_runs({row.cell.name: row.findings for row in result.rows}, result.runs)
    ctx.exit(1 if result.failed else 0)


def _run(
    session: Session, study: Study, out: Path | None, crew: Crew | None
) -> tuple[Ablation, Path]:
    """The study run and written."""
    from condense.engine.runtime.folders import check_folder
    from condense.report.diagnosis.findings import problems
    from condense.studies.ablation.files import OWNED, ablation_folder, write_ablation
    from condense.studies.ablation.run import ablate as run_study
    from condense.studies.binding import SharedData

    bind = SharedData(session.pipeline)
    folder = ablation_folder(study, bind) if out is None else out
    check_folder(folder, OWNED)
    progress = session.progress
    result = run_study(study, bind, progress, _live(progress), problems, crew)
    return result, write_ablation(result.document, folder)


def _live(progress: Display) -> Callable[[Ablation], None]:
    """Shows the result so far above the bars, or the last of it where stderr is no terminal."""
    from condense.cli.progress import run_in_words

    def show(so_far: Ablation) -> None:
        cells, seeds = so_far.study.cells, so_far.study.seeds

        def table() -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
            return _headers(so_far)[:-1], [row[:-1] for row in _rows(so_far)]

        def last() -> str:
            place, number = divmod(so_far.runs - 1, len(cells))
            accuracy = so_far.rows[number].accuracies[place]
            return run_in_words(cells[number].name, seeds[place], accuracy)

        if so_far.runs:
            progress.so_far(table, last)

    return show


def _show(result: Ablation, folder: Path, as_json: bool) -> None:
    from condense.cli.output import echo_json, echo_place, echo_table, estimated, say, say_few_seeds
    from condense.studies.ablation.files import effect_name

    if as_json:
        counts = {"runs": result.runs, "computed": result.computed, "failed": result.failures}
        echo_json(result.document.to_json() | counts | {"out": str(folder)})
        return
    echo_table(_headers(result), _rows(result), least=("random, %",))
    effects = [
        (effect_name(e), str(e.cells), estimated(e.effect, points), e.note)
        for e in result.effects()
    ]
    if effects:
        say()
        echo_table(("main effect of", "cells", "points ± 95 %", "note"), effects)
        _note_missing(result)
    failures = f", {result.failures} failed" if result.failures else ""
    say(f"\n{result.runs} runs, {result.stored} of them from the store{failures}")
    say_few_seeds(len(result.study.seeds))
    if result.held_out is not None:
        say(f"{result.data}: condensed from {result.held_out.words}")
    echo_place("table, figure and every seed's accuracy", folder)


def _note_missing(result: Ablation) -> None:
    """A grid with holes is not balanced, which its main effects hide."""
    from condense.cli.output import say

    grid = sum(row.cell.in_grid for row in result.rows)
    missing = grid - len(result.complete())
    if missing:
        say(f"{missing} of {grid} cells are incomplete and left out of the main effects")


def _headers(result: Ablation) -> tuple[str, ...]:
    # of the test split unless it is said
    what = "validation " if result.study.validation is not None else ""
    beside = ("random, %", "over random, points ± 95 %") if result.study.is_sweep else ()
    against = ("minus base, points ± 95 %",) if _compared(result) else ()
    return "cell", "n", f"{what}{result.measure}, % ± 95 %", *beside, *against, "note"


def _compared(result: Ablation) -> bool:
    """Whether some cell has one to be compared with."""
    return any(result.study.reference(row.cell) is not None for row in result.rows)


def _rows(result: Ablation) -> list[tuple[str, ...]]:
    """The cells as text, in the order of :func:`_headers`."""
    from condense.cli.output import estimated

    swept, compared = result.study.is_sweep, _compared(result)
    return [
        (
            row.cell.name,
            str(len(row.values)),
            estimated(row.mean),
            *((estimated(row.random_mean), estimated(row.gain, points)) if swept else ()),
            *((estimated(result.difference(row), points),) if compared else ()),
            _note(result, row),
        )
        for row in result.rows
    ]


def _note(result: Ablation, row: Row) -> str:
    if row.error:
        return f"error: {on_command_line(row.error)}"
    if row.cell.is_base:
        return "base"
    reference = result.study.reference(row.cell)
    other = [one for one in result.rows if one.cell.name == reference]
    if other and row.values and other[0].accuracies == row.accuracies:
        return "equal to base"
    own = _compared(result) and result.study.references.get(row.cell.name) == row.cell.name
    return "base of its size" if own else ""
