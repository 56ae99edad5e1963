"""Presets with the published settings of distribution matching (DM, arXiv 2110.04181) and of
gradient matching (DC, arXiv 2006.05929, with DSA, arXiv 2102.08259), field by field.

Both come with one released code. Where papers are silent its values stand, as its own table of
loops by images a class.
"""

from __future__ import annotations

from typing import Any

from condense import Preset
from condense_plugins.methods.paper import DSA
from condense_plugins.methods.presets import WRITTEN_FOR

PAPER = "paper: its experimental settings"
CODE = "released code"
START = "released code: real samples drawn at random"
NO_EFFECT = "ours: without effect, as nothing is scored"

NETWORK = {"component": "convnet", "width": 128, "depth": 3, "norm": "instance"}
MATCHER: dict[str, Any] = {
    "real_per_class": 256,
    "network": NETWORK,
    "augmentation": DSA,
    "image_momentum": 0.5,
    "image_reach": 0.5,
    "image_ema": 0.0,
}
EVALUATOR: dict[str, Any] = {
    "network": NETWORK,
    "epochs": 1000,
    "batch_size": 256,
    "lr": 0.01,
    "momentum": 0.9,
    "weight_decay": 5e-4,
}
SOURCES = {
    "ipc": PAPER,
    "data.norm": "released code: CIFAR-10's constants; for CIFAR-100 those of its training split",
    "data.*": "ours: where the files are",
    "scorer.*": NO_EFFECT,
    "selector.*": START,
    "policy.*": PAPER,
    "matcher.component": PAPER,
    "matcher.iterations": "paper; an iteration is one update of the samples",
    "matcher.real_per_class": PAPER,
    "matcher.network": "paper: ConvNet of three blocks with instance norm",
    "matcher.augmentation": "DSA (arXiv 2102.08259): one operation and strength for all samples of "
    "a class, real and synthetic",
    "matcher.image_lr": PAPER,
    "matcher.image_momentum": CODE,
    "matcher.image_reach": "ours: without effect at a rate that is given",
    "matcher.image_ema": "released code: no average of the images",
    "matcher.snapshots": "ours: nothing is saved on the way",
    "matcher.precision": "released code: PyTorch's own, TF32 convolutions on a GPU",
    "matcher.network_iterations": "released code: its outer loop at this number of images a class",
    "matcher.network_steps": "released code: epochs of its inner loop, in steps of a batch",
    "matcher.network_lr": PAPER,
    "matcher.batch_size": PAPER,
    "augmentation.*": "released code: DSA, one operation a batch, strengths per sample",
    "evaluator.lr": "released code; its rate falls to a tenth after half of the epochs, ours by a "
    "cosine to 1 %",
    "evaluator.repeats": "released code: networks evaluated on each set, of which it makes five",
    "evaluator.steps": "ours: unset, epochs count",
    "evaluator.baseline_augmentations": "ours: the released code has no baselines",
    "evaluator.precision": "ours: bf16 on a GPU",
    "evaluator.at_once": "ours: without effect on the result beyond rounding",
    "evaluator.*": CODE,
}


def _paper(
    method: str, component: str, data: str, ipc: int, repeats: int, **matcher: Any
) -> Preset:
    name = f"paper-{method}-{data}-ipc{ipc}"
    own = {f"matcher.{key}" for key in ("network_iterations", "network_steps", "network_lr")}
    absent = own | {"matcher.batch_size"} if component == "distribution" else set()
    return Preset(
        name,
        f"{method.upper()} as published: {data}, {ipc} images a class",
        {
            "data": {"component": data, "norm": "selmatch" if data == "cifar10" else "own"},
            "matcher": {"component": component, **MATCHER, **matcher},
            "augmentation": DSA,
            "evaluator": {**EVALUATOR, "repeats": repeats},
        },
        written_for=WRITTEN_FOR,
        ipc=ipc,
        sources={key: said for key, said in SOURCES.items() if key not in absent},
        published=name,
        method=method,
    )


def _dm(data: str, ipc: int, image_lr: float) -> Preset:
    return _paper("dm", "distribution", data, ipc, 5, iterations=20_000, image_lr=image_lr)


def _dc(data: str, ipc: int, outer: int, inner: int) -> Preset:
    """``outer`` iterations with each of 1000 networks, ``inner`` epochs on the set in between."""
    samples = ipc * (10 if data == "cifar10" else 100)
    loops = {
        "iterations": 1000 * outer,
        "network_iterations": outer,
        "network_steps": inner * -(-samples // 256),
        "network_lr": 0.01,
        "batch_size": 256,
        "image_lr": 0.1,
    }
    return _paper("dc", "gradient", data, ipc, 20, **loops)


MATCHING = (
    _dm("cifar10", 1, 1.0),
    _dm("cifar10", 10, 1.0),
    _dm("cifar10", 50, 1.0),
    _dm("cifar10", 500, 10.0),
    _dm("cifar10", 1000, 10.0),
    _dm("cifar100", 1, 1.0),
    _dm("cifar100", 10, 1.0),
    _dm("cifar100", 50, 1.0),
    _dc("cifar10", 1, 1, 1),
    _dc("cifar10", 10, 10, 50),
    _dc("cifar10", 50, 50, 10),
    _dc("cifar100", 1, 1, 1),
    _dc("cifar100", 10, 10, 50),
)
