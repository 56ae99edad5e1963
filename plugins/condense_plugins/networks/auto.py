"""The network for whatever the data are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field
from torch import nn

from condense.data import Modality
from condense.interfaces import Geometry
from condense.options import Options as BaseOptions
from condense_plugins._built_in import BuiltIn
from condense_plugins.networks.convnet import ConvNet
from condense_plugins.networks.mlp import Mlp


class Auto(BuiltIn):
    """``convnet`` for images, ``mlp`` for features; a recipe names the one that it is."""

    name: ClassVar[str] = "auto"
    version: ClassVar[str] = "1"
    stands_for: ClassVar[Mapping[Modality, str]] = {"image": ConvNet.name, "features": Mlp.name}

    class Options(BaseOptions):
        width: int | None = Field(
            None, ge=1, description="of the network that it is; unset = its own default"
        )
        depth: int | None = Field(None, ge=1, description="likewise")

    options: Options

    def build(self, geometry: Geometry) -> nn.Module:
        """That network for samples of ``geometry``."""
        cls: type[ConvNet | Mlp] = ConvNet if geometry.is_image else Mlp
        given = self.options.model_dump(exclude_none=True)
        return cls(cls.Options(**given)).build(geometry)
