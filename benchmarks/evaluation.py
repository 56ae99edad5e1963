"""An evaluation epoch under combined augmentation, and the accuracy it ends in.

    python benchmarks/evaluation.py --geometry digits,cifar

`plain` is written here: float images, real samples cropped and flipped, distilled ones put
through one DSA operation, each drawn and carried out sample by sample as released code does;
plain SGD with the same cosine. Half of the set is real, half distilled. With ``--seeds N`` both
also train N networks on digits (a quarter of its training split) and are tested: the means must
agree within their spread.
"""

from __future__ import annotations

import random
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from _common import GEOMETRIES, begin, figures, finish, in_turns, made_up, numbers, parser, peak_mb
from torch import Tensor, nn
from torch.nn import functional as F

from condense.api import bind
from condense.data import LabeledData
from condense.engine.context import EngineContext
from condense.engine.runtime.rng import Seed
from condense.engine.training.batches import Batcher
from condense.engine.training.concurrent import train_concurrently
from condense.engine.training.loop import Training, predict
from condense.engine.training.schedule import Schedule, batches_per_epoch
from condense.interfaces import Role, TrainingSet
from condense.options import AugmentationSpec, NetworkSpec

ACCURACY_EPOCHS = 60
SGD = {"lr": 0.1, "momentum": 0.9, "weight_decay": 5e-4}
BATCH = 128


def crop_flip(image: Tensor, flip: bool) -> Tensor:
    """A real sample: shifted by up to an eighth, perhaps mirrored."""
    _, height, width = image.shape
    pad = int(height * 0.125 + 0.5)
    x, y = random.randint(0, 2 * pad), random.randint(0, 2 * pad)
    image = F.pad(image, [pad] * 4)[:, y : y + height, x : x + width]
    return image.flip(-1) if flip and random.random() < 0.5 else image


