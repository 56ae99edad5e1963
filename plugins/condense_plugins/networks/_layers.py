"""What the built-in image networks share: norm layers and the check of their input."""

from __future__ import annotations

from torch import nn

from condense.errors import OptionError
from condense.interfaces import Geometry

_GROUPS = 4  # of norm "group", as in the released code of DC


def image_shape(geometry: Geometry, network: str) -> tuple[int, int, int]:
    """(C, H, W) of an image.

    Raises:
        OptionError: for features, naming the network that takes them.
    """
    if not geometry.is_image:
        raise OptionError(
            f"network {network} takes images, these data are features of shape "
            f"{tuple(geometry.shape)}; set `scorer.network=mlp`, `matcher.network=mlp` and "
            "`evaluator.network=mlp`, or leave networks to auto"
        )
    channels, height, width = geometry.shape
    return channels, height, width


def norm_layer(norm: str, channels: int) -> nn.Module:
    """A layer that normalises [B, channels, H, W], with a scale and an offset per channel.

    Args:
        norm: "batch", "instance" (a group per channel), "layer" (one group), "group" (four
            groups) or "none".
        channels: number of channels.

    Raises:
        OptionError: if ``channels`` cannot be divided into four groups.
    """
    if norm == "none":
        return nn.Identity()
    if norm == "batch":
        return nn.BatchNorm2d(channels)
    groups = {"instance": channels, "layer": 1, "group": _GROUPS}[norm]
    if channels % groups:
        raise OptionError(
            f"norm=group needs a width divisible by {groups}, got {channels}; "
            f"try width={channels - channels % groups or groups}"
        )
    return nn.GroupNorm(groups, channels)
