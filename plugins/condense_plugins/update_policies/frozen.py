"""Keeps every sample real."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from condense.interfaces import Selection
from condense_plugins._built_in import BuiltIn


class FrozenPolicy(BuiltIn):
    """Keeps every sample real."""

    name: ClassVar[str] = "frozen"
    version: ClassVar[str] = "1"

    def split(self, selection: Selection) -> Tensor:
        """bool [M], all false."""
        return torch.zeros(len(selection.indices), dtype=torch.bool)
