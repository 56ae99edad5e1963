"""Keeps every sample real."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor

from condense import hookimpl
from condense.interfaces import Selection, UpdatePolicy
from condense.options import Options as BaseOptions


class FrozenPolicy:
    """Keeps every sample real."""

    name: ClassVar[str] = "frozen"
    version: ClassVar[str] = "1"

    class Options(BaseOptions):
        pass

    def __init__(self, options: Options) -> None:
        self.options = options

    def split(self, selection: Selection) -> Tensor:
        """bool [M], all false."""
        return torch.zeros(len(selection.indices), dtype=torch.bool)


@hookimpl
def condense_register_update_policies(register: Callable[[type[UpdatePolicy]], None]) -> None:
    register(FrozenPolicy)
