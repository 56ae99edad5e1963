"""Does `condense shrink --keep 0.95` on digits hold what it promises, and is its size a small one?

Three questions, each row written as soon as it is made, and one that is there is kept:

- ``shrink``: the whole command under seeds of its own, each with its own held-out part and scores:
  the size, what it keeps on the test split, seconds;
- ``again``: the method and size that the first seed printed, condensed and trained under 20 seeds
  on the whole training split: what each keeps of the whole's test accuracy under the same seed;
- ``grid``: 20 sizes of that method under 5 seeds, likewise: the smallest that keeps enough.

    python benchmarks/shrink.py --minutes 18 --store STORE --out benchmarks/results/shrink-cpu.json

stops after so many minutes and goes on when it is called again.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from _common import HERE, environment
from click.testing import CliRunner

from condense.api import bind
from condense.cli.main import main as condense
from condense.engine.arms import whole_plan
from condense.engine.stages.evaluation import EvaluationStage
from condense.kinds import WHOLE
from condense.studies.shrinking.design import fraction_of

Row = dict[str, Any]
KEEP = 0.95
SEEDS = 20
GRID = range(15, 115, 5)  # samples
GRID_SEEDS = 5
GRID_NETWORKS = 3
EVALUATOR = {"evaluator.baseline_augmentations": ["simple"]}  # as shrink has it


def shrunk(seed: int, folder: Path) -> Row:
    """The command under ``seed``, with the clock and the processor's time."""
    command = ["shrink", "--keep", str(KEEP), "--seed", str(seed), "--json"]
    start, busy = time.perf_counter(), time.process_time()
    result = CliRunner().invoke(condense, [*command, "--out", str(folder / f"shrink-{seed}")])
    seconds = {"seconds": time.perf_counter() - start, "busy": time.process_time() - busy}
    if result.exit_code:
        raise SystemExit(result.stderr)
    told = json.loads(result.stdout)
    kept = ("method", "size", "to_random", "target", "test")
    return {key: told[key] for key in kept} | {"whole": told["whole"]["mean"]} | seconds


def tested(method: str, samples: int, seed: int, networks: int) -> Row:
    """Test accuracy of ``samples`` under ``seed``, and as a share of the whole's of 5 networks."""
    data = bind("digits").data
    options = EVALUATOR | {"evaluator.repeats": networks}
    part: Any = {"fraction": fraction_of(data, samples), "seed": seed, "options": options}
    pipeline = bind("digits", method=method, **part)
    pipeline.shared_seed = 0
    whole = bind("digits", method="random", fraction=1.0, seed=seed, options=EVALUATOR)
    found = EvaluationStage(whole, whole_plan(whole)).result.mean
    own = pipeline.evaluation.mean
    return {"samples": len(pipeline.condensed), "accuracy": own, WHOLE: found, "kept": own / found}


def todo(rows: dict[str, Row], folder: Path) -> Iterator[tuple[str, Any]]:
    """Names of rows, and what makes each."""
    yield "shrink 0", lambda: shrunk(0, folder)
    first = rows["shrink 0"]
    method, size = first["method"], first["size"]["samples"]
    for seed in range(SEEDS):
        yield f"again {seed}", lambda s=seed: tested(method, size, s, 5)
    for samples in GRID:
        for seed in range(GRID_SEEDS):
            name = f"grid {samples} {seed}"
            yield name, lambda n=samples, s=seed: tested(method, n, s, GRID_NETWORKS)
    for seed in range(1, SEEDS):
        yield f"shrink {seed}", lambda s=seed: shrunk(s, folder)


def summary(rows: dict[str, Row]) -> Row:
    """The figures that the questions ask for, of the rows that are there."""
    of = {kind: [rows[n] for n in rows if n.startswith(kind)] for kind in ("shrink", "again")}
    tests = [row["test"]["kept"] for row in of["shrink"] if row["test"]]
    again = [row["kept"] for row in of["again"]]
    found: Row = {
        "shrink: kept on the test split": f"{sum(k >= KEEP for k in tests)} of {len(tests)}",
        "shrink: sizes": sorted(row["size"]["samples"] for row in of["shrink"] if row["size"]),
        "shrink: seconds": fmean(row["seconds"] for row in of["shrink"]) if of["shrink"] else None,
        "again: kept": f"{sum(k >= KEEP for k in again)} of {len(again)}",
    }
    grid: dict[int, list[float]] = {}
    for name, row in rows.items():
        if name.startswith("grid"):
            grid.setdefault(row["samples"], []).append(row["kept"])
    done = {n: kept for n, kept in sorted(grid.items()) if len(kept) == GRID_SEEDS}
    enough = [n for n, kept in done.items() if fmean(kept) >= KEEP]
    most = [n for n, kept in done.items() if sum(k >= KEEP for k in kept) >= 0.8 * len(kept)]
    found |= {
        "grid: kept, mean": {n: round(fmean(kept), 4) for n, kept in done.items()},
        "grid: smallest whose mean keeps enough": min(enough, default=None),
        "grid: smallest that keeps enough under 4 of 5 seeds": min(most, default=None),
    }
    return found


def main(argv: list[str]) -> None:
    """Make the rows that are missing, for so many minutes."""
    flags = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    flags.add_argument("--minutes", type=float, default=1e9)
    flags.add_argument("--store", type=Path, required=True)
    flags.add_argument("--out", type=Path, default=HERE / "results" / "shrink-cpu.json")
    given = flags.parse_args(argv)
    end = time.monotonic() + 60 * given.minutes
    os.environ["CONDENSE_STORE"] = str(given.store / "store")
    rows: dict[str, Row] = json.loads(given.out.read_text())["rows"] if given.out.exists() else {}
    for name, make in todo(rows, given.store):
        if name in rows:
            continue
        if time.monotonic() > end:
            break
        rows[name] = make()
        document = {
            "benchmark": "shrink",
            "command": "python benchmarks/shrink.py --store STORE",
            "environment": environment(torch.device("cpu")),
            "summary": summary(rows),
            "rows": rows,
        }
        given.out.write_text(json.dumps(document, indent=1) + "\n")
    sys.stdout.write(json.dumps(summary(rows), indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
