"""The augmentation of SelMatch's evaluation: by role, DSA on distilled samples, simple on real.

Lee and Chung, SelMatch, ICML 2024 (arXiv 2406.18561).
"""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Generator, Tensor

from condense.interfaces import Geometry, Role
from condense.options import Options as BaseOptions
from condense.traits import AugmentationTraits
from condense_plugins.augmentations import _warp
from condense_plugins.augmentations.dsa import DsaAugmentation
from condense_plugins.augmentations.simple import SimpleAugmentation


class CombinedAugmentation(_warp.Warps):
    """``dsa`` per sample (published strengths) where distilled, ``simple`` where real."""

    name: ClassVar[str] = "combined"
    version: ClassVar[str] = "1"
    traits: ClassVar[AugmentationTraits] = AugmentationTraits(by_role=True, on_distilled="dsa")

    class Options(BaseOptions):
        padding: float = Field(
            0.125, ge=0, lt=1, description="padding of real samples, fraction of the side"
        )
        flip: bool | None = Field(
            None, description="whether either part may mirror; unset = as the data allow"
        )

    def __init__(self, options: Options) -> None:
        self.options = options
        self._dsa = DsaAugmentation(DsaAugmentation.Options.model_validate({"flip": options.flip}))
        self._simple = SimpleAugmentation(
            SimpleAugmentation.Options.model_validate(options.model_dump())
        )

    def draw(self, role: Tensor, geometry: Geometry, rng: Generator) -> Tensor:
        """Random parameters by role; both kinds are drawn for every sample, DSA first.

        So a sample's draw does not depend on the roles of the others.

        Args:
            role: uint8 [..., B] of :class:`condense.data.Role`.
            geometry: of one sample; features get draws of width 0.
            rng: on the device of ``role``; 15 uniform numbers a sample are taken from it.

        Returns:
            float32 [..., B, 13], layout in :mod:`condense_plugins.augmentations._warp`.
        """
        dsa = self._dsa.draw(role, geometry, rng)
        simple = self._simple.draw(role, geometry, rng)
        return torch.where((role == int(Role.DISTILLED))[..., None], dsa, simple)
