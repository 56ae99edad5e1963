"""``condense select``: which real samples a recipe starts from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from condense.cli.flags import (
    PATH,
    device_flag,
    dry_run_flag,
    executor_flag,
    json_flag,
    recipe_flags,
)
from condense.errors import OptionError

if TYPE_CHECKING:
    from condense.resolve import Request


@click.command(
    epilog="""\b
Examples:
  condense select --fraction 0.1 --out tenth.npz
  condense select --data folder:photos --ipc 20 --out kept.csv
  condense select --data folder:photos --ipc 20 -o selector=hardest --json
"""
)
@recipe_flags
@device_flag
@executor_flag
@click.option(
    "--out",
    type=PATH,
    metavar="FILE",
    help="Where the selection goes: FILE.csv or FILE.json with file, class and score of every "
    "sample, or FILE.npz with their positions and files.  [default: nowhere; --json prints it]",
)
@dry_run_flag
@json_flag
@click.pass_context
def select(
    ctx: click.Context,
    request: Request,
    device: str | None,
    out: Path | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Choose real samples, without distilling any.

    Gives positions in the training split, grouped by class, hardest first where scores were used.
    """
    if out is not None and out.suffix not in (".npz", ".csv", ".json"):
        raise OptionError(f"--out {out} must end in .npz, .csv or .json; try --out {out}.csv")
    from condense.cli.output import echo_json, echo_summary, warn
    from condense.cli.planned import echo_plan
    from condense.cli.session import open_session
    from condense.engine.outputs import write_selection
    from condense.report.diagnosis.findings import signs_in_source

    with open_session(ctx, device) as session:
        recipe = session.recipe(request)
        pipeline = session.pipeline(recipe)
        stages = [*pipeline.selecting.needs, pipeline.selecting]
        if dry_run:
            from condense.engine.graph import plan_of

            workers = session.workers(request)
            pipeline.check_budget()
            plan = plan_of(recipe, stages)
        else:
            session.hand_out(request, [(pipeline, stages)])
            document = write_selection(pipeline, out, signs_in_source)
    if dry_run:
        echo_plan(plan, as_json, workers)
        return
    warn(document.findings)
    if as_json:
        echo_json(document.to_json())
    else:
        echo_summary({k: v for k, v in document.to_json().items() if k != "kept"})
