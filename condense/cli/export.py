"""``condense export``: a condensed set for programs that do not know ``condense``."""

from __future__ import annotations

from pathlib import Path

import click

from condense.cli.flags import PATH, json_flag
from condense.engine.artefact.exports.forms import FORMS


@click.command(
    epilog="""\b
Examples:
  condense export runs/selmatch-digits-ipc5-s0-1a2b3c --to folder --out small-images
  condense export small --to npz --out small.npz
"""
)
@click.argument("artefact", type=PATH, metavar="DIR")
@click.option(
    "--to",
    type=click.Choice([*FORMS]),
    required=True,
    help="; ".join(f"{name}: {form.help}" for name, form in FORMS.items()) + ".",
)
@click.option("--out", type=PATH, metavar="PATH", required=True, help="Where it goes.")
@click.option(
    "--real-only", is_flag=True, help="Leave out samples that were distilled, and say how many."
)
@json_flag
@click.pass_context
def export(
    ctx: click.Context, artefact: Path, to: str, out: Path, real_only: bool, as_json: bool
) -> None:
    """Write the condensed set in DIR for programs that do not know condense."""
    from condense.cli.output import echo_json, say, say_error
    from condense.cli.session import kept_off_stdout
    from condense.engine.artefact.dataset import CondensedDataset

    with kept_off_stdout():
        whole = CondensedDataset.load(artefact)
        small = whole.real_only() if real_only else whole
        small.export(to, out)
    if small.soft_labels is not None and (told := FORMS[to].soft):
        say_error(f"note: {told}")
    left_out = len(whole) - len(small)
    if real_only:
        say_error(f"note: {left_out} of {len(whole)} samples are distilled and left out")
    if as_json:
        document = {"artefact": str(artefact), "to": to, "out": str(out), "samples": len(small)}
        echo_json(document | ({"left_out": left_out} if real_only else {}))
    else:
        say(f"{len(small)} samples written to {out}")
