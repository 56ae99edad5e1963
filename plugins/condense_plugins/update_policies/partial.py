"""SelMatch's partial update (arXiv 2406.18561, section 4.2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from torch import Tensor

from condense import hookimpl
from condense.interfaces import Selection, UpdatePolicy
from condense.traits import UpdatePolicyTraits
from condense_plugins.update_policies._share import ALPHA_ADVICE, ShareOptions, easier_share


class PartialPolicy:
    """Distils the easier share α of each class; the harder rest stays real and frozen."""

    name: ClassVar[str] = "partial"
    version: ClassVar[str] = "1"
    traits: ClassVar[UpdatePolicyTraits] = UpdatePolicyTraits(ALPHA_ADVICE)

    class Options(ShareOptions):
        """The share, and nothing else."""

    def __init__(self, options: Options) -> None:
        self.options = options

    def split(self, selection: Selection) -> Tensor:
        """bool [M]: the last ⌊α·count⌋ of each class are distilled."""
        return easier_share(selection, self.options.alpha)


@hookimpl
def condense_register_update_policies(register: Callable[[type[UpdatePolicy]], None]) -> None:
    register(PartialPolicy)
