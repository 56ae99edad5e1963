"""``condense score``: the first stage on its own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from condense.cli.flags import FOLDER, device_flag, json_flag, recipe_flags

if TYPE_CHECKING:
    from condense.resolve import Request


@click.command(
    epilog="""\b
Examples:
  condense score
  condense score --data npz:cifar10.npz -o scorer=el2n --out el2n-scores
"""
)
@recipe_flags
@device_flag
@click.option(
    "--out",
    type=FOLDER,
    metavar="DIR",
    help="Where scores.safetensors and manifest.json go.  [default: scores-SCORER-DATA]",
)
@json_flag
@click.pass_context
def score(
    ctx: click.Context, request: Request, device: str | None, out: Path | None, as_json: bool
) -> None:
    """Rate how hard each training sample is; higher = harder, always.

    The scores can be read back with `-o scorer=file:DIR/scores.safetensors`.
    """
    from condense.cli.output import echo_json, echo_summary
    from condense.cli.session import open_session
    from condense.engine.outputs import write_scores

    with open_session(ctx, device) as session:
        recipe = session.recipe(request)
        place = out or Path(f"scores-{recipe['scorer'].name}-{recipe['data'].name}")
        summary = write_scores(session.pipeline(recipe), place)
    (echo_json if as_json else echo_summary)(summary)
