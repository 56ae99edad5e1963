"""A matching shared by two ranks against two bare processes with half of its trajectories each.

python benchmarks/ranks.py -n 3
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from _common import HERE, figures, finish, parser

from condense.engine.runtime.device import pick_device

ROOT = HERE.parent
RANKS, TRAJECTORIES = 2, 4
DIGITS = {"matcher.experts": 2, "matcher.max_start_epoch": 5, "matcher.network.width": 32}
TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(RANKS)]


def start(
    place: Path, ranks: int, trajectories: int, arguments: argparse.Namespace, iterations: int = 0
) -> Any:
    """``condense run`` with a store in ``place``, from experts that are stored there."""
    path = os.pathsep.join(
        [str(ROOT), str(ROOT / "plugins"), *filter(None, [os.environ.get("PYTHONPATH")])]
    )
    own = {"PYTHONPATH": path, "CONDENSE_STORE": str(place / "store")}
    own["OMP_NUM_THREADS"] = str(arguments.threads)
    values = DIGITS | {
        "matcher.iterations": iterations or arguments.iterations,
        "matcher.trajectories": trajectories,
        "evaluator.steps": 1,
        "evaluator.repeats": 1,
    }
    options = [part for key, value in values.items() for part in ("-o", f"{key}={value}")]
    command = ["-m", "condense", "run", "--method", "mtt", "--ipc", str(arguments.ipc)]
    command += ["--no-baselines", "--force", "--out", str(place / "out"), *options]
    if arguments.device:
        command += ["--device", arguments.device]
    return subprocess.Popen(
        [sys.executable, *(TORCHRUN if ranks > 1 else []), *command],
        env=os.environ | own, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def seconds(place: Path, running: Any) -> float:
    """Of the matching loop, once ``running`` has ended; the next run starts without it."""
    _, said = running.communicate()
    if running.returncode:
        raise SystemExit(said)
    log = json.loads((place / "out" / "run.log.json").read_text("utf-8"))
    shutil.rmtree(place / "store" / "matching")
    found: float = log["stages"]["matcher"]["seconds"]
    return found


def main(argv: Sequence[str]) -> None:
    flags = parser(__doc__)
    flags.set_defaults(threads=1)
    flags.add_argument("--iterations", type=int, default=60)
    flags.add_argument("--ipc", type=int, default=10)
    arguments = flags.parse_args(argv)
    half = TRAJECTORIES // RANKS
    times: dict[str, list[float]] = {"ranks": [], "bare": []}
    with tempfile.TemporaryDirectory() as folder:
        places = [Path(folder) / name for name in ("shared", *map(str, range(RANKS)))]
        for place in places:  # experts, and what a first start takes
            place.mkdir()
            seconds(place, start(place, 1, half, arguments, iterations=1))
        for _ in range(arguments.repeats):
            shared, *bare = places
            times["ranks"].append(seconds(shared, start(shared, RANKS, TRAJECTORIES, arguments)))
            side = [(place, start(place, 1, half, arguments)) for place in bare]
            times["bare"].append(max(seconds(place, running) for place, running in side))
    forms = {"ranks": f"{RANKS} ranks, W = {TRAJECTORIES}"}
    forms["bare"] = f"{RANKS} bare processes, W = {half} each, the longer"
    rows: list[dict[str, Any]] = [
        {"form": forms[name], **figures(found)} for name, found in times.items()
    ]
    rows[0]["times_bare"] = rows[0]["seconds"] / rows[1]["seconds"]
    finish("ranks", arguments, argv, rows, pick_device(arguments.device))


if __name__ == "__main__":
    main(sys.argv[1:])
