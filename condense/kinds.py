"""The kinds of components, and the stages of a recipe that they serve."""

# kind on the command line → suffix of its hook
KINDS = {
    "data": "datasets",
    "network": "networks",
    "scorer": "scorers",
    "selector": "selectors",
    "matcher": "matchers",
    "update-policy": "update_policies",
    "augmentation": "augmentations",
    "evaluator": "evaluators",
    "method": "methods",
    "preset": "presets",
}


# stage of a recipe → kind of its component
STAGES = {
    "data": "data",
    "scorer": "scorer",
    "selector": "selector",
    "policy": "update-policy",
    "matcher": "matcher",
    "augmentation": "augmentation",
    "evaluator": "evaluator",
}
