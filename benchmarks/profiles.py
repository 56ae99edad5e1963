"""What bounds each of the three loops on a CPU: one step before and after, and its costliest parts.

    python benchmarks/profiles.py --geometry cifar --threads 1

Ways: ``before`` (channels first, memory from the system, the backward step reverse over reverse),
``heap`` (freed memory is kept), ``now`` (and channels-last, and the tangent rules). ``seconds`` is
processor time, which a busy neighbour disturbs less than the clock.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from _common import GEOMETRIES, begin, figures, finish, parser, peak_mb
from matching import Case
from torch.nn import functional as F
from torch.profiler import ProfilerActivity, profile

from condense.engine.context import EngineContext
from condense.engine.runtime.malloc import retain_freed_memory
from condense.engine.runtime.rng import Seed
from condense.engine.training.batches import channels_last
from condense.options import NetworkSpec
from condense_plugins.matchers.trajectory.tangent import TangentSteps

WAYS = ("before", "heap", "now")


def step_back(context: EngineContext, geometry: str, way: str) -> Callable[[], object]:
    """One step of the rollout and its backward step."""
    case = Case(context, geometry, 1, 10)
    steps: Any = TangentSteps.of(case.eager) if way == "now" else case.eager
    rollout = case.rollout

    def call() -> None:
        steps.forward(rollout.start, rollout.step_size, rollout.batches[0])
        steps.backward(
            rollout.start, rollout.target - rollout.start, rollout.step_size, rollout.batches[0]
        )

    return call


def training(
    context: EngineContext, geometry: str, way: str, spec: NetworkSpec, batch: int
) -> Callable[[], object]:
    """One SGD step of a network."""
    shape = GEOMETRIES[geometry][0]
    network = context.network(spec, shape, Seed(0).generator()).train()
    layout = channels_last if way == "now" else torch.Tensor.contiguous
    if way == "now":
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9, fused=True)
    inputs, labels = torch.randn(batch, *shape.shape), torch.arange(batch) % shape.classes

    def call() -> None:
        loss = F.cross_entropy(network(layout(inputs)), labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    return call


def parts(call: Callable[[], object]) -> dict[str, float]:
    """Share of its time that each of the six costliest operations takes."""
    with profile(activities=[ProfilerActivity.CPU]) as found:
        call()
    rows = sorted(found.key_averages(), key=lambda r: -r.self_cpu_time_total)
    total = sum(r.self_cpu_time_total for r in rows)
    return {r.key.removeprefix("aten::"): round(r.self_cpu_time_total / total, 3) for r in rows[:6]}


def rows_of(context: EngineContext, geometry: str, repeats: int) -> list[dict[str, Any]]:
    spec = GEOMETRIES[geometry][1]
    resnet = NetworkSpec.of("resnet18", width=16)
    loops: dict[str, Callable[[str], Callable[[], object]]] = {
        "matching": lambda way: step_back(context, geometry, way),
        "experts": lambda way: training(context, geometry, way, spec, 256),
        "evaluation": lambda way: training(context, geometry, way, resnet, 128),
    }
    rows = []
    for loop, make in loops.items():
        calls = {way: make(way) for way in WAYS}
        seconds: dict[str, list[float]] = {way: [] for way in WAYS}
        for turn in range(repeats):
            for way, call in calls.items():
                with nullcontext() if way == "before" else retain_freed_memory():
                    for _ in range(2 if turn == 0 else 1):  # the first one warms up
                        call()
                    start = time.process_time()
                    call()
                    seconds[way].append(time.process_time() - start)
        for way, call in calls.items():
            with nullcontext() if way == "before" else retain_freed_memory():
                call()
                top = parts(call)
            row = {"geometry": geometry, "loop": loop, "form": way, **figures(seconds[way])}
            rows.append(row | {"peak_mb": peak_mb(call, context.device), "parts": top})
    return rows


def main(argv: Sequence[str]) -> None:
    flags = parser(__doc__)
    flags.add_argument("--geometry", default="digits,cifar", help="comma-separated")
    arguments = flags.parse_args([*argv, "--device", "cpu"])
    rows = []
    with tempfile.TemporaryDirectory() as store:
        context = begin(arguments, Path(store))
        for geometry in arguments.geometry.split(","):
            rows += rows_of(context, geometry, arguments.repeats)
    finish("profiles", arguments, argv, rows, context.device)


if __name__ == "__main__":
    main(sys.argv[1:])
