"""SelMatch's partial update (arXiv 2406.18561, section 4.2)."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from condense.interfaces import Selection
from condense.traits import UpdatePolicyTraits
from condense_plugins._built_in import BuiltIn
from condense_plugins.update_policies._share import ALPHA_ADVICE, ShareOptions, easier_share


class PartialPolicy(BuiltIn):
    """Distils the easier share α of each class; the harder rest stays real and frozen."""

    name: ClassVar[str] = "partial"
    version: ClassVar[str] = "1"
    traits: ClassVar[UpdatePolicyTraits] = UpdatePolicyTraits(ALPHA_ADVICE)

    class Options(ShareOptions):
        """The share, and nothing else."""

    options: Options

    def split(self, selection: Selection) -> Tensor:
        """bool [M]: the last ⌊α·count⌋ of each class are distilled."""
        return easier_share(selection, self.options.alpha)
