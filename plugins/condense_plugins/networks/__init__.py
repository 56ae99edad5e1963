"""Built-in networks."""

from __future__ import annotations

from collections.abc import Callable

from condense import hookimpl
from condense.interfaces import Network
from condense_plugins.networks.auto import Auto
from condense_plugins.networks.convnet import ConvNet
from condense_plugins.networks.mlp import Mlp
from condense_plugins.networks.resnet import ResNet18
from condense_plugins.networks.vgg import Vgg11


@hookimpl
def condense_register_networks(register: Callable[[type[Network]], None]) -> None:
    register(Auto)
    register(ConvNet)
    register(Mlp)
    register(ResNet18)
    register(Vgg11)
