"""``condense export``: a condensed set for programs that do not know ``condense``."""

from __future__ import annotations

from pathlib import Path

import click

from condense.cli.flags import FOLDER, json_flag


@click.command(
    epilog="""\b
Examples:
  condense export runs/selmatch-digits-ipc5-s0-1a2b3c --to folder --out small-images
  condense export small --to npz --out small.npz
"""
)
@click.argument("artefact", type=FOLDER, metavar="DIR")
@click.option(
    "--to",
    "form",
    type=click.Choice(["folder", "npz"]),
    required=True,
    help="folder: one folder of PNG images a class, as torchvision's ImageFolder reads; "
    "npz: arrays for numpy.load.",
)
@click.option("--out", type=FOLDER, metavar="PATH", required=True, help="Where it goes.")
@json_flag
@click.pass_context
def export(ctx: click.Context, artefact: Path, form: str, out: Path, as_json: bool) -> None:
    """Write the condensed set in DIR as an image folder or an npz file."""
    import contextlib
    import sys

    from condense.cli.output import echo_json, say, say_error
    from condense.engine.artefact.dataset import CondensedDataset

    with contextlib.redirect_stdout(sys.stderr):
        small = CondensedDataset.load(artefact)
        (small.to_image_folder if form == "folder" else small.to_npz)(out)
    if small.soft_labels is not None:
        note = (
            "images lie under their own class, without their soft labels, which --to npz keeps"
            if form == "folder"
            else "train towards soft_labels; npz:PATH as data reads train_labels, the own classes"
        )
        say_error(f"note: {note}")
    if as_json:
        echo_json({"artefact": str(artefact), "to": form, "out": str(out), "samples": len(small)})
    else:
        say(f"{len(small)} samples written to {out}")
