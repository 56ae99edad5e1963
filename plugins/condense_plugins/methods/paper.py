"""Presets with the values of the SelMatch paper (arXiv 2406.18561), field by field.

Every value is written out, the components' defaults too, so that a preset stays what was published
when a default changes. ``sources`` says of each where it is from: the paper's table, what the
released code does where the paper is silent, or us where neither can be followed.
"""

from __future__ import annotations

from typing import Any

from condense import Preset
from condense_plugins.methods.presets import WRITTEN_FOR

TABLE = "paper: its table of hyper-parameters"
PROTOCOL = "paper: its description of experts, matching and evaluation"
CODE = "released code"
MTT_CODE = "released code, as in MTT (arXiv 2203.11932)"
DSA_CODE = "released code: DSA (arXiv 2102.08259), one operation a batch, strengths per sample"
NO_EFFECT = "ours: without effect on the result beyond rounding"
SCORES = "ours: the paper takes published score files; settings for scores of its kind"

Stages = dict[str, dict[str, Any]]

DSA = {
    "component": "dsa",
    "per": "batch",
    "strategy": "color_crop_cutout_flip_scale_rotate",
    "brightness": 1.0,
    "saturation": 2.0,
    "contrast": 0.5,
    "crop": 0.125,
    "cutout": 0.5,
    "scale": 1.2,
    "rotate": 15.0,
}
MATCHER: dict[str, Any] = {
    "iterations": 10000,
    "steps": 55,
    "trajectories": 1,
    "batch_size": 125,
    "experts": 100,
    "max_start_epoch": 80,
    "start_epoch_growth": 0,
    "expert_epochs": 2,
    "expert_lr": 0.01,
    "expert_momentum": 0.0,
    "expert_batch_size": 256,
    "expert_augmentation": {"component": "none"},
    "network": {"component": "convnet", "width": 128, "depth": 3, "norm": "batch"},
    "augmentation": DSA,
    "image_momentum": 0.5,
    "image_ema": 0.0,
    "image_reach": 0.5,
    "step_size": 0.001,
    "step_size_lr": 1e-5,
    "step_size_momentum": 0.5,
}
EVALUATOR: dict[str, Any] = {
    "network": {"component": "resnet18", "width": 64, "norm": "batch"},
    "repeats": 5,
    "batch_size": 128,
    "lr": 0.1,
    "momentum": 0.9,
    "weight_decay": 5e-4,
}
SCORER: dict[str, Any] = {
    "networks": 5,
    "epochs": 40,
    "eval_epoch": 10,
    "batch_size": 128,
    "lr": 0.1,
    "network": {"component": "resnet18"},
}
SOURCES = {
    "ipc": TABLE,
    "data.norm": "released code: CIFAR-10's statistics for CIFAR-100 too",
    "data.*": "ours: where the files are",
    "selector.component": PROTOCOL,
    "selector.beta": TABLE,
    "selector.unit": "ours: beta as a share of the class; the released code takes beta times ipc, "
    "which does not come near the published accuracy",
    "selector.width": "paper: the window holds as many samples as are taken",
    "selector.precision": "ours: without effect, as a window without a width trains nothing",
    "policy.component": PROTOCOL,
    "policy.alpha": TABLE,
    "matcher.component": PROTOCOL,
    "matcher.iterations": PROTOCOL,
    "matcher.steps": PROTOCOL,
    "matcher.trajectories": MTT_CODE,
    "matcher.batch_size": PROTOCOL,
    "matcher.experts": PROTOCOL,
    "matcher.max_start_epoch": "released code: start epochs 0 to 79",
    "matcher.start_epoch_growth": "released code: start epochs are drawn alike throughout",
    "matcher.first_max_start_epoch": "ours: without effect, as the bound does not grow",
    "matcher.expert_epochs": MTT_CODE,
    "matcher.expert_lr": MTT_CODE,
    "matcher.expert_momentum": MTT_CODE,
    "matcher.expert_batch_size": MTT_CODE,
    "matcher.expert_dtype": NO_EFFECT,
    "matcher.expert_augmentation": "released code: none, by a slip (it compares True with 'dsa'); "
    "MTT used DSA",
    "matcher.network": PROTOCOL,
    "matcher.augmentation": DSA_CODE,
    "matcher.image_lr": TABLE,
    "matcher.image_momentum": MTT_CODE,
    "matcher.image_ema": "released code: no average of the images",
    "matcher.image_reach": "ours: without effect at a rate that is given",
    "matcher.step_size": MTT_CODE,
    "matcher.step_size_lr": MTT_CODE,
    "matcher.step_size_momentum": MTT_CODE,
    "matcher.snapshots": "ours: nothing is saved on the way",
    "matcher.memory": NO_EFFECT,
    "matcher.compile": NO_EFFECT,
    "matcher.experts_at_once": NO_EFFECT,
    "matcher.precision": "released code: PyTorch's own, TF32 convolutions on a GPU",
    "augmentation.component": PROTOCOL,
    "augmentation.*": "released code: DSA on distilled samples, one operation a sample; crop and "
    "flip on real ones",
    "evaluator.epochs": TABLE,
    "evaluator.repeats": PROTOCOL,
    "evaluator.network": PROTOCOL,
    "evaluator.steps": "ours: unset, epochs count",
    "evaluator.baseline_augmentations": "ours: the released code gives its baselines one",
    "evaluator.precision": "ours: bf16 on a GPU",
    "evaluator.at_once": NO_EFFECT,
    "evaluator.*": CODE,
    "scorer.*": SCORES,
}


DEEPER = {"steps": 20, "network": {**MATCHER["network"], "depth": 4}}


def _paper(data: str, ipc: int, alpha: float, beta: float, image_lr: float, epochs: int) -> Preset:
    tiny = data == "tiny-imagenet"
    name = f"paper-{'tiny' if tiny else data}-ipc{ipc}"
    stages: Stages = {
        "data": {"component": data, **({} if tiny else {"norm": "selmatch"})},
        "scorer": {"component": "forgetting" if tiny else "cscore", **SCORER},
        "selector": {"beta": beta, "unit": "class", "width": None},
        "policy": {"alpha": alpha},
        "matcher": {**MATCHER, **(DEEPER if tiny else {}), "image_lr": image_lr},
        "evaluator": {**EVALUATOR, "epochs": epochs},
    }
    return Preset(
        name,
        f"SelMatch as published: {data}, {ipc} images a class",
        stages,
        written_for=WRITTEN_FOR,
        ipc=ipc,
        sources={**SOURCES, "scorer.component": TABLE},
        published=name,
    )


# alpha, beta, learning rate of the images, epochs of the evaluation (E, of which E + 1 are run)
PAPER = (
    _paper("cifar10", 250, 0.6, 0.5, 1e3, 1000),
    _paper("cifar10", 500, 0.2, 0.3, 1e3, 500),
    _paper("cifar10", 1000, 0.1, 0.2, 1e4, 250),
    _paper("cifar10", 1500, 0.1, 0.2, 1e4, 167),
    _paper("cifar100", 25, 0.8, 0.8, 1e3, 1000),
    _paper("cifar100", 50, 0.6, 0.7, 1e3, 500),
    _paper("cifar100", 100, 0.3, 0.6, 1e3, 250),
    _paper("cifar100", 150, 0.2, 0.4, 1e3, 167),
    _paper("tiny-imagenet", 50, 0.6, 0.8, 1e3, 500),
    _paper("tiny-imagenet", 100, 0.5, 0.7, 1e3, 250),
)
