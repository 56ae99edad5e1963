"""The ConvNet of dataset distillation.

Gidaris and Komodakis, Dynamic Few-Shot Visual Learning without Forgetting, CVPR 2018, as used by
Dataset Condensation (Zhao et al., ICLR 2021) and every method since.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import ClassVar, Literal

from pydantic import Field
from torch import nn

from condense.errors import OptionError
from condense.interfaces import Geometry
from condense.options import Options as BaseOptions
from condense_plugins._built_in import BuiltIn
from condense_plugins.networks._layers import image_shape, norm_layer


class ConvNet(BuiltIn):
    """Blocks of 3×3 convolution, norm, ReLU and 2×2 average pooling, then a linear layer."""

    name: ClassVar[str] = "convnet"
    version: ClassVar[str] = "1"

    class Options(BaseOptions):
        width: int = Field(128, ge=1, description="channels of every block")
        depth: int | None = Field(
            None,
            ge=1,
            description="number of blocks, each halving the image; unset = by the shorter side: "
            "2 up to 16 pixels, 3 at 32, 4 at 64",
        )
        norm: Literal["batch", "instance", "layer", "group", "none"] = Field(
            "batch", description="normalisation layer of the blocks"
        )

    options: Options

    def build(self, geometry: Geometry) -> nn.Module:
        """A module from [B, C, H, W] to logits [B, classes]; parts ``features``, ``classifier``.

        Raises:
            OptionError: for features, or for images too small for the depth.
        """
        channels, height, width = image_shape(geometry, self.name)
        depth = self._depth(min(height, width))
        blocks: list[nn.Module] = []
        for _ in range(depth):
            blocks += [
                # the bias has no effect before a norm, but belongs to published parameter vectors
                nn.Conv2d(channels, self.options.width, 3, 1, 1),
                norm_layer(self.options.norm, self.options.width),
                nn.ReLU(),
                nn.AvgPool2d(2),
            ]
            channels = self.options.width
        size = channels * (height >> depth) * (width >> depth)
        parts = OrderedDict[str, nn.Module](features=nn.Sequential(*blocks), flatten=nn.Flatten())
        parts["classifier"] = nn.Linear(size, geometry.classes)
        return nn.Sequential(parts)

    def _depth(self, side: int) -> int:
        """The number of blocks for images whose shorter side is ``side``."""
        greatest = side.bit_length() - 1  # ⌊log2 side⌋ halvings leave at least one pixel
        depth = default_depth(side) if self.options.depth is None else self.options.depth
        if depth > greatest:
            advice = f"lower depth to at most {greatest}" if greatest else "use network mlp"
            raise OptionError(
                f"images with a side of {side} are too small for a convnet of depth {depth} "
                f"(greatest depth {greatest}); {advice}"
            )
        return depth


def default_depth(side: int) -> int:
    """Blocks for images of ``side`` pixels: log2(side) − 2, but 2 where that leaves 2 pixels.

    4 → 1, 8 → 2, 16 → 2, 28 → 3, 32 → 3, 64 → 4.
    """
    leaves_two = side.bit_length() - 2
    return max(1, min(leaves_two, max(2, round(math.log2(side)) - 2)))
