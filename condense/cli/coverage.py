"""``condense coverage``: how much of the test split has a condensed sample near by."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from condense.cli.flags import (
    PATH,
    device_flag,
    dry_run_flag,
    executor_flag,
    json_flag,
    make_request,
)

if TYPE_CHECKING:
    from condense.studies.coverage.result import Coverage

STAGES = ("data", "evaluator")  # what -o may set here
HEADERS = ("run", "iteration", "all, %", "easy, %", "hard, %", "area, %")


@click.command(
    epilog="""\b
Examples:
  condense coverage runs/selmatch-digits-ipc5-s0-1a2b3c runs/mtt-digits-ipc5-s0-4d5e6f
  condense coverage full partial --radius-quantile 0.9 --out covered
  condense coverage small -o evaluator.feature_network=resnet18 -o evaluator.feature_epochs=40
"""
)
@click.argument("runs", nargs=-1, required=True, type=PATH, metavar="DIR...")
@click.option(
    "--data",
    metavar="NAME[:PATH]",
    help="Data to measure on.  [default: those of the runs, which must agree]",
)
@click.option(
    "--radius-quantile",
    type=float,
    metavar="Q",
    help="Share of training samples that have another one within the radius, in (0, 1].  "
    "[default: 0.95]",
)
@click.option(
    "--same-class", is_flag=True, help="Only samples of a test sample's own class cover it."
)
@click.option(
    "-o",
    "assignments",
    multiple=True,
    metavar="KEY=VALUE",
    help="data.OPTION=VALUE or evaluator.OPTION=VALUE, the latter of the network whose features "
    "are used; may be repeated.",
)
@device_flag
@executor_flag
@click.option(
    "--out",
    type=PATH,
    metavar="DIR",
    help="Where coverage.csv, .json, .png and .svg go.  [default: runs/coverage-DATA-HASH]",
)
@dry_run_flag
@json_flag
@click.pass_context
def coverage(
    ctx: click.Context,
    /,
    runs: Sequence[Path],
    radius_quantile: float | None,
    same_class: bool,
    device: str | None,
    out: Path | None,
    dry_run: bool,
    as_json: bool,
    **flags: Any,
) -> None:
    """Measure which share of the test split each condensed set in DIR... covers.

    A test sample is covered where the nearest sample of the set lies within a radius, in the
    feature space of one network trained on the whole training split (trained once, then stored).
    Easy and hard half of the test split apart, over the iterations that were saved
    (-o matcher.snapshots=[50,100] when the set is made). All sets must be of the same data.
    Options of the network are set with -o evaluator.KEY=VALUE, as for evaluator=coverage.
    """
    from condense.cli.planned import echo_plan
    from condense.cli.session import open_session
    from condense.engine.runtime.folders import check_folder
    from condense.studies.coverage.files import OWNED, coverage_folder, write_coverage
    from condense.studies.coverage.run import coverage_of_runs, plan_coverage

    given = list(flags.pop("assignments"))
    if radius_quantile is not None:
        given.append(f"evaluator.radius_quantile={radius_quantile}")
    if same_class:
        given.append("evaluator.same_class=true")
    request = make_request(stages=STAGES, assignments=given, **flags)
    if dry_run:
        with open_session(ctx, device) as session:
            workers = session.workers(request)
            plan = plan_coverage(runs, request, session.host, **session.tools)
        echo_plan(plan, as_json, workers)
        return
    if out is not None:
        check_folder(out, OWNED)
    with open_session(ctx, device) as session:
        crew = session.crew(request)
        result = coverage_of_runs(runs, request, session.host, **session.tools, crew=crew)
        folder = write_coverage(result, out if out is not None else coverage_folder(result))
    _show(result, folder, as_json)


def _show(result: Coverage, folder: Path, as_json: bool) -> None:
    from condense.cli.output import echo_json, echo_place, echo_table, say

    if as_json:
        echo_json(result.to_json() | {"out": str(folder)})
        return
    rows = []
    for run in result.runs:
        for point in run.iterations:
            shares = (point.all, point.easy, point.hard, point.area.all)
            rows.append((run.label, point.iteration, *(f"{100 * s:.2f}" for s in shares)))
    echo_table(HEADERS, rows)
    say(
        f"\nradius {result.radius:.4g}, within which {100 * result.quantile:g} % of training "
        "samples have another one; area up to twice that"
    )
    echo_place("table, figure and curves", folder)