def one_dsa(image: Tensor, flip: bool) -> Tensor:
    """A distilled sample: one of DSA's operations."""
    _, height, width = image.shape
    operation = random.choice(["color", "crop", "cutout", "flip", "scale", "rotate"])
    if operation == "color":
        image = image + random.random() - 0.5
        grey = image.mean(0, keepdim=True)
        image = grey + (image - grey) * 2 * random.random()
        return image.mean() + (image - image.mean()) * (0.5 + random.random())
    if operation == "crop":
        return crop_flip(image, False)
    if operation == "cutout":
        x, y = random.randint(0, width), random.randint(0, height)
        image = image.clone()
        image[
            :, max(0, y - height // 4) : y + height // 4, max(0, x - width // 4) : x + width // 4
        ] = 0
        return image
    if operation == "flip":
        return image.flip(-1) if flip and random.random() < 0.5 else image
    angle = torch.tensor((random.random() - 0.5) * 0.5236 if operation == "rotate" else 0.0)
    sx, sy = (random.uniform(1 / 1.2, 1.2) if operation == "scale" else 1.0 for _ in "xy")
    theta = torch.tensor(
        [[[sx * angle.cos(), -angle.sin(), 0.0], [angle.sin(), sy * angle.cos(), 0.0]]]
    ).to(image)
    grid = F.affine_grid(theta, [1, *image.shape], align_corners=True)
    return F.grid_sample(image[None], grid, align_corners=True)[0]


def plain(network: nn.Module, batcher: Batcher, schedule: Schedule, flip: bool, seed: int) -> None:
    """The loop that anyone would write."""
    random.seed(seed)
    network.train()
    inputs, labels = batcher.batch(torch.arange(len(batcher), device=batcher.device))
    real = (batcher.role == Role.REAL).tolist()
    optimizer = torch.optim.SGD(network.parameters(), **SGD)
    rng = torch.Generator().manual_seed(seed)
    per_epoch = batches_per_epoch(len(batcher), BATCH)
    epochs = -(-schedule.steps // per_epoch)
    for epoch in range(epochs):
        for group in optimizer.param_groups:
            group["lr"] = schedule.lr_at(epoch, epochs)
        for index in torch.randperm(len(inputs), generator=rng).split(BATCH):
            batch = [(crop_flip if real[i] else one_dsa)(inputs[i], flip) for i in index.tolist()]
            loss = F.cross_entropy(network(torch.stack(batch)), labels[index.to(labels.device)])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def half_distilled(data: LabeledData) -> TrainingSet:
    """Every second sample in the role of a distilled one."""
    role = (torch.arange(len(data)) % 2 == 0).to(torch.uint8)
    assert {int(Role.REAL), int(Role.DISTILLED)} == {0, 1}
    return replace(TrainingSet.of(data), role=role)


def schedule_of(samples: int, epochs: int, precision: Any) -> Schedule:
    steps = epochs * batches_per_epoch(samples, BATCH)
    return Schedule(steps=steps, batch_size=BATCH, cosine_to=0.01, precision=precision, **SGD)


def rows_of(
    context: EngineContext, geometry: str, samples: int, width: int, arguments: Any
) -> list[dict[str, Any]]:
    device, data = context.device, made_up(geometry, samples)
    batcher = Batcher(half_distilled(data), device)
    combined = context.augmentation(AugmentationSpec.of("combined"))
    flip = GEOMETRIES[geometry][0].flip
    # on a GPU the step is recorded anew in every turn: enough epochs to make up for it
    epochs = arguments.epochs or (20 if device.type == "cuda" else 1)

    def fresh() -> nn.Module:
        spec = NetworkSpec.of("resnet18", width=width)
        return context.network(spec, data.geometry, Seed(0).generator())

    def ours(precision: str, at_once: int) -> Any:
        schedule = schedule_of(samples, epochs, precision)

        def one(seed: int) -> Training:
            rng = torch.Generator(device).manual_seed(seed)
            return Training(fresh(), batcher, schedule, combined, rng)

        return lambda: list(train_concurrently((one(seed) for seed in range(at_once)), at_once))

    precisions = ("fp32", "tf32", "bf16") if device.type == "cuda" else ("fp32",)
    ways: dict[Any, Any] = {(p, k): ours(p, k) for p in precisions for k in arguments.at_once}
    ways["fp32", 0] = lambda: plain(fresh(), batcher, schedule_of(samples, 1, "fp32"), flip, 0)
    seconds = in_turns(ways, arguments.repeats, device)
    return [
        {
            "geometry": geometry,
            "samples": samples,
            "width": width,
            "form": "ours" if at_once else "plain",
            "precision": precision,
            "at_once": max(at_once, 1),
            **figures([s / (epochs * at_once or 1) for s in seconds[precision, at_once]]),
            "peak_mb": peak_mb(call, device),
        }
        for (precision, at_once), call in ways.items()
    ]


def accuracy_rows(context: EngineContext, seeds: int, width: int) -> list[dict[str, Any]]:
    """Test accuracy on digits of both loops, ``seeds`` networks each."""
    data = bind("digits").data
    assert data.test is not None
    tests = Batcher(TrainingSet.of(data.test), context.device)
    batcher = Batcher(half_distilled(data.subset(torch.arange(0, len(data), 4))), context.device)
    combined = context.augmentation(AugmentationSpec.of("combined"))
    precision = "bf16" if context.device.type == "cuda" else "fp32"
    schedule = schedule_of(len(batcher), ACCURACY_EPOCHS, precision)
    rows = []
    for form in ("ours", "plain"):
        values = []
        for seed in range(seeds):
            spec = NetworkSpec.of("resnet18", width=width)
            network = context.network(spec, data.geometry, Seed(seed).generator())
            if form == "ours":
                rng = torch.Generator(context.device).manual_seed(seed)
                Training(network, batcher, schedule, combined, rng).run()
            else:
                plain(network, batcher, schedule, False, seed)
            right = predict(network, tests, precision=schedule.precision).argmax(1) == tests.labels
            values.append(float(right.double().mean()))
        row = {"geometry": "digits", "form": form, "accuracy": statistics.mean(values)}
        rows.append(row | {"accuracy_std": statistics.stdev(values), "n": seeds})
    return rows


def main(argv: Sequence[str]) -> None:
    flags = parser(__doc__)
    flags.add_argument("--geometry", default="digits,cifar", help="comma-separated")
    flags.add_argument("--samples", type=int, default=None, help="images; 512 (GPU: 5000)")
    flags.add_argument("--width", type=int, default=None, help="of ResNet-18; 16 (GPU: 64)")
    flags.add_argument("--seeds", type=int, default=0, help="networks for the accuracy on digits")
    flags.add_argument("--epochs", type=int, default=None, help="in one timed turn; 1 (GPU: 20)")
    flags.add_argument(
        "--at-once", type=numbers, default=[1], help="networks side by side; seconds are of one"
    )
    arguments = flags.parse_args(argv)
    rows = []
    with tempfile.TemporaryDirectory() as store:
        context = begin(arguments, Path(store))
        cuda = context.device.type == "cuda"
        samples = arguments.samples or (5000 if cuda else 512)
        width = arguments.width or (64 if cuda else 16)
        for geometry in arguments.geometry.split(","):
            rows += rows_of(context, geometry, samples, width, arguments)
        if arguments.seeds > 1:
            rows += accuracy_rows(context, arguments.seeds, width)
    finish("evaluation", arguments, argv, rows, context.device)


if __name__ == "__main__":
    main(sys.argv[1:])
