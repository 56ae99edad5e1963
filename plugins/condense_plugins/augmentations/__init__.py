"""Built-in augmentations."""

from __future__ import annotations

from collections.abc import Callable

from condense import hookimpl
from condense.interfaces import Augmentation
from condense_plugins.augmentations.combined import CombinedAugmentation
from condense_plugins.augmentations.dsa import DsaAugmentation
from condense_plugins.augmentations.none import NoAugmentation
from condense_plugins.augmentations.simple import SimpleAugmentation


@hookimpl
def condense_register_augmentations(register: Callable[[type[Augmentation]], None]) -> None:
    register(CombinedAugmentation)
    register(DsaAugmentation)
    register(NoAugmentation)
    register(SimpleAugmentation)
