"""Presets for a CPU: option values of our own, for a first result."""

from __future__ import annotations

from condense import Preset

SMALL_NET = {"component": "auto", "width": 32}
# what the values of all built-in presets are for, where they choose no component themselves
WRITTEN_FOR = {
    "scorer": "cscore",
    "selector": "window",
    "policy": "partial",
    "matcher": "trajectory",
    "reselector": "curriculum",
    "evaluator": "accuracy",
}

WIDER = {"network": {"width": 128}}  # of features, whose networks cost little

# A few minutes on two CPU cores. Values for digits were chosen on a validation part of its
# training split (README); elsewhere they trade accuracy for time.
QUICK = Preset(
    name="quick",
    summary="a first result in minutes on a CPU (the default)",
    ipc=5,
    written_for=WRITTEN_FOR,
    stages={
        "data": {"component": "digits"},
        "scorer": {
            "networks": 2,
            "epochs": 12,
            "batch_size": 128,
            "lr": 0.1,
            "network": SMALL_NET,
        },
        # the hardest tenth left out, of the rest those that stand for it best
        "selector": {"beta": 0.1, "width": 1.0},
        # as published for the same share of CIFAR-10 (5 %)
        "policy": {"alpha": 0.6},
        "matcher": {
            "network": SMALL_NET,
            "experts": 3,
            "max_start_epoch": 8,
            "expert_epochs": 2,
            "expert_batch_size": 128,
            "iterations": 150,
            "steps": 10,
            "batch_size": 64,
        },
        # its networks as those of the scores
        "reselector": {"epochs": 12, "batch_size": 128, "lr": 0.1},
        "evaluator": {
            "network": SMALL_NET,
            "steps": 400,
            "batch_size": 64,
            "lr": 0.05,
        },
    },
    # chosen, as the window of all, on validation parts of training splits (docs/rates.md)
    for_modality={
        "features": {
            "scorer": WIDER,
            # a small table has few batches an epoch: experts would learn nothing from those of 128
            "matcher": {**WIDER, "image_reach": 0.2, "expert_batch_size": 32},
            "evaluator": WIDER,
        },
    },
    for_data={
        "digits": {
            "scorer": {"networks": 4, "epochs": 15, "batch_size": 64, "lr": 0.05},
            "policy": {"alpha": 0.8},
            "matcher": {
                "experts": 6,
                "max_start_epoch": 10,
                "expert_batch_size": 64,
                "iterations": 300,
                "steps": 10,
                "batch_size": 50,
                "image_lr": 30.0,
                "step_size": 0.05,
                "step_size_lr": 1e-5,
            },
            "reselector": {"epochs": 15, "batch_size": 64, "lr": 0.05},
            "evaluator": {"steps": 300, "lr": 0.1},
        }
    },
)


# The four arms of benchmarks/headline.py on 10 000 images of CIFAR-10, 50 a class, in less than
# half an hour on two cores: what the paper shows, at a scale that needs no GPU.
CPU_CIFAR10 = Preset(
    name="cpu-cifar10-ipc50",
    summary="SelMatch and its baselines on 10 000 images of CIFAR-10 in half an hour on two cores",
    ipc=50,
    written_for=WRITTEN_FOR,
    stages={
        **QUICK.stages,
        "data": {"component": "cifar10"},
        "scorer": {
            "networks": 4,
            "epochs": 15,
            "batch_size": 128,
            "lr": 0.05,
            "network": SMALL_NET,
        },
        "selector": {"beta": 0.6, "width": None},
        # experts that know more than a network trained on the chosen images alone
        "matcher": {
            **QUICK.stages["matcher"],
            "experts": 6,
            "max_start_epoch": 15,
            "expert_epochs": 1,
            "expert_lr": 0.05,
            "iterations": 400,
            "steps": 15,
            "image_lr": 3000.0,
            "step_size": 0.05,
            "step_size_lr": 1e-5,
        },
        "reselector": {"epochs": 15, "batch_size": 128, "lr": 0.05},
        "evaluator": {**QUICK.stages["evaluator"], "steps": 1000},
    },
    sources={
        "selector.beta": "ours: chosen on a validation part of the training split "
        "(benchmarks/results/README.md)",
        "policy.alpha": "paper: as for the same share of CIFAR-10, 5 %",
        "matcher.*": "ours: experts and iterations for time; why no weaker experts, see there",
        "*": "ours, for time",
    },
)

PRESETS = (QUICK, CPU_CIFAR10)
