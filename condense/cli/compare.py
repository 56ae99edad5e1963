"""``condense compare``: methods side by side on one's own data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from condense.cli.flags import listed, study_flags, study_output, validation_flag
from condense.errors import OptionError
from condense.figures.formats import counted, points
from condense.kinds import RANDOM, WHOLE
from condense.spelling import on_command_line

if TYPE_CHECKING:
    from condense.cli.session import Session
    from condense.engine.jobs.driver import Crew
    from condense.engine.runtime.display import Display
    from condense.resolve import Request
    from condense.results import Budget
    from condense.studies.methods.design import Comparison
    from condense.studies.methods.result import Compared, CompareDocument, ComparedRow, RankedRow


@click.command(
    epilog="""\b
Examples:
  condense compare selmatch,window,mtt                      on digits, three seeds
  condense compare all --ipc 1,5,10 --seeds 5
  condense compare window,herding --data table.npz --fraction 0.05,0.1
  condense compare selmatch,window --labels hard,teacher --latex
"""
)
@click.argument("methods", nargs=-1, required=True, metavar="METHOD,…")
@study_flags
@click.option(
    "--labels",
    metavar="L1,L2",
    help="Label regimes, own, hard or teacher, a table each: what networks are trained towards.  "
    "[default: the evaluator's]",
)
@click.option(
    "--ipc",
    metavar="N1,N2",
    help="Samples to keep of each class, a table each.  [default: preset's]",
)
@click.option(
    "--fraction",
    metavar="R1,R2",
    help="Parts to keep of every class, in (0, 1], a table each; instead of --ipc.",
)
@click.option(
    "--seeds",
    type=int,
    default=3,
    show_default=True,
    metavar="N",
    help="Runs of every method, on --seed, --seed + 1 …; they vary selection, matching and "
    "evaluation. Scores and experts are made once, with --seed.",
)
@validation_flag
@click.option("--latex", is_flag=True, help="Print the LaTeX table instead of the plain one.")
@study_output(
    out="Where compare.csv, .json, .tex, .png and .svg go.  "
    "[default: runs/compare-N-methods-DATA-HASH]",
    dry_run="Only say what all runs would take, what they share counted once.",
)
@click.pass_context
def compare(
    ctx: click.Context,
    request: Request,
    methods: Sequence[str],
    labels: str | None,
    ipc: str | None,
    fraction: str | None,
    seeds: int,
    validation: float | None,
    device: str | None,
    out: Path | None,
    dry_run: bool,
    latex: bool,
    as_json: bool,
) -> None:
    """Compare METHODs on the same data, seeds, labels and optimiser steps.

    Names are separated by commas; `all` stands for every method there is. `random` (a fresh random
    subset a network) and `whole` (the whole training split) always stand beside them. A method gets
    those of -o that its components have. Stages that methods share are done once, and a second or
    interrupted call does only the stages that are missing. A method that fails is a row; exit code
    1 only if all do.
    """
    from condense.cli.output import warn_of_runs
    from condense.cli.session import open_session
    from condense.studies.methods.design import make_comparison

    names = [name for text in methods for name in listed("", text)]
    with open_session(ctx, device) as session:
        comparison = make_comparison(
            session.host,
            request,
            names,
            labels=listed("labels", labels),
            budgets=_budgets(ipc, fraction),
            seeds=seeds,
            validation=validation,
        )
        if dry_run:
            from condense.studies.binding import SharedData
            from condense.studies.methods.run import plan_comparison

            workers = session.workers(request)
            plan = plan_comparison(comparison, SharedData(session.pipeline))
        else:
            result, folder = _run(session, comparison, out, session.crew(request))
    if dry_run:
        from condense.cli.planned import show_runs

        rows = len(comparison.entries)
        show_runs(plan, "rows", rows, comparison.seeds, as_json, workers)
        return
    _show(result, folder, latex, as_json)
    warn_of_runs({row.name: row.findings for row in result.rows}, result.runs)
    ctx.exit(1 if result.failed else 0)


def _budgets(ipc: str | None, fraction: str | None) -> list[Budget]:
    """What ``--ipc`` and ``--fraction`` ask for.

    Raises:
        OptionError: for both, or for what is no number.
    """
    from condense.results import Budget

    if ipc is not None and fraction is not None:
        raise OptionError(f"--ipc {ipc} and --fraction {fraction} exclude each other; give one")
    found = []
    for key, text, number in (("ipc", ipc, int), ("fraction", fraction, float)):
        for value in listed(key, text):
            try:
                size: Any = number(value)
            except ValueError:
                kind = "a whole number" if number is int else "a number"
                raise OptionError(f"`{key}={text}`: {value!r} is not {kind}; try 5,10") from None
            found.append(Budget(**{key: size}))
    return found


def _run(
    session: Session, comparison: Comparison, out: Path | None, crew: Crew | None
) -> tuple[Compared, Path]:
    """The comparison run and written."""
    from condense.engine.runtime.folders import check_folder
    from condense.report.diagnosis.findings import problems, problems_of_arm
    from condense.studies.binding import SharedData
    from condense.studies.methods.files import OWNED, compare_folder, write_comparison
    from condense.studies.methods.run import compare as run_comparison

    bind = SharedData(session.pipeline)
    folder = compare_folder(comparison, bind) if out is None else out
    check_folder(folder, OWNED)
    progress = session.progress
    live = _live(progress, comparison)
    result = run_comparison(comparison, bind, progress, live, problems, crew, problems_of_arm)
    return result, write_comparison(result.document, folder)


def _live(progress: Display, comparison: Comparison) -> Callable[[Compared], None]:
    """Shows what has been measured so far; a table a column would not fit a screen."""
    from condense.cli.progress import run_in_words

    seeds = comparison.seeds

    def show(so_far: Compared) -> None:
        def table() -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
            document = so_far.document
            columns = document.columns
            current = columns[(so_far.runs - 1) % len(so_far.rows) // len(columns[0])]
            return headers_of(document)[:4], [_cells(row)[:4] for row in current]

        def last() -> str:
            place, number = divmod(so_far.runs - 1, len(so_far.rows))
            row = so_far.rows[number]
            return run_in_words(row.name, seeds[place], row.accuracies[place])

        if so_far.runs:
            progress.so_far(table, last)

    return show


RANKED = ("method", "size", "labels", "HLR", "IOR", "LRS")


def headers_of(document: CompareDocument) -> tuple[str, ...]:
    """Of the columns of a table."""
    return "", "method", f"{document.measure}, %", "over random", "worst", "time", "size"


def _show(result: Compared, folder: Path, latex: bool, as_json: bool) -> None:
    from condense.cli.output import echo_json, echo_place, echo_table, say, say_few_seeds, seconds
    from condense.studies.methods.files import to_latex

    document = result.document
    if as_json:
        echo_json(document.to_json() | {"out": str(folder)})
        return
    if latex:
        click.echo(to_latex(document), nl=False)
        return
    for column in document.columns:
        first = column[0]
        size = f"ipc {first.ipc}" if first.ipc is not None else f"fraction {first.fraction:g}"
        say(f"{document.data}, {size}, labels {first.labels}")
        echo_table(headers_of(document), [_cells(row) for row in column])
        for row in column:
            if row.error:
                say(f"{row.method} failed: {on_command_line(row.error)}")
        say()
    if document.teacher is not None:
        took = "unknown" if document.teacher.seconds is None else seconds(document.teacher.seconds)
        say(f"teacher {100 * document.teacher.accuracy:.2f} % right, made once in {took}\n")
    if document.dd_ranking:
        say("DD-Ranking, of means over the seeds, 0–1")
        echo_table(RANKED, [_ranked(row) for row in document.dd_ranking])
        say()
    count = len(document.seeds)
    say(
        f"mean ± half of its 95 % interval over {counted(count, 'seed')}; over random in "
        "points, seed by seed\n* highest mean  = not significantly lower (paired t test, Holm's "
        "correction)\nworst: that of the worst class; time to make the set, scores and experts "
        "included; size of what is kept"
    )
    say_few_seeds(count)
    if document.validation is not None:
        say(f"condensed from {document.validation.words}")
    echo_place("tables and figure", folder)


def _ranked(row: RankedRow) -> tuple[str, ...]:
    """``row`` as text, in the order of :data:`RANKED`."""
    size = f"ipc {row.ipc}" if row.ipc is not None else f"{row.fraction:g}"
    figures = (f"{value:+.3f}" for value in (row.hlr, row.ior))
    return (row.method, size, row.labels, *figures, f"{row.lrs:.3f}")


def _cells(row: ComparedRow) -> tuple[str, ...]:
    """``row`` as text, in the order of :func:`headers_of`."""
    from condense.cli.output import estimated, seconds

    mark = "*" if row.is_best else "=" if row.is_level else ""
    made = row.method not in (RANDOM, WHOLE)
    return (
        mark,
        row.method,
        estimated(row.accuracy),
        estimated(row.to_random, points),
        "–" if row.worst_class is None else f"{100 * row.worst_class:.1f}",
        "" if not made else "unknown" if row.seconds is None else seconds(row.seconds),
        "–" if row.bytes is None else f"{row.bytes / 1000:.1f} kB",
    )
