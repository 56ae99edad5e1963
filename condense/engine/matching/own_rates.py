"""Rates that nobody sets: updates in units of the samples' own spread, inside a trust region.

Where a plan's ``image_lr`` is ``auto`` the gradient is divided by its running root mean square, so
that neither its scale nor that of the data matters: the first update moves the distilled samples by
:data:`SHARE` of their spread, later ones by less and less, as the rate falls evenly to 0, and no
sample gets further than ``image_reach`` spreads from where it started. Where ``step_size_lr`` is
``auto``, an update changes the step size by :data:`STEP_SHARE` of itself at most. How the values
were chosen: docs/rates.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from condense.results import AUTO, MatchPlan

SHARE = 0.02  # of the spread
STEP_SHARE = 0.03
MEMORY = 0.9  # that a running mean square keeps in an update


@dataclass(eq=False)
class OwnRates:
    """What such rates depend on.

    Attributes:
        start: the distilled rows before the first iteration.
        spread: scalar, standard deviation of a value over the samples of the set, root mean square
            over the values; 0 for a single sample.
        squares: float64 [2], running mean squares of the gradients of samples and log step size,
            before their correction for having begun at 0.
        updates: scalar, updates so far; an iteration without effect is none.
        reach: how far a sample may get from its start, in the samples' unit.
        image_lr: float32 [iterations], rates of the samples so far.
    """

    start: Tensor
    spread: Tensor
    squares: Tensor
    updates: Tensor
    reach: Tensor
    image_lr: Tensor

    @staticmethod
    def begin(plan: MatchPlan, inputs: Tensor, rows: Tensor, trace: Tensor) -> OwnRates | None:
        """Before the first iteration on the set ``inputs``; None where the plan has all rates.

        Args:
            trace: like ``image_lr``, nothing in it yet.
        """
        if AUTO not in (plan.image_lr, plan.step_size_lr):
            return None
        zero = torch.zeros((), dtype=torch.float64, device=inputs.device)
        values = inputs.flatten(1).double()
        spread = values.var(0).mean().sqrt() if len(values) > 1 else zero
        squares, reach = torch.zeros_like(zero.expand(2)), plan.image_reach * spread
        return OwnRates(inputs[rows], spread, squares, zero, reach, trace.clone())

    def tensors(self) -> dict[str, Tensor]:
        """What a checkpoint holds; start and spread follow from the set before matching."""
        return {"squares": self.squares, "updates": self.updates, "image_lr": self.image_lr}

    def see(self, gradient: Tensor, slope: Tensor | None, finite: Tensor) -> None:
        """Take the gradients of this iteration into the running means, if they are ``finite``."""
        of_slope = self.spread.new_zeros(()) if slope is None else slope.double().square()
        now = torch.stack([mean_square(gradient), of_slope])
        moved = MEMORY * self.squares + (1 - MEMORY) * now
        self.squares.copy_(torch.where(finite, moved, self.squares))
        self.updates.add_(finite)

    def rates(self, momenta: tuple[float, float]) -> Tensor:
        """float64 [2], what multiplies the momenta of samples and log step size.

        So that their root mean square is 1 at the first update. 0 where no gradient was seen yet.

        Args:
            momenta: share of itself that each keeps.
        """
        kept = self.squares.new_tensor(momenta)
        sizes = (self.squares / (1 - MEMORY**self.updates)).sqrt()
        per_size = (1 - kept) / (1 - kept**self.updates)
        return torch.where(self.squares > 0, per_size / sizes, torch.zeros_like(sizes))

    def within_reach(self, moved: Tensor) -> Tensor:
        """``moved``, like ``start``, with samples that went too far drawn back towards it."""
        away = moved - self.start
        distance = mean_square(away, each=True).sqrt()
        share = torch.where(distance > self.reach, self.reach / distance, distance.new_ones(()))
        return self.start + away * share.to(away.dtype).view(-1, *[1] * (away.dim() - 1))


def mean_square(values: Tensor, each: bool = False) -> Tensor:
    """float64, of all ``values`` [M, …], or [M] of ``each`` row."""
    flat = values.flatten(1) if each else values.flatten()
    norm: Tensor = torch.linalg.vector_norm(flat, dim=-1, dtype=torch.float64)
    return norm.square() / max(1, flat.shape[-1])
