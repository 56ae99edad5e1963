"""Random crop with zero padding, and horizontal flip where the data allow it."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Generator, Tensor

from condense.interfaces import Geometry
from condense.options import Options as BaseOptions
from condense_plugins.augmentations import _warp


class SimpleAugmentation(_warp.Warps):
    """Pad, crop to the old size at a random place, mirror half of the time."""

    name: ClassVar[str] = "simple"
    version: ClassVar[str] = "1"

    class Options(BaseOptions):
        padding: float = Field(
            0.125, ge=0, lt=1, description="padding on each border, fraction of the side"
        )
        flip: bool | None = Field(
            None, description="whether to mirror half of the samples; unset = as the data allow"
        )

    options: Options

    def draw(self, role: Tensor, geometry: Geometry, rng: Generator) -> Tensor:
        """Random shifts and flips, whatever the roles.

        Args:
            role: uint8 [..., B]; only shape and device matter.
            geometry: of one sample; features get draws of width 0.
            rng: on the device of ``role``; 3 uniform numbers a sample are taken from it.

        Returns:
            float32 [..., B, 13], layout in :mod:`condense_plugins.augmentations._warp`.
        """
        if not geometry.is_image:
            return _warp.no_draws(role)
        _, height, width = geometry.shape
        uniforms = torch.rand((*role.shape, 3), generator=rng, device=role.device)
        across, down, mirror = uniforms.unbind(-1)
        columns = _warp.identity_columns(role)
        columns[_warp.TX] = _warp.shift(across, _warp.margin(width, self.options.padding))
        columns[_warp.TY] = _warp.shift(down, _warp.margin(height, self.options.padding))
        if geometry.flip if self.options.flip is None else self.options.flip:
            columns[_warp.A11] = _warp.mirror(mirror)
        return torch.stack(columns, -1)
