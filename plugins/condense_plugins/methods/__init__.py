"""Built-in methods and presets."""

from __future__ import annotations

from collections.abc import Callable

from condense import Method, Preset, hookimpl
from condense_plugins.methods.fast import FAST
from condense_plugins.methods.matching import MATCHING
from condense_plugins.methods.methods import METHODS
from condense_plugins.methods.paper import PAPER
from condense_plugins.methods.presets import PRESETS


@hookimpl
def condense_register_methods(register: Callable[[Method], None]) -> None:
    for method in METHODS:
        register(method)


@hookimpl
def condense_register_presets(register: Callable[[Preset], None]) -> None:
    for preset in (*PRESETS, *PAPER, *FAST, *MATCHING):
        register(preset)
