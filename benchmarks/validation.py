"""Choose settings without the test split: one line per setting, tested on a held-out part.

    python benchmarks/validation.py --preset cpu-cifar10-ipc50 --data npz:cifar10.npz \\
        --method window -o evaluator.repeats=3 selector.beta=0.5 selector.beta=0.6
    python benchmarks/validation.py … --method selmatch policy.alpha=0.6,matcher.image_lr=3000

A fifth of the training split, stratified, takes the test split's place (`--share`). A setting is a
comma-separated list of STAGE.KEY=VALUE, `-` for none. `--method random` takes a fresh subset for
every network.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from _common import environment

from condense.cli.progress import make_progress
from condense.engine.evaluation import condensed_plan, evaluate, random_plan
from condense.engine.ingest.holdout import validation_part
from condense.engine.pipeline import Pipeline
from condense.engine.runtime.device import pick_device
from condense.engine.runtime.store import Store
from condense.options import parse_assignment
from condense.plugin.host import build_host
from condense.resolve import Request, resolve


def options(text: str) -> list[tuple[tuple[str, ...], Any]]:
    """ "policy.alpha=0.6,selector.beta=0.5" → assignments."""
    return [parse_assignment(part) for part in text.split(",") if part not in ("", "-")]


def bound(arguments: argparse.Namespace, setting: str) -> Pipeline:
    """The stages under ``setting``, with the held-out part in the test split's place.

    The recipe names the whole data, so that what the preset says for them holds.
    """
    a, host, progress = arguments, build_host(), make_progress()
    given = [pair for text in [*a.common, setting] for pair in options(text)]
    request = Request(a.method, a.preset, data=a.data, ipc=a.ipc, seed=a.seed)
    recipe = resolve(host, replace(request, assignments=tuple(given)))
    store, device = Store.default(progress), pick_device(a.device)
    tools: dict[str, Any] = {"store": store, "device": device, "progress": progress}
    whole = Pipeline(recipe, host, **tools).data
    part = validation_part(whole, a.share, recipe.seed)
    return Pipeline(recipe, host, **tools, data=part)


def row(arguments: argparse.Namespace, setting: str) -> dict[str, Any]:
    """Accuracy on the held-out part under ``setting``."""
    a, pipeline = arguments, bound(arguments, setting)
    if a.method == "random":
        trial = random_plan(pipeline)
    else:
        trial = condensed_plan(pipeline, pipeline.condensed)
    found = evaluate(pipeline, trial)
    seconds = {stage: round(t.seconds, 1) for stage, t in pipeline.timings.items()}
    tried = found.protocol["tried"]
    head = {"method": a.method, "setting": setting}
    return {**head, **found.summary(), "tried": tried, "seconds": seconds}


def main(argv: Sequence[str] | None = None) -> None:
    """Print the rows, and write them with ``--out``."""
    p = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    p.add_argument("--preset", default=None)
    p.add_argument("--data", default="digits")
    p.add_argument("--method", default="selmatch")
    p.add_argument("--ipc", type=int, default=None)
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--share", type=float, default=0.2, help="of the training split, held out")
    p.add_argument("--device", default=None)
    p.add_argument("--threads", type=int, default=torch.get_num_threads())
    p.add_argument("--out", type=Path, default=None, help="JSON file to write")
    p.add_argument("-o", dest="common", action="append", default=[], metavar="KEY=VALUE")
    p.add_argument("settings", nargs="+", metavar="SETTING")
    given = list(sys.argv[1:] if argv is None else argv)
    a = p.parse_args(given)
    torch.set_num_threads(a.threads)
    rows = []
    for setting in a.settings:
        rows.append(row(a, setting))
        sys.stdout.write(json.dumps(rows[-1]) + "\n")
        sys.stdout.flush()
    if a.out is not None:
        command = " ".join(["python", "benchmarks/validation.py", *given])
        around = {"command": command, "environment": environment(pick_device(a.device))}
        document = {"benchmark": "validation", **around, "rows": rows}
        a.out.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
