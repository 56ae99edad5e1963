"""``condense shrink``: the smallest part of the training data that keeps enough accuracy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from condense.cli.flags import listed, study_flags, study_output
from condense.figures.formats import counted
from condense.kinds import RANDOM, WHOLE
from condense.spelling import on_command_line

if TYPE_CHECKING:
    from condense.cli.session import Session
    from condense.engine.jobs.driver import Crew
    from condense.engine.runtime.display import Display
    from condense.resolve import Request
    from condense.results import Finding
    from condense.studies.shrinking.design import Shrinking
    from condense.studies.shrinking.result import CurvePoint, ShrinkDocument, Shrunk


@click.command(
    epilog="""\b
Examples:
  condense shrink --keep 0.95                                  on digits, two minutes
  condense shrink --keep 0.9 --data folder:photos -o data.resize=32 --out small
  condense shrink --methods selmatch,window --metric worst-class
  condense shrink --data table.npz -o evaluator.epochs=50 -o evaluator.lr=0.01
"""
)
@click.option(
    "--keep",
    type=float,
    default=0.95,
    show_default=True,
    metavar="SHARE",
    help="Of what a network reaches on the whole training data, in (0, 1).",
)
@click.option(
    "--methods",
    metavar="M1,M2",
    help="Methods that are tried, beside random subsets.  [default: window,ccs,facility-location]",
)
@click.option(
    "--metric",
    default="accuracy",
    show_default=True,
    metavar="NAME",
    help="Of what: accuracy, balanced-accuracy (mean over the classes) or worst-class.",
)
@click.option(
    "--max-fraction",
    type=float,
    default=0.5,
    show_default=True,
    metavar="R",
    help="The largest part of the training split that is tried, in (0, 0.8).",
)
@study_flags
@click.option(
    "--seeds",
    type=int,
    default=5,
    show_default=True,
    metavar="N",
    help="Trainings at every size, on --seed, --seed + 1 …; each holds out another fifth of the "
    "training split.",
)
@study_output(
    out="Where the condensed set goes, with shrink.json, .csv, .png and .svg.  "
    "[default: runs/shrink-KEEP-METHOD-DATA-HASH]",
    dry_run="Only say what it would take with four sizes a method; which ones, shows on the way.",
)
@click.pass_context
def shrink(
    ctx: click.Context,
    request: Request,
    keep: float,
    methods: str | None,
    metric: str,
    max_fraction: float,
    seeds: int,
    device: str | None,
    out: Path | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Find the smallest part of the training data that keeps a share of what the whole gives.

    Sizes are searched on parts held out of the training split, another one for each seed, by quick
    methods that keep real samples, or by others. The size printed is the upper end of a one-sided
    90 % interval for one more training. Then a set of that size, a random subset like it and the
    whole are tested once, and the set is written as `condense run` does. Where no size is enough,
    that is said, and no set is written. Your own training is meant: set it with
    -o evaluator.KEY=VALUE.
    """
    from condense.cli.session import open_session
    from condense.studies.binding import SharedData
    from condense.studies.shrinking.design import make_shrinking

    with open_session(ctx, device) as session:
        bind = SharedData(session.pipeline)
        shrinking = make_shrinking(
            session.host,
            request,
            bind,
            listed("methods", methods),
            keep=keep,
            metric=metric,
            max_fraction=max_fraction,
            seeds=seeds,
        )
        if not dry_run:
            crew = session.crew(request)
            document, findings, folder = _run(session, shrinking, bind, out, crew)
        else:
            from condense.studies.shrinking.run import SIZES, plan_shrinking

            workers = session.workers(request)
            plan = plan_shrinking(shrinking, bind, session.progress)
    if dry_run:
        from condense.cli.planned import show_runs

        rows = SIZES * len(shrinking.methods)
        show_runs(plan, "rows", rows, shrinking.measured.seeds, as_json, workers)
        return
    _show(document, findings, folder, as_json)


def _run(
    session: Session, shrinking: Shrinking, bind: Any, out: Path | None, crew: Crew | None
) -> tuple[ShrinkDocument, Sequence[Finding], Path]:
    """The search, and where it found a size the set, tested; and the folder they are in."""
    from condense.engine.runtime.folders import check_folder
    from condense.report.diagnosis.findings import problems
    from condense.studies.shrinking.files import OWNED, shrink_folder, write_answer
    from condense.studies.shrinking.final import answer
    from condense.studies.shrinking.run import shrink as search

    folder = shrink_folder(shrinking, bind) if out is None else out
    check_folder(folder, OWNED)
    progress = session.progress
    found = answer(search(shrinking, bind, progress, _live(progress), crew), bind, crew)
    findings = write_answer(found, folder, problems, crew)
    place = None if found.condensed is None else str(folder)
    return found.document.model_copy(update={"artefact": place}), findings, folder


def _live(progress: Display) -> Callable[[Shrunk], None]:
    """Shows the curve so far after every round of sizes."""

    def show(so_far: Shrunk) -> None:
        document = so_far.document
        progress.so_far(
            lambda: (HEADERS[:3], [_cells(point, document)[:3] for point in document.curve]),
            lambda: f"so far {document.verdict}",
        )

    return show


HEADERS = ("method", "samples", "%, interval", "of the whole's, %", "time", "size")


def _show(
    document: ShrinkDocument, findings: Sequence[Finding], folder: Path, as_json: bool
) -> None:
    from condense.cli.output import echo_json, echo_place, echo_table, say, warn

    if as_json:
        echo_json(document.to_json())
        warn((*document.findings, *findings))
        return
    points = [*document.curve, document.whole]
    echo_table(HEADERS, [_cells(point, document) for point in points])
    for name, why in document.errors.items():
        say(f"{name} is left out: {on_command_line(why)}")
    held, seeds = document.validation, counted(len(document.seeds), "seed")
    say(
        f"\n{document.data}: {document.metric} on samples held out of the training split, about "
        f"{held.held_out} by each of {seeds}, with sets made of the other "
        f"{held.fit}; intervals are one-sided, {100 * document.level:g} %, for one more training; "
        f"to be reached: {100 * document.target:.2f} %\n"
    )
    say(document.verdict)
    if document.beside_random:
        say(document.beside_random)
    test = document.test
    if test is not None:
        say()
        arms = (("condensed", test.condensed), (RANDOM, test.random), (WHOLE, test.whole))
        rows = [(n, f"{100 * v:.2f}", f"{100 * v / (test.whole or 1):.1f}") for n, v in arms]
        echo_table(("arm", f"test {document.metric}, %", "of the whole's, %"), rows)
        if test.kept < document.keep:
            say(f"on the test split that is less than {100 * document.keep:g} %")
    say()
    made = "curve and figure" if document.artefact is None else "condensed set, curve and figure"
    echo_place(made, folder)
    warn((*document.findings, *findings))


def _cells(point: CurvePoint, document: ShrinkDocument) -> tuple[str, ...]:
    """``point`` as text, in the order of :data:`HEADERS`."""
    from condense.cli.output import seconds

    made = point.method not in (RANDOM, WHOLE)
    return (
        point.method,
        str(point.samples),
        f"{100 * point.mean:.1f} ({100 * point.low:.1f} to {100 * point.high:.1f})",
        f"{100 * point.mean / (document.whole.mean or 1):.1f}",
        "" if not made else "unknown" if point.seconds is None else seconds(point.seconds),
        f"{point.bytes / 1000:.1f} kB",
    )
