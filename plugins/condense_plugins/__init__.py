"""The built-in components, registered through the same hooks as anyone's: a folder a kind."""

MODULES = (
    "condense_plugins.datasets",
    "condense_plugins.networks",
    "condense_plugins.scorers",
    "condense_plugins.selectors",
    "condense_plugins.matchers",
    "condense_plugins.update_policies",
    "condense_plugins.reselectors",
    "condense_plugins.augmentations",
    "condense_plugins.evaluators",
    "condense_plugins.executors",
    "condense_plugins.trackers",
    "condense_plugins.methods",
)
