"""Differentiable siamese augmentation: one random operation per sample or per batch.

Zhao and Bilen, Dataset Condensation with Differentiable Siamese Augmentation, ICML 2021
(arXiv 2102.08259). Images are normalised, so zero padding is the mean colour.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import ClassVar, Literal

import torch
from pydantic import Field, field_validator
from torch import Generator, Tensor

from condense.errors import OptionError, closest
from condense.interfaces import Geometry
from condense.options import Options as BaseOptions
from condense_plugins.augmentations import _warp

# columns of the uniform numbers of one sample; fixed, so that leaving an operation out of the
# strategy does not shift the draws of the others
_CHOICE, _FLIP, _CROP_X, _CROP_Y, _SCALE_X, _SCALE_Y, _ANGLE = range(7)
_BRIGHTNESS, _SATURATION, _CONTRAST, _CUT_X, _CUT_Y, _UNIFORMS = range(7, 13)


class DsaAugmentation(_warp.Warps):
    """One of colour, crop, cutout, flip, scale and rotation, with random strength."""

    name: ClassVar[str] = "dsa"
    version: ClassVar[str] = "1"

    class Options(BaseOptions):
        strategy: str = Field(
            "color_crop_cutout_flip_scale_rotate",
            description="operations to choose from, equally likely, joined by _",
        )
        per: Literal["sample", "batch"] = Field(
            "sample",
            description="what shares one operation: each sample has its own, or the whole batch "
            "has one (strengths stay per sample)",
        )
        flip: bool | None = Field(
            None, description="whether flip is among the operations; unset = as the data allow"
        )
        brightness: float = Field(
            1.0, ge=0, description="add U(−.5, .5) times this, in normalised units"
        )
        saturation: float = Field(
            2.0, ge=0, description="multiply by U(0, this) about each pixel's grey"
        )
        contrast: float = Field(
            0.5, ge=0, description="multiply by U(0, 1) + this about the image's mean"
        )
        crop: float = Field(0.125, ge=0, lt=1, description="greatest shift, fraction of the side")
        cutout: float = Field(0.5, ge=0, le=1, description="side of the box, fraction of the side")
        scale: float = Field(1.2, ge=1, description="stretch each axis by U(1/this, this)")
        rotate: float = Field(15.0, ge=0, le=180, description="greatest angle in degrees")

        @field_validator("strategy")
        @classmethod
        def _known_operations(cls, value: str) -> str:
            parts = value.split("_")
            for part in parts:
                if part not in _OPERATIONS:
                    raise ValueError(
                        f"unknown operation '{part}'{closest(part, _OPERATIONS)} "
                        f"(operations: {', '.join(_OPERATIONS)}, joined by _)"
                    )
                if parts.count(part) > 1:
                    raise ValueError(f"operation '{part}' is named twice")
            return value

    options: Options

    def draw(self, role: Tensor, geometry: Geometry, rng: Generator) -> Tensor:
        """Random operations and strengths, whatever the roles.

        Args:
            role: uint8 [..., B]; only shape and device matter.
            geometry: of one sample; features get draws of width 0.
            rng: on the device of ``role``; 12 uniform numbers a sample are taken from it.

        Returns:
            float32 [..., B, 13], layout in :mod:`condense_plugins.augmentations._warp`.
        """
        if not geometry.is_image:
            return _warp.no_draws(role)
        operations = self.operations(geometry)
        uniforms = torch.rand((*role.shape, _UNIFORMS), generator=rng, device=role.device)
        uniform = uniforms.unbind(-1)
        choice = uniform[_CHOICE][..., :1] if self.options.per == "batch" else uniform[_CHOICE]
        choice = _warp.whole(choice, len(operations))  # [..., B] or [..., 1]
        columns = _warp.identity_columns(role)
        for number, operation in enumerate(operations):
            strengths = _OPERATIONS[operation](self.options, uniform, geometry)
            for column, value in strengths.items():
                columns[column] = torch.where(choice == number, value, columns[column])
        return torch.stack(columns, -1)

    def operations(self, geometry: Geometry) -> tuple[str, ...]:
        """The operations to choose from for ``geometry``: without flip where labels forbid it.

        Raises:
            OptionError: if none is left.
        """
        flip = geometry.flip if self.options.flip is None else self.options.flip
        left = tuple(o for o in self.options.strategy.split("_") if flip or o != "flip")
        if not left:
            raise OptionError(
                f"strategy '{self.options.strategy}' leaves no operation, since these data are "
                "not to be mirrored; name another operation or set flip=true"
            )
        return left


_Uniform = tuple[Tensor, ...]
_Columns = dict[int, Tensor]


def _color(options: DsaAugmentation.Options, u: _Uniform, geometry: Geometry) -> _Columns:
    return {
        _warp.BRIGHTNESS: (u[_BRIGHTNESS] - 0.5) * options.brightness,
        _warp.SATURATION: u[_SATURATION] * options.saturation,
        _warp.CONTRAST: u[_CONTRAST] + options.contrast,
    }


def _crop(options: DsaAugmentation.Options, u: _Uniform, geometry: Geometry) -> _Columns:
    _, height, width = geometry.shape
    return {
        _warp.TX: _warp.shift(u[_CROP_X], _warp.margin(width, options.crop)),
        _warp.TY: _warp.shift(u[_CROP_Y], _warp.margin(height, options.crop)),
    }


def _cutout(options: DsaAugmentation.Options, u: _Uniform, geometry: Geometry) -> _Columns:
    _, height, width = geometry.shape
    x0, x1 = _span(u[_CUT_X], width, options.cutout)
    y0, y1 = _span(u[_CUT_Y], height, options.cutout)
    return {_warp.X0: x0, _warp.X1: x1, _warp.Y0: y0, _warp.Y1: y1}


def _span(uniform: Tensor, side: int, fraction: float) -> tuple[Tensor, Tensor]:
    """Ends of an interval round a uniform centre, clipped at the borders.

    An even interval is centred between two pixels, at one of side + 1 places; an odd one on one
    of the pixels (as published).
    """
    size = _warp.margin(side, fraction)
    start = _warp.whole(uniform, side + 1 - size % 2) - size // 2
    return start.clamp_min(0), (start + size).clamp_max(side)


def _flip(options: DsaAugmentation.Options, u: _Uniform, geometry: Geometry) -> _Columns:
    return {_warp.A11: _warp.mirror(u[_FLIP])}


def _scale(options: DsaAugmentation.Options, u: _Uniform, geometry: Geometry) -> _Columns:
    least = 1 / options.scale
    return {
        _warp.A11: least + u[_SCALE_X] * (options.scale - least),
        _warp.A22: least + u[_SCALE_Y] * (options.scale - least),
    }


def _rotate(options: DsaAugmentation.Options, u: _Uniform, geometry: Geometry) -> _Columns:
    angle = (2 * u[_ANGLE] - 1) * math.radians(options.rotate)
    cos, sin = angle.cos(), angle.sin()
    return {_warp.A11: cos, _warp.A12: -sin, _warp.A21: sin, _warp.A22: cos}


_Operation = Callable[[DsaAugmentation.Options, _Uniform, Geometry], _Columns]
_OPERATIONS: dict[str, _Operation] = {
    "color": _color,
    "crop": _crop,
    "cutout": _cutout,
    "flip": _flip,
    "scale": _scale,
    "rotate": _rotate,
}
