"""SGD and its budget, as one value."""

from __future__ import annotations

import math
from dataclasses import dataclass

from condense.engine.runtime.precision import Precision

FEW_EPOCHS = 10  # fewer than that are too few for the rate to fall once an epoch


@dataclass(frozen=True)
class Schedule:
    """SGD and its budget.

    Attributes:
        steps: optimiser steps in all.
        batch_size: samples a step; the last batches of an epoch may be shorter
            (:func:`batch_sizes`).
        lr: initial learning rate.
        momentum: of SGD.
        weight_decay: of SGD.
        cosine_to: final share of ``lr`` of a cosine schedule updated once an epoch, or None for
            a constant rate.
        precision: of the forward and backward pass.
        in_steps: whether the budget is one of steps, whatever epochs they come to. Where those are
            fewer than :data:`FEW_EPOCHS`, as of a large set, the cosine is updated every step.
    """

    steps: int
    batch_size: int
    lr: float
    momentum: float = 0.0
    weight_decay: float = 0.0
    cosine_to: float | None = None
    precision: Precision = "fp32"
    in_steps: bool = False

    def lr_of(self, step: int, per_epoch: int) -> float:
        """Learning rate of ``step`` (0-based), where an epoch has ``per_epoch`` of them."""
        epochs = -(-self.steps // per_epoch)
        if self.in_steps and epochs < FEW_EPOCHS:
            return self.lr_at(step, self.steps)
        return self.lr_at(step // per_epoch, epochs)

    def lr_at(self, epoch: int, epochs: int) -> float:
        """Learning rate of ``epoch`` (0-based) out of ``epochs``; the last is the lowest."""
        if self.cosine_to is None:
            return self.lr
        low = self.lr * self.cosine_to
        return low + (self.lr - low) * 0.5 * (1 + math.cos(math.pi * epoch / max(epochs - 1, 1)))


def batches_per_epoch(samples: int, batch_size: int) -> int:
    """Batches that cover ``samples``, the last one possibly short."""
    return len(batch_sizes(samples, batch_size))


def batch_sizes(samples: int, batch_size: int) -> list[int]:
    """Of the batches that cover ``samples``: whole ones, then what is left.

    A single sample that is left makes two batches of a half with the last whole one (of 3 or more):
    batch norm takes it for its own mean, and a step on that undoes what a network has learned.
    """
    whole, rest = divmod(samples, batch_size)
    if rest == 1 and whole and batch_size > 2:
        return [batch_size] * (whole - 1) + [batch_size // 2 + 1, (batch_size + 1) // 2]
    return [batch_size] * whole + ([rest] if rest else [])
