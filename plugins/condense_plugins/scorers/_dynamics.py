"""What the scorers that read the training-dynamics pass have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Generator

from condense.engine.training.dynamics import (
    DynamicsOptions,
    dynamics_cost,
    pass_keys,
    run_dynamics,
)
from condense.interfaces import Context, Cost, LabeledData


class ReadsDynamics:
    """Its estimate is that of the pass, and its pieces are the networks of the pass."""

    options: DynamicsOptions
    epoch_eval = False  # whether it reads correctness in eval mode after every epoch, too

    def cost(self, data: LabeledData, samples: int, context: Context) -> Cost:
        """Estimate of the pass."""
        return dynamics_cost(data, context, self.options, self.epoch_eval)

    def pieces(
        self, data: LabeledData, context: Context, rng: Generator
    ) -> Sequence[tuple[str, Mapping[str, Any]]]:
        """Where each network of the pass is kept."""
        keys = pass_keys(data, context, rng, self.options, self.epoch_eval)
        return [("dynamics", key) for key in keys]

    def run_piece(self, number: int, data: LabeledData, context: Context, rng: Generator) -> None:
        """Train network ``number`` of the pass, unless it is stored."""
        given = (data, context, rng, self.options)
        run_dynamics(*given, epoch_eval=self.epoch_eval, numbers=[number])
