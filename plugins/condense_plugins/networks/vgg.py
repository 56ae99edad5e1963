"""VGG-11 for small images: no hidden linear layers, global average pooling at the end.

Simonyan and Zisserman, Very Deep Convolutional Networks for Large-Scale Image Recognition,
ICLR 2015 (configuration A).
"""

from __future__ import annotations

from collections import OrderedDict
from typing import ClassVar, Literal

from pydantic import Field
from torch import nn

from condense.interfaces import Geometry
from condense.options import Options as BaseOptions
from condense_plugins._built_in import BuiltIn
from condense_plugins.networks._layers import image_shape, norm_layer

# channels of each convolution in units of the width; a max-pool follows each inner tuple
_STAGES = ((1,), (2,), (4, 4), (8, 8), (8, 8))


class Vgg11(BuiltIn):
    """Eight 3×3 convolutions with norm and ReLU in five stages, then a linear layer."""

    name: ClassVar[str] = "vgg11"
    version: ClassVar[str] = "1"

    class Options(BaseOptions):
        width: int = Field(64, ge=1, description="channels of the first stage; up to 8 times later")
        norm: Literal["batch", "instance", "none"] = Field(
            "batch", description="normalisation layer"
        )

    options: Options

    def build(self, geometry: Geometry) -> nn.Module:
        """A module from [B, C, H, W] to logits [B, classes]; parts ``features``, ``classifier``.

        A stage ends in max-pooling unless that would leave fewer than 2 pixels a side; the last
        one ends in global average pooling, so 8×8 digits pass as well as 64×64 images. At 32×32
        the sides are 32, 16, 8, 4, 2 as usual.

        Raises:
            OptionError: for features.
        """
        channels, height, width = image_shape(geometry, self.name)
        side = min(height, width)
        layers: list[nn.Module] = []
        for number, stage in enumerate(_STAGES):
            if number and side >= 4:
                layers.append(nn.MaxPool2d(2))
                side //= 2
            for factor in stage:
                out = factor * self.options.width
                layers += [
                    nn.Conv2d(channels, out, 3, 1, 1),
                    norm_layer(self.options.norm, out),
                    nn.ReLU(),
                ]
                channels = out
        layers.append(nn.AdaptiveAvgPool2d(1))
        parts = OrderedDict[str, nn.Module](features=nn.Sequential(*layers), flatten=nn.Flatten())
        parts["classifier"] = nn.Linear(channels, geometry.classes)
        return nn.Sequential(parts)
