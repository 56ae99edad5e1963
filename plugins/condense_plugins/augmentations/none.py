"""No augmentation."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from torch import Generator, Tensor

from condense import hookimpl
from condense.interfaces import Augmentation, Geometry
from condense.options import Options as BaseOptions
from condense_plugins.augmentations import _warp


class NoAugmentation:
    """Leaves every sample as it is and draws nothing from the generator."""

    name: ClassVar[str] = "none"
    version: ClassVar[str] = "1"

    class Options(BaseOptions):
        pass

    def __init__(self, options: Options) -> None:
        self.options = options

    def draw(self, role: Tensor, geometry: Geometry, rng: Generator) -> Tensor:
        """float32 [..., B, 0] for ``role`` [..., B]."""
        return _warp.no_draws(role)

    def apply(self, inputs: Tensor, draws: Tensor) -> Tensor:
        """``inputs`` itself."""
        return inputs


@hookimpl
def condense_register_augmentations(register: Callable[[type[Augmentation]], None]) -> None:
    register(NoAugmentation)
