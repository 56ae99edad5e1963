"""The training-dynamics pass against training alone, and against a pass a score.

    python benchmarks/scoring.py

`training` is the engine's loop with nobody looking on; `dynamics` records all that the scorers of
the pass read; `plain` is written here: a bare loop that puts the whole training split through the
network after every epoch, as scoring code usually does.
"""

from __future__ import annotations

import itertools
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from _common import GEOMETRIES, begin, figures, finish, in_turns, made_up, parser, peak_mb
from torch import nn
from torch.nn import functional as F

from condense.engine.context import EngineContext
from condense.engine.runtime.rng import Seed
from condense.engine.training.batches import Batcher
from condense.engine.training.dynamics import DynamicsOptions, dynamics_pass
from condense.engine.training.loop import Schedule, Training, batches_per_epoch
from condense.engine.training.sgd import SgdOptions
from condense.interfaces import Augmentation, TrainingSet
from condense.options import NetworkSpec, part_of


def plain(
    network: nn.Module, batcher: Batcher, schedule: Schedule, augmentation: Augmentation
) -> torch.Tensor:
    """A bare loop; after every epoch, which samples are right."""
    everything = torch.arange(len(batcher), device=batcher.device)
    optimizer = torch.optim.SGD(
        network.parameters(), lr=schedule.lr, momentum=schedule.momentum,
        weight_decay=schedule.weight_decay,
    )  # fmt: skip
    epochs = schedule.steps // batches_per_epoch(len(batcher), schedule.batch_size)
    rng = torch.Generator(batcher.device).manual_seed(0)
    right = []
    for epoch in range(epochs):
        network.train()
        for group in optimizer.param_groups:
            group["lr"] = schedule.lr_at(epoch, epochs)
        order = torch.randperm(len(batcher), generator=rng, device=batcher.device)
        for index in order.split(schedule.batch_size):
            inputs, labels = batcher.batch(index)
            draws = augmentation.draw(batcher.role[index], batcher.geometry, rng)
            loss = F.cross_entropy(network(augmentation.apply(inputs, draws)), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        network.eval()
        with torch.no_grad():
            parts = [network(batcher.batch(i)[0]).argmax(1) for i in everything.split(1000)]
        right.append(torch.cat(parts) == batcher.labels)
    return torch.stack(right)


def rows_of(
    context: EngineContext,
    geometry: str,
    samples: int,
    epochs: int,
    repeats: int,
    clock: Callable[[], float],
) -> list[dict[str, Any]]:
    device, data = context.device, made_up(geometry, samples)
    spec = NetworkSpec.of("convnet", width=32)
    options = DynamicsOptions(networks=1, epochs=epochs, network=spec)  # type: ignore[call-arg]
    schedule = part_of(SgdOptions, options).schedule(len(data), device)
    augmentation = context.augmentation(options.augmentation)
    batcher = Batcher(TrainingSet.of(data), device)
    seeds = itertools.count()  # a new seed each time: nothing is found in the store

    def training() -> None:
        network = context.network(spec, data.geometry, Seed(0).generator())
        rng = torch.Generator(device).manual_seed(0)
        Training(network, batcher, schedule, augmentation, rng).run()

    ways = {
        "training": training,
        "dynamics": lambda: dynamics_pass(
            data, context, Seed(next(seeds)).generator(), options
        ).run(),
        "plain": lambda: plain(
            context.network(spec, data.geometry, Seed(0).generator()),
            batcher,
            schedule,
            augmentation,
        ),
    }
    seconds = in_turns(ways, repeats, device, clock)
    base = {"geometry": geometry, "samples": samples, "epochs": epochs}
    return [
        {**base, "form": name, **figures(seconds[name]), "peak_mb": peak_mb(call, device)}
        for name, call in ways.items()
    ]


def main(argv: Sequence[str]) -> None:
    flags = parser(__doc__)
    flags.add_argument("--geometry", default="digits", help=", ".join(GEOMETRIES))
    flags.add_argument("--samples", type=int, default=None, help="images; 1437 (GPU: 50000)")
    flags.add_argument("--epochs", type=int, default=10)
    flags.add_argument(
        "--processor-time",
        action="store_true",
        help="seconds of the processor, not of the clock: for a machine with other work to do",
    )
    arguments = flags.parse_args(argv)
    clock = time.process_time if arguments.processor_time else time.perf_counter
    rows = []
    with tempfile.TemporaryDirectory() as store:
        context = begin(arguments, Path(store))
        samples = arguments.samples or (50000 if context.device.type == "cuda" else 1437)
        for geometry in arguments.geometry.split(","):
            rows += rows_of(context, geometry, samples, arguments.epochs, arguments.repeats, clock)
    finish("scoring", arguments, argv, rows, context.device)


if __name__ == "__main__":
    main(sys.argv[1:])
