"""The one differentiable image transformation behind every built-in augmentation.

An augmentation draws, for each sample, :data:`WIDTH` numbers in the layout below; :func:`apply`
carries them out. A column that an operation does not use holds its identity value, so a batch
of mixed operations is one computation of static shape.

| columns | meaning | identity |
|---|---|---|
| 0–5 | affine map, row-major 2×3, from an output pixel to the place it is read from | 1 0 0 0 1 0 |
| 6 | brightness, added | 0 |
| 7 | saturation, factor about the mean over the channels of a pixel | 1 |
| 8 | contrast, factor about the mean of the image | 1 |
| 9–12 | cutout box x0, x1, y0, y1 in pixels, half open | 0 0 0 0 |

The map works on pixels counted from the centre of the image, x to the right and y down, so that
flips and whole-pixel shifts are exact in float32 and rotations are true on non-square images.
The order is map, brightness, saturation, contrast, cutout. What is read from outside is zero, in
normalised units the mean colour of the data set.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from condense_plugins._built_in import BuiltIn

A11, A12, TX, A21, A22, TY = range(6)
BRIGHTNESS, SATURATION, CONTRAST = range(6, 9)
X0, X1, Y0, Y1 = range(9, 13)
WIDTH = 13


def identity_columns(like: Tensor) -> list[Tensor]:
    """:data:`WIDTH` float32 columns of the shape and device of ``like`` that change nothing."""
    zero = torch.zeros(like.shape, device=like.device)
    one = torch.ones(like.shape, device=like.device)
    columns = [zero] * WIDTH
    for column in (A11, A22, SATURATION, CONTRAST):
        columns[column] = one
    return columns


def no_draws(role: Tensor) -> Tensor:
    """Draws of width 0, float32 [..., B, 0], for samples that pass through unchanged."""
    return torch.zeros((*role.shape, 0), device=role.device)


def margin(side: int, fraction: float) -> int:
    """``fraction`` of ``side`` in whole pixels, halves rounded up."""
    return int(side * fraction + 0.5)


def whole(uniform: Tensor, count: int) -> Tensor:
    """Uniform numbers in [0, 1) as equally likely whole numbers 0 … count − 1 (float32)."""
    return (uniform * count).floor()


def shift(uniform: Tensor, pad: int) -> Tensor:
    """Uniform numbers in [0, 1) as equally likely shifts −pad … pad in pixels."""
    return whole(uniform, 2 * pad + 1) - pad


def mirror(uniform: Tensor) -> Tensor:
    """Uniform numbers in [0, 1) as −1 (mirrored) or 1, equally likely."""
    return 1 - 2 * (uniform < 0.5).to(uniform.dtype)


def apply(inputs: Tensor, draws: Tensor) -> Tensor:
    """``inputs`` transformed sample by sample as ``draws`` say; differentiable in ``inputs``.

    On a CPU, parts that are the identity for the whole batch are skipped, with equal results. On
    other devices nothing is read back, so that a CUDA graph can capture the call.

    Args:
        inputs: float32 or float64 [B, C, H, W]; features [B, D] are returned as they are.
        draws: float32 [B, WIDTH], or [B, 0] for no change.
    """
    if inputs.dim() != 4 or draws.shape[-1] == 0:
        return inputs
    eager = draws.device.type == "cpu"
    eye = torch.eye(2, 3, device=draws.device).flatten()
    moved = (draws[:, : TY + 1] != eye).any(1)  # [B]
    coloured = _differs(draws, BRIGHTNESS, 0.0)
    coloured = coloured | _differs(draws, SATURATION, 1.0) | _differs(draws, CONTRAST, 1.0)
    cut = (draws[:, X1] > draws[:, X0]) & (draws[:, Y1] > draws[:, Y0])  # [B]
    values = draws.to(inputs.dtype)
    if not eager or bool(moved.any()):
        # samples that stay in place keep their exact values, whatever else is in the batch
        inputs = torch.where(moved[:, None, None, None], _resample(inputs, values), inputs)
    if not eager or bool(coloured.any()):
        inputs = _colour(inputs, values)
    if not eager or bool(cut.any()):
        inputs = inputs.masked_fill(_box(inputs, values)[:, None], 0.0)
    return inputs


class Warps(BuiltIn):
    """An augmentation whose draws are those of :func:`apply`, or of width 0."""

    def apply(self, inputs: Tensor, draws: Tensor) -> Tensor:
        """``inputs`` [B, C, H, W] or [B, D] changed by ``draws`` [B, 13]; differentiable."""
        return apply(inputs, draws)


def _differs(draws: Tensor, column: int, identity: float) -> Tensor:
    return draws[:, column] != identity


def _resample(inputs: Tensor, values: Tensor) -> Tensor:
    """Bilinear sampling of ``inputs`` [B, C, H, W] through the affine maps in ``values``."""
    height, width = inputs.shape[2:]
    x = torch.arange(width, device=values.device, dtype=values.dtype) - (width - 1) / 2
    y = torch.arange(height, device=values.device, dtype=values.dtype)[:, None] - (height - 1) / 2
    a11, a12, tx, a21, a22, ty = values[:, : TY + 1, None, None].unbind(1)  # [B, 1, 1] each
    # not affine_grid: its matrix product may run in TF32, which loses whole tenths of a pixel
    across = a11 * x + (a12 * y + tx)  # [B, H, W]
    down = a21 * x + (a22 * y + ty)
    # in pixels align_corners makes no difference; false is exact for sides that are powers of
    # two, and right for a side of 1
    grid = torch.stack((across * (2 / width), down * (2 / height)), -1)  # [B, H, W, 2]
    return functional.grid_sample(
        inputs, grid, mode="bilinear", padding_mode="zeros", align_corners=False
    )


def _colour(inputs: Tensor, values: Tensor) -> Tensor:
    """Brightness, saturation and contrast, in this order; lerp is exact at factor 1."""
    brightness, saturation, contrast = values[:, BRIGHTNESS : CONTRAST + 1].unbind(1)
    bright = inputs + brightness[:, None, None, None]
    saturated = torch.lerp(bright.mean(1, True), bright, saturation[:, None, None, None])
    return torch.lerp(saturated.mean((1, 2, 3), True), saturated, contrast[:, None, None, None])


def _box(inputs: Tensor, values: Tensor) -> Tensor:
    """bool [B, H, W], true inside each sample's cutout box."""
    height, width = inputs.shape[2:]
    x = torch.arange(width, device=values.device)
    y = torch.arange(height, device=values.device)[:, None]
    x0, x1, y0, y1 = values[:, X0 : Y1 + 1, None, None].unbind(1)  # [B, 1, 1] each
    return (x >= x0) & (x < x1) & (y >= y0) & (y < y1)
