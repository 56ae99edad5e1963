"""``condense evaluate``: what a condensed set is worth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from condense.cli.flags import (
    PATH,
    assignment_flag,
    device_flag,
    dry_run_flag,
    executor_flag,
    json_flag,
    make_request,
)

STAGES = ("data", "augmentation", "evaluator")  # the others are those of the artefact


@click.command(
    epilog="""\b
Examples:
  condense evaluate runs/selmatch-digits-ipc5-s0-1a2b3c
  condense evaluate small -o evaluator.network=resnet18 -o augmentation=dsa --json
  condense evaluate small --by-difficulty
"""
)
@click.argument("artefact", type=PATH, metavar="DIR")
@click.option(
    "--data",
    metavar="NAME[:PATH]",
    help="Data set to test on, of the same classes and shape.  [default: the one DIR was made of]",
)
@click.option(
    "--seed",
    type=int,
    metavar="N",
    help="Seed of the networks that are trained.  [default: that of DIR's recipe]",
)
@assignment_flag
@click.option(
    "--by-difficulty",
    "halved",
    is_flag=True,
    help="Also for the easier and the harder half of the test split, as `condense coverage` "
    "halves it; trains two networks on the whole training split, once.",
)
@device_flag
@executor_flag
@dry_run_flag
@json_flag
@click.pass_context
def evaluate(
    ctx: click.Context,
    /,
    artefact: Path,
    halved: bool,
    device: str | None,
    dry_run: bool,
    as_json: bool,
    **flags: Any,
) -> None:
    """Train networks on the condensed set in DIR and test them.

    Data, seed, evaluator (accuracy of five networks, unless the recipe says otherwise) and
    augmentation are those of DIR's recipe.toml; -o takes the stages data, augmentation and
    evaluator. The artefact itself is not changed, and without a test split there is nothing to
    test on.
    """
    from condense.cli.output import (
        BY_CLASS,
        by_class,
        echo_json,
        echo_table,
        echo_teacher,
        mean_and_std,
        seconds,
        warn,
    )
    from condense.cli.planned import echo_plan
    from condense.cli.session import open_session
    from condense.engine.evaluate import evaluate_artefact, plan_evaluation
    from condense.report.diagnosis.findings import problems

    request = make_request(stages=STAGES, **flags)
    if dry_run:
        with open_session(ctx, device) as session:
            workers = session.workers(request)
            plan = plan_evaluation(artefact, request, session.host, **session.tools, halved=halved)
        echo_plan(plan, as_json, workers)
        return
    with open_session(ctx, device) as session:
        more: dict[str, Any] = {"diagnose": problems, "crew": session.crew(request)}
        result, document = evaluate_artefact(
            artefact, request, session.host, **session.tools, **more, halved=halved
        )
    warn(document.findings)
    if as_json:
        echo_json(document.to_json())
        return
    parts = document.by_difficulty or {}
    halves = [f"{100 * parts[name]:.2f}" for name in ("easy", "hard") if parts]
    row = (artefact, mean_and_std(result), *by_class(result), *halves, seconds(result.seconds))
    heading = f"{document.measure}, % ± std (n)"
    names = ("easy half, %", "hard half, %") if parts else ()
    echo_table(("artefact", heading, *BY_CLASS, *names, "time"), [row])
    echo_teacher(result)
