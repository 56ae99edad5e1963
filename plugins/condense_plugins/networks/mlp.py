"""A multilayer perceptron on features or flattened images."""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import ClassVar, Literal

from pydantic import Field
from torch import nn

from condense.interfaces import Geometry
from condense.options import Options as BaseOptions
from condense_plugins._built_in import BuiltIn


class Mlp(BuiltIn):
    """Hidden layers of linear map, norm and ReLU, then a linear layer."""

    name: ClassVar[str] = "mlp"
    version: ClassVar[str] = "1"

    class Options(BaseOptions):
        width: int = Field(128, ge=1, description="units of every hidden layer")
        depth: int = Field(2, ge=0, description="number of hidden layers; 0 is a linear model")
        norm: Literal["none", "batch"] = Field("none", description="normalisation layer")

    options: Options

    def build(self, geometry: Geometry) -> nn.Module:
        """A module from [B, D] or [B, C, H, W] to logits [B, classes]."""
        size = math.prod(geometry.shape)
        layers: list[nn.Module] = [nn.Flatten()]
        for _ in range(self.options.depth):
            layers.append(nn.Linear(size, self.options.width))
            if self.options.norm == "batch":
                layers.append(nn.BatchNorm1d(self.options.width))
            layers.append(nn.ReLU())
            size = self.options.width
        parts = OrderedDict[str, nn.Module](features=nn.Sequential(*layers))
        parts["classifier"] = nn.Linear(size, geometry.classes)
        return nn.Sequential(parts)
