"""What large experiments take on 1, 8 and 64 GPUs, from stated rates: nothing is trained.

The plan is that of ``condense run --dry-run --no-baselines`` for the named preset, on made-up
images of the real shape and number. Where a dry run times a few steps, their floating point
operations are counted instead and divided by a rate:

python benchmarks/forecasts.py --tflops 10 --launch-ms 0.5
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

import condense_plugins.matchers.trajectory.cost as rollouts
from condense.data import LabeledData, Normalization
from condense.engine.graph import at_once, plan
from condense.engine.pipeline import Pipeline
from condense.engine.runtime.progress import SilentProgress
from condense.engine.runtime.store import Store
from condense.engine.training import estimate
from condense.plugin.host import Host, build_host
from condense.resolve import Request, resolve

WORKERS = (1, 8, 64)
GIB, MIB = 2**30, 2**20


@dataclass(frozen=True)
class Case:
    """An experiment: the data's shape and number, and the preset that it follows."""

    name: str
    samples: int
    tests: int
    classes: int
    side: int
    preset: str
    ipc: int


CASES = (
    Case("CIFAR-100, ipc 50", 50_000, 10_000, 100, 32, "paper-cifar100-ipc50", 50),
    Case("Tiny-ImageNet, ipc 50", 100_000, 10_000, 200, 64, "paper-tiny-ipc50", 50),
    Case("ImageNet-1k at 64 px, ipc 10", 1_281_167, 50_000, 1000, 64, "paper-tiny-ipc50", 10),
)


def images(case: Case, count: int, test: LabeledData | None = None) -> LabeledData:
    """``count`` black images: one, seen as many."""
    one = torch.zeros(1, 1, 1, 1, dtype=torch.uint8)
    names = tuple(map(str, range(case.classes)))
    made = LabeledData(
        one.expand(count, case.side, case.side, 3),
        torch.arange(count) % case.classes,
        names,
        Normalization((0.5,) * 3, (0.25,) * 3),
        name=case.name,
        test=test,
    )
    vars(made)["fingerprint"] = f"{case.name}, {count}"
    return made


def counted(tflops: float, least: float) -> Callable[..., float]:
    """In the place of ``time_call``: operations of the call at ``tflops``, or ``least`` seconds."""

    def seconds(call: Callable[[], object], device: torch.device) -> float:
        with FlopCounterMode(display=False) as counter:
            call()
        return max(counter.get_total_flops() / (tflops * 1e12), least)

    return seconds


def forecast(case: Case, host: Host) -> dict[str, Any]:
    """Stages with their jobs, hours by number of workers, memory and disk."""
    data = images(case, case.samples, images(case, case.tests))
    request = Request(
        method="selmatch", preset=case.preset, ipc=case.ipc, in_memory=True, modality="image"
    )
    with tempfile.TemporaryDirectory() as place:
        tools = {"store": Store(Path(place)), "progress": SilentProgress()}
        recipe = resolve(host, request)
        pipeline = Pipeline(recipe, host, **tools, device=torch.device("cpu"), data=data)
        found = plan(pipeline, baselines=False)
        costs = [stage for stage in found.stages if stage.seconds]
        memory = pipeline.matching.cost()
    return {
        "case": case.name,
        "preset": case.preset,
        "stages": [
            {"stage": s.stage, "jobs": s.jobs, "hours": (s.seconds or 0) / 3600} for s in costs
        ],
        "hours": {str(n): at_once(found.stages, n) / 3600 for n in WORKERS},
        "memory_gib": 0.0 if memory is None else memory.memory / GIB,
        "disk_gib": found.disk_mb * MIB / GIB,
    }


def row(found: dict[str, Any]) -> str:
    """A row of the table in docs/executors.md."""
    jobs = ", ".join(
        f"{s['jobs'] or ''}{' × ' if s['jobs'] else ''}{s['stage']} "
        f"{s['hours'] / max(s['jobs'], 1):.2g} h"
        for s in found["stages"]
    )
    hours = " | ".join(f"{found['hours'][str(n)]:.3g}" for n in WORKERS)
    sizes = f"{found['memory_gib']:.0f} GiB | {found['disk_gib']:.0f} GiB"
    return f"| {found['case']} | {jobs} | {hours} | {sizes} |"


def main(argv: Sequence[str] | None = None) -> None:
    flags = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    flags.add_argument("--tflops", type=float, default=10.0, help="of one GPU, sustained")
    flags.add_argument("--launch-ms", type=float, default=0.5, help="least time of a step")
    flags.add_argument("--out", type=Path, default=Path("benchmarks/results/forecasts.json"))
    given = flags.parse_args(argv)
    least = given.launch_ms / 1000
    # one step instead of several: it is counted, not timed
    estimate.TIMED_STEPS, rollouts.TIMED_STEPS = 1, 1
    estimate.time_call = counted(given.tflops, least)
    rollouts.time_call = counted(given.tflops, 3 * least)  # a step, its gradient, their pass back
    host, found = build_host(external=False), []
    print("| | jobs | 1 GPU, h | 8 | 64 | main memory | disk |")
    print("|---|---|---|---|---|---|---|")
    for case in CASES:
        found.append(forecast(case, host))
        print(row(found[-1]), flush=True)
    result = {
        "command": f"python benchmarks/forecasts.py --tflops {given.tflops:g} "
        f"--launch-ms {given.launch_ms:g}",
        "cases": found,
    }
    given.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
