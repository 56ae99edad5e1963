"""The share of each class that is distilled."""

from __future__ import annotations

import torch
from torch import Tensor

from condense.interfaces import Selection


def easier_share(selection: Selection, alpha: float) -> Tensor:
    """bool [M], true for the last ⌊α·count + 1e-9⌋ samples of each class, which are the easier."""
    parts = []
    for count in selection.counts:
        distilled = int(alpha * count + 1e-9)
        parts.append(torch.arange(count) >= count - distilled)
    return torch.cat(parts)
