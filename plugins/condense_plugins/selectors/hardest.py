"""The hardest samples of each class."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from condense_plugins.selectors._common import TakesAnEnd


class HardestSelector(TakesAnEnd):
    """Takes the hardest samples of each class, listed hardest first."""

    name: ClassVar[str] = "hardest"
    version: ClassVar[str] = "1"

    def end(self, ranked: Tensor, count: int) -> Tensor:
        """The ``count`` hardest."""
        return ranked[:count]
