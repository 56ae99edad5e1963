"""The share of each class that is distilled."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from condense.data import portion
from condense.interfaces import Selection
from condense.options import Options
from condense_plugins._built_in import BuiltIn


class ShareOptions(Options):
    """Of the policies that distil the easier share of each class."""

    alpha: float = Field(
        0.6, ge=0, le=1, description="share of each class's samples that are distilled, 0-1"
    )


# what to do about a note or finding of a run, by its code
ALPHA_ADVICE = {
    "nothing-distilled": "for some, raise `ipc` or policy.alpha",
    "loss-flat": "raise policy.alpha",
    "coverage-falls": "lower policy.alpha, so that more of the selection stays real",
    "worse-than-random": "another policy.alpha",
    "not-told-from-random": "another policy.alpha",
}


def easier_share(selection: Selection, alpha: float) -> Tensor:
    """bool [M], true for the last ⌊α·count + 1e-9⌋ samples of each class, which are the easier."""
    parts = []
    for count in selection.counts:
        distilled = portion(alpha, count)
        parts.append(torch.arange(count) >= count - distilled)
    return torch.cat(parts)


class EasierShare(BuiltIn):
    """What the policies have in common that distil the easier share of each class."""

    options: ShareOptions

    def split(self, selection: Selection) -> Tensor:
        """bool [M]: the last ⌊α·count⌋ of each class are distilled."""
        return easier_share(selection, self.options.alpha)
