"""Built-in selectors."""

from __future__ import annotations

from collections.abc import Callable

from condense import hookimpl
from condense.interfaces import Selector
from condense_plugins.selectors.easiest import EasiestSelector
from condense_plugins.selectors.hardest import HardestSelector
from condense_plugins.selectors.random import RandomSelector
from condense_plugins.selectors.window import WindowSelector


@hookimpl
def condense_register_selectors(register: Callable[[type[Selector]], None]) -> None:
    register(EasiestSelector)
    register(HardestSelector)
    register(RandomSelector)
    register(WindowSelector)
