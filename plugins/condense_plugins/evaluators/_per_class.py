"""Rates of each class."""

from __future__ import annotations

import torch
from torch import Tensor


def per_class(hit: Tensor, labels: Tensor, classes: int) -> Tensor:
    """float64 [classes], the share of samples of each class that are hits.

    Args:
        hit: bool [N].
        labels: int64 [N].
        classes: how many; the share is 0 for one without a sample.
    """
    hits = torch.bincount(labels, weights=hit.double(), minlength=classes)
    return hits / torch.bincount(labels, minlength=classes).clamp(min=1)
