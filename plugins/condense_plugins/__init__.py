"""The built-in components, registered through the same hooks as anyone's."""

MODULES = tuple(
    f"condense_plugins.{module}"
    for module in (
        "datasets.digits",
        "datasets.cifar",
        "datasets.tiny_imagenet",
        "datasets.folder",
        "datasets.npz",
        "networks.convnet",
        "networks.resnet",
        "networks.vgg",
        "networks.mlp",
        "scorers.cscore",
        "scorers.forgetting",
        "scorers.el2n",
        "scorers.random",
        "scorers.file",
        "selectors.window",
        "selectors.random",
        "selectors.hardest",
        "selectors.easiest",
        "matchers.trajectory",
        "matchers.none",
        "update_policies.partial",
        "update_policies.full",
        "update_policies.frozen",
        "augmentations.dsa",
        "augmentations.simple",
        "augmentations.combined",
        "augmentations.none",
        "evaluators.accuracy",
        "methods.methods",
        "methods.presets",
    )
)
