"""SelMatch's partial update (arXiv 2406.18561, section 4.2)."""

from __future__ import annotations

from typing import ClassVar

from condense.traits import UpdatePolicyTraits
from condense_plugins.update_policies._share import ALPHA_ADVICE, EasierShare, ShareOptions


class PartialPolicy(EasierShare):
    """Distils the easier share α of each class; the harder rest stays real and frozen."""

    name: ClassVar[str] = "partial"
    version: ClassVar[str] = "1"
    traits: ClassVar[UpdatePolicyTraits] = UpdatePolicyTraits(ALPHA_ADVICE)

    class Options(ShareOptions):
        """The share, and nothing else."""

    options: Options
