"""What all checks share."""

from __future__ import annotations

from torch import Tensor

from condense.errors import BrokenPlugin


def described(value: object) -> str:
    """Type and shape, for messages."""
    if isinstance(value, Tensor):
        return f"{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}"
    return kind_of(value)


def kind_of(value: object) -> str:
    """The name of its type, for messages."""
    return "None" if value is None else type(value).__name__


def require(condition: bool, message: str) -> None:
    """A :class:`BrokenPlugin` saying ``message``, unless ``condition`` holds."""
    if not condition:
        raise BrokenPlugin(message)
