"""Shorter twins of the published presets: SelMatch in half an hour on one data-centre GPU.

What they leave out follows from three times measured on an H100 at CIFAR-100, 50 images a class,
before any tuning of speed (``MEASURED``). Half an hour is 1 800 s for scores, experts, matching and
a full evaluation of SelMatch alone (``--no-baselines``); every real-samples baseline is two more
evaluations.

CIFAR, any ipc. The published epochs shrink as the set grows, so an evaluation always costs the
same: 501 epochs of 5 000 images are 501 · 0.45 s = 225 s a network, 1 127 s for all five. That
leaves 673 s:

- scores: 5 ConvNets × 20 epochs of 50 000 images = 100 epochs · 0.39 s = 39 s (the published
  preset's ResNet-18 would take 4.5 s an epoch, 900 s in all);
- experts: 5 × 81 epochs · 0.39 s = 158 s;
- matching: 1 500 iterations · 0.27 s = 405 s;

together 1 729 s. Tiny-ImageNet has twice the images, and a ConvNet sees four times the pixels:
3.1 s an epoch, 0.39 s an iteration of 20 steps. ResNet-18's stem halves the images, so an
evaluation epoch of 10 000 costs 0.9 s: 451 s a network, and the published five alone would take
2 254 s. Hence two networks (902 s, all epochs), 2 × 8 epochs of scores (50 s), 2 experts up to
epoch 41 (256 s) and 1 300 iterations (507 s): 1 715 s.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from condense import Preset
from condense_plugins.methods.paper import PAPER

# seconds on an H100: an expert epoch of 50 000 images, an iteration of 55 steps of 125, an
# evaluation epoch of ResNet-18 on 5 000 images
MEASURED = {"expert_epoch": 0.39, "iteration": 0.27, "evaluation_epoch": 0.45}
TIME = "ours, for time: the arithmetic stands in condense_plugins/methods/fast.py"

Stages = dict[str, dict[str, Any]]

CIFAR: Stages = {
    "scorer": {"networks": 5, "epochs": 20, "network": {"component": "convnet", "width": 128}},
    "matcher": {"experts": 5, "iterations": 1500},
}
TINY: Stages = {
    "scorer": {"networks": 2, "epochs": 8, "network": {"component": "convnet", "width": 128}},
    "matcher": {"experts": 2, "max_start_epoch": 40, "iterations": 1300},
    "evaluator": {"repeats": 2},
}


def _shortened(paper: Preset) -> Preset:
    changes = TINY if paper.name.startswith("paper-tiny") else CIFAR
    stages = {stage: {**table, **changes.get(stage, {})} for stage, table in paper.stages.items()}
    ours = {f"{stage}.{key}": TIME for stage, table in changes.items() for key in table}
    return replace(
        paper,
        name=paper.name.replace("paper-", "fast-", 1),
        summary=f"half an hour on a data-centre GPU instead of {paper.name}",
        stages=stages,
        sources={**paper.sources, **ours},
    )


FAST = tuple(_shortened(paper) for paper in PAPER)
