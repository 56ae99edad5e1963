"""How the conformance kit is to run built-in components; read by it alone (condense.testing)."""

from typing import Any

# of what is trained for the features
FEATURES = {"epochs": 2, "batch_size": 20, "network": {"component": "convnet", "width": 8}}

CONFORMANCE: dict[str, dict[str, Any]] = {
    "network:resnet18": {"options": {"width": 8}},
    "network:vgg11": {"options": {"width": 8}},
    "scorer:random": {"tags": ["order-sensitive"]},
    # what a file says of which sample is for its maker to answer for
    "scorer:file": {"tags": ["no-hardness", "order-sensitive"]},
    "selector:kcenter": {"options": FEATURES},
    "selector:herding": {"options": FEATURES},
    "selector:facility-location": {"options": FEATURES},
    "selector:moderate": {"options": FEATURES},
    "matcher:distribution": {
        "options": {"real_per_class": 8, "network": {"component": "convnet", "width": 4}},
        # means over all 60 samples of the kit's toy data, of which the set then has each
        "exact_options": {"real_per_class": 60, "network": {"component": "mlp", "width": 8}},
    },
    "matcher:gradient": {
        "options": {
            "real_per_class": 8,
            "network_iterations": 3,
            "network_steps": 2,
            "batch_size": 8,
            "network": {"component": "convnet", "width": 4},
        }
    },
    "matcher:none": {"tags": ["no-gradient"]},
    "matcher:trajectory": {
        "options": {
            "experts": 2,
            "max_start_epoch": 3,
            "steps": 3,
            "batch_size": 8,
            "expert_batch_size": 20,
            "network": {"component": "convnet", "width": 8},
        },
        # expert and student take the same two steps on all 60 samples of the kit's toy data
        "exact_options": {
            "experts": 1,
            "max_start_epoch": 1,
            "expert_epochs": 2,
            "expert_lr": 0.05,
            "expert_batch_size": 60,
            "steps": 2,
            "batch_size": 60,
            "step_size": 0.05,
            "network": {"component": "mlp", "width": 8},
            "augmentation": "none",
        },
    },
    "reselector:curriculum": {
        "options": {
            "epochs": 4,
            "batch_size": 20,
            "rounds": 2,
            "round_steps": 6,
            "network": {"component": "convnet", "width": 8},
        }
    },
    "evaluator:accuracy": {
        "options": {
            "repeats": 2,
            "steps": 20,
            "batch_size": 20,
            "network": {"component": "convnet", "width": 8},
        }
    },
    "evaluator:coverage": {
        "options": {
            "feature_epochs": 2,
            "feature_batch_size": 20,
            "feature_network": {"component": "convnet", "width": 8},
        },
        "tags": ["not-accuracy"],
    },
}
