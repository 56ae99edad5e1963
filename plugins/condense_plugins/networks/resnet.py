"""ResNet-18 for small images: a 3×3 stem and no max-pooling.

He et al., Deep Residual Learning for Image Recognition, CVPR 2016.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor, nn

from condense.interfaces import Geometry
from condense.options import Options as BaseOptions
from condense_plugins._built_in import BuiltIn
from condense_plugins.networks._layers import image_shape, norm_layer

# Of fewer, oneDNN 3.12's backward pass of a strided 1×1 convolution in channels-last writes where
# it must not, on processors without AVX-512 (github.com/uxlfoundation/oneDNN/issues/6035): such a
# convolution is given every second pixel instead, which is the same.
SAFE_CHANNELS = 8


class ResNet18(BuiltIn):
    """Four stages of two basic blocks, global average pooling, a linear layer."""

    name: ClassVar[str] = "resnet18"
    version: ClassVar[str] = "1"

    class Options(BaseOptions):
        width: int = Field(64, ge=1, description="channels of the first stage; each next doubles")
        norm: Literal["batch", "instance"] = Field("batch", description="normalisation layer")
        stem_stride: int | None = Field(
            None,
            ge=1,
            description="stride of the first convolution; unset = 1 where the shorter side is "
            "at most 32 pixels, else 2",
        )

    options: Options

    def build(self, geometry: Geometry) -> nn.Module:
        """A module from [B, C, H, W] to logits [B, classes].

        Stages two to four halve the image, but never below 2 pixels (8×8 digits would otherwise
        end at one, where instance norm is constant).

        Raises:
            OptionError: for features.
        """
        channels, height, width = image_shape(geometry, self.name)
        side, planes = min(height, width), self.options.width
        stride = self.options.stem_stride or (1 if side <= 32 else 2)
        parts = OrderedDict[str, nn.Module](
            stem=nn.Conv2d(channels, planes, 3, stride, 1, bias=False),
            norm=norm_layer(self.options.norm, planes),
            relu=nn.ReLU(),
        )
        side = -(-side // stride)
        for stage in range(4):
            stride = 2 if stage and side >= 3 else 1
            out = self.options.width << stage
            parts[f"stage{stage + 1}"] = nn.Sequential(
                _BasicBlock(planes, out, stride, self.options.norm),
                _BasicBlock(out, out, 1, self.options.norm),
            )
            planes, side = out, -(-side // stride)
        parts["pool"], parts["flatten"] = nn.AdaptiveAvgPool2d(1), nn.Flatten()
        parts["classifier"] = nn.Linear(planes, geometry.classes)
        return nn.Sequential(parts)


class _BasicBlock(nn.Module):
    """Two 3×3 convolutions beside a shortcut."""

    def __init__(self, channels: int, out: int, stride: int, norm: str) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, out, 3, stride, 1, bias=False),
            norm_layer(norm, out),
            nn.ReLU(),
            nn.Conv2d(out, out, 3, 1, 1, bias=False),
            norm_layer(norm, out),
        )
        self.shortcut: nn.Module = nn.Identity()
        # step between the pixels that the shortcut is given
        self.taken = stride if channels < SAFE_CHANNELS else 1
        if stride != 1 or channels != out:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels, out, 1, stride // self.taken, bias=False), norm_layer(norm, out)
            )
        self.relu = nn.ReLU()

    def forward(self, inputs: Tensor) -> Tensor:
        """[B, channels, H, W] to [B, out, ⌈H/stride⌉, ⌈W/stride⌉]."""
        beside = inputs[..., :: self.taken, :: self.taken]
        result: Tensor = self.relu(self.body(inputs) + self.shortcut(beside))
        return result
