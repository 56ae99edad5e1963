"""An expert epoch: the engine's training loop, snapshot and all, against a bare loop.

    python benchmarks/experts.py --geometry digits,cifar

`bare` is written here: float images on the device, a permutation an epoch, SGD, no snapshot. The
gradient error is that of the engine's first step against the same batch in float64.
"""

from __future__ import annotations

import copy
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from _common import GEOMETRIES, begin, figures, finish, in_turns, made_up, numbers, parser, peak_mb
from torch import Tensor, nn
from torch.nn import functional as F

from condense.data import LabeledData
from condense.engine.context import EngineContext
from condense.engine.runtime.precision import Precision
from condense.engine.runtime.rng import Seed
from condense.engine.training.batches import Batcher
from condense.engine.training.concurrent import train_concurrently
from condense.engine.training.loop import Training
from condense.engine.training.schedule import Schedule
from condense.interfaces import TrainingSet
from condense.options import AugmentationSpec
from condense_plugins.matchers.trajectory.experts import Experts, trajectory_of
from condense_plugins.matchers.trajectory.options import TrajectoryOptions
from condense_plugins.matchers.trajectory.snapshots import packed, unpacked
from condense_plugins.matchers.trajectory.student import flatten

BATCH, LR = 256, 0.01


def bare(network: nn.Module, inputs: Tensor, labels: Tensor, epochs: int) -> None:
    """The loop that anyone would write."""
    network.train()
    optimizer = torch.optim.SGD(network.parameters(), lr=LR)
    for _ in range(epochs):
        for index in torch.randperm(len(inputs), device=inputs.device).split(BATCH):
            loss = F.cross_entropy(network(inputs[index]), labels[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


class _Seen:
    """The indices of the first batch."""

    indices: Tensor

    def on_batch(self, indices: Tensor, logits: Tensor) -> None:
        self.indices = indices

    def on_epoch(self, done: int) -> None:
        pass


def gradient_error(
    data: LabeledData, context: EngineContext, network: nn.Module, precision: Precision
) -> float:
    """Relative distance of the first step's gradient from the same in float64."""
    exact = copy.deepcopy(network).double().train()
    batcher, seen, before = Batcher(TrainingSet.of(data), context.device), _Seen(), flatten(network)
    none = context.augmentation(AugmentationSpec.of("none"))
    schedule = Schedule(steps=1, batch_size=BATCH, lr=1.0, precision=precision)
    rng = torch.Generator(context.device).manual_seed(0)
    Training(network, batcher, schedule, none, rng, callback=seen).run()
    inputs, labels = batcher.batch(seen.indices)
    F.cross_entropy(exact(inputs.double()), labels).backward()
    truth = torch.cat([p.grad.flatten() for p in exact.parameters()])  # type: ignore[union-attr]
    moved = before.double() - flatten(network)
    return float((moved - truth).norm() / truth.norm())


def bf16_error(trajectory: Tensor) -> float:
    """Relative error of an epoch's way that storing experts in bf16 leaves; the worst epoch's."""
    lost = unpacked(packed(trajectory, "bf16")).diff(dim=0) - trajectory.diff(dim=0)
    return float((lost.norm(dim=1) / trajectory.diff(dim=0).norm(dim=1)).max())


def rows_of(
    context: EngineContext, geometry: str, samples: int, arguments: Any, epochs: int
) -> list[dict[str, Any]]:
    device, data = context.device, made_up(geometry, samples)
    spec = GEOMETRIES[geometry][1]

    def fresh() -> nn.Module:
        return context.network(spec, data.geometry, Seed(0).generator())

    precisions = ("fp32", "tf32", "bf16") if device.type == "cuda" else ("fp32",)
    inputs, labels = Batcher(TrainingSet.of(data), device).batch(torch.arange(samples))

    def ours(precision: str, at_once: int) -> Any:
        options = TrajectoryOptions(
            network=spec, max_start_epoch=epochs, expert_epochs=1, expert_batch_size=BATCH,
            expert_lr=LR, precision=precision,
        )  # type: ignore[arg-type] # fmt: skip

        def call() -> Tensor:
            """So many experts side by side; the trajectory of the last."""
            every = Experts(data, context, options, Seed(0))
            experts = (every.training(k) for k in range(at_once))
            *_, last = (trajectory_of(done) for _, done in train_concurrently(experts, at_once))
            return last

        return call

    ways: dict[Any, Any] = {(p, k): ours(p, k) for p in precisions for k in arguments.at_once}
    ways["fp32", 0] = lambda: bare(fresh(), inputs, labels, epochs)
    seconds = in_turns(ways, arguments.repeats, device)
    rows = []
    for (precision, at_once), call in ways.items():
        row = {"geometry": geometry, "samples": samples, "form": "ours" if at_once else "bare"}
        row |= {"precision": precision, "at_once": max(at_once, 1)}
        row |= figures([s / epochs / max(at_once, 1) for s in seconds[precision, at_once]])
        row["peak_mb"] = peak_mb(call, device)
        if at_once:
            row["gradient_error"] = gradient_error(data, context, fresh(), precision)
            row["bf16_error"] = bf16_error(call())
        rows.append(row)
    return rows


def main(argv: Sequence[str]) -> None:
    flags = parser(__doc__)
    flags.add_argument("--geometry", default="digits,cifar", help="comma-separated")
    flags.add_argument("--samples", type=int, default=None, help="images; 1437, 2560 (GPU: 50000)")
    flags.add_argument("--epochs", type=int, default=None, help="in a timed turn; 10, 1 (GPU: 10)")
    flags.add_argument(
        "--at-once", type=numbers, default=[1], help="experts side by side; seconds are of one"
    )
    arguments = flags.parse_args(argv)
    rows = []
    with tempfile.TemporaryDirectory() as store:
        context = begin(arguments, Path(store))
        cuda = context.device.type == "cuda"
        for geometry in arguments.geometry.split(","):
            count = 1437 if geometry == "digits" else 50000 if cuda else 2560
            # on a GPU the step is recorded anew in every turn: enough epochs to make up for it
            epochs = arguments.epochs or (10 if cuda or geometry == "digits" else 1)
            rows += rows_of(context, geometry, arguments.samples or count, arguments, epochs)
    finish("experts", arguments, argv, rows, context.device)


if __name__ == "__main__":
    main(sys.argv[1:])
