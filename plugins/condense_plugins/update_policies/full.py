"""Distils every sample, as MTT does (arXiv 2203.11932)."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from condense.interfaces import Selection
from condense_plugins._built_in import BuiltIn


class FullPolicy(BuiltIn):
    """Distils every sample, as MTT does (arXiv 2203.11932)."""

    name: ClassVar[str] = "full"
    version: ClassVar[str] = "1"

    def split(self, selection: Selection) -> Tensor:
        """bool [M], all true."""
        return torch.ones(len(selection.indices), dtype=torch.bool)
