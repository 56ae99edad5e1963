"""Distils every sample, as MTT does (arXiv 2203.11932)."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor

from condense import hookimpl
from condense.interfaces import Selection, UpdatePolicy
from condense.options import Options as BaseOptions


class FullPolicy:
    """Distils every sample, as MTT does (arXiv 2203.11932)."""

    name: ClassVar[str] = "full"
    version: ClassVar[str] = "1"

    class Options(BaseOptions):
        pass

    def __init__(self, options: Options) -> None:
        self.options = options

    def split(self, selection: Selection) -> Tensor:
        """bool [M], all true."""
        return torch.ones(len(selection.indices), dtype=torch.bool)


@hookimpl
def condense_register_update_policies(register: Callable[[type[UpdatePolicy]], None]) -> None:
    register(FullPolicy)
