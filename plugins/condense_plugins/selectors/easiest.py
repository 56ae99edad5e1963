"""The easiest samples of each class."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from condense_plugins.selectors._common import TakesAnEnd


class EasiestSelector(TakesAnEnd):
    """Takes the easiest samples of each class, listed hardest first."""

    name: ClassVar[str] = "easiest"
    version: ClassVar[str] = "1"

    def end(self, ranked: Tensor, count: int) -> Tensor:
        """The ``count`` easiest."""
        return ranked[len(ranked) - count :]
