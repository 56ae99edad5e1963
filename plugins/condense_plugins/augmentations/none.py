"""No augmentation."""

from __future__ import annotations

from typing import ClassVar

from torch import Generator, Tensor

from condense.interfaces import Geometry
from condense_plugins.augmentations import _warp


class NoAugmentation(_warp.Warps):
    """Leaves every sample as it is and draws nothing from the generator."""

    name: ClassVar[str] = "none"
    version: ClassVar[str] = "1"

    def draw(self, role: Tensor, geometry: Geometry, rng: Generator) -> Tensor:
        """float32 [..., B, 0] for ``role`` [..., B]."""
        return _warp.no_draws(role)
