"""Built-in selectors."""

from __future__ import annotations

from collections.abc import Callable

from condense import hookimpl
from condense.interfaces import Selector
from condense_plugins.selectors.dual_beta import DualBetaSelector
from condense_plugins.selectors.easiest import EasiestSelector
from condense_plugins.selectors.facility_location import FacilityLocationSelector
from condense_plugins.selectors.hardest import HardestSelector
from condense_plugins.selectors.herding import HerdingSelector
from condense_plugins.selectors.kcenter import KCenterSelector
from condense_plugins.selectors.moderate import ModerateSelector
from condense_plugins.selectors.random import RandomSelector
from condense_plugins.selectors.stratified import StratifiedSelector
from condense_plugins.selectors.window import WindowSelector

SELECTORS: tuple[type[Selector], ...] = (
    DualBetaSelector,
    EasiestSelector,
    FacilityLocationSelector,
    HardestSelector,
    HerdingSelector,
    KCenterSelector,
    ModerateSelector,
    RandomSelector,
    StratifiedSelector,
    WindowSelector,
)


@hookimpl
def condense_register_selectors(register: Callable[[type[Selector]], None]) -> None:
    for selector in SELECTORS:
        register(selector)
