"""``condense evaluate``: what a condensed set is worth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from condense.cli.flags import (
    FOLDER,
    assignment_flag,
    data_flag,
    device_flag,
    json_flag,
    make_request,
    seed_flag,
)

STAGES = ("data", "augmentation", "evaluator")  # the others are settled in the artefact


@click.command(
    epilog="""\b
Examples:
  condense evaluate runs/selmatch-digits-ipc5-s0-1a2b3c
  condense evaluate small -o evaluator.network=resnet18 -o augmentation=dsa --json
"""
)
@click.argument("artefact", type=FOLDER, metavar="DIR")
@data_flag
@seed_flag
@assignment_flag
@device_flag
@json_flag
@click.pass_context
def evaluate(
    ctx: click.Context, /, artefact: Path, device: str | None, as_json: bool, **flags: Any
) -> None:
    """Train networks on the condensed set in DIR and test them.

    Evaluator, augmentation, data and seed are those of DIR's recipe unless others are given.
    """
    from condense.cli.output import echo_json, echo_table, percent, seconds
    from condense.cli.session import open_session
    from condense.engine.run import evaluate_artefact

    request = make_request(stages=STAGES, **flags)
    with open_session(ctx, device) as session:
        result, document = evaluate_artefact(artefact, request, session.host, **session.tools)
    if as_json:
        echo_json(document)
    else:
        row = (artefact, percent(result), seconds(result.seconds))
        echo_table(("artefact", "accuracy, % ± std (n)", "time"), [row])
