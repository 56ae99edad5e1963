"""Scores as the mean over networks, or repeats, of what the training-dynamics pass shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Generator, Tensor

from condense.engine.training.dynamics import (
    DynamicsOptions,
    DynamicsPass,
    dynamics_cost,
    dynamics_pass,
)
from condense.interfaces import Context, Cost, Dynamics, LabeledData, Scores
from condense.traits import ScorerTraits
from condense_plugins._built_in import BuiltIn


def companions_of(dynamics: Dynamics) -> dict[str, Tensor]:
    """What selectors may ask for beside the scores, float32 [N] each, over networks and epochs.

    ``aum`` is the mean margin in logits (arXiv 2001.10528): low where a label is likely wrong.
    ``probability`` is the mean softmax probability of the true class.
    """
    return {"aum": aum(dynamics).mean(dim=0), "probability": dynamics.probability.mean(dim=(0, 1))}


def aum(dynamics: Dynamics) -> Tensor:
    """Area under the margin of each network, float32 [K, N]: its mean over the epochs, finite."""
    # a margin beyond half precision is stored as infinite
    largest = torch.finfo(torch.float16).max
    return dynamics.margin.clamp(-largest, largest).mean(dim=1)


class ReadsDynamics(BuiltIn):
    """Its cost is that of the pass, its pieces and replicates are the networks of the pass."""

    traits: ClassVar[ScorerTraits] = ScorerTraits(
        {"scores-unreliable": "raise scorer.networks or scorer.epochs"}
    )
    options: DynamicsOptions

    @property
    def epoch_eval(self) -> bool:
        """Whether it reads correctness in eval mode after every epoch, too."""
        return False

    @property
    def estimator(self) -> str:
        """What the scores are called."""
        raise NotImplementedError

    def of_networks(self, dynamics: Dynamics) -> Tensor:
        """float32 [K, N]: the estimate of each network."""
        raise NotImplementedError

    def replicates(self, data: LabeledData, context: Context, rng: Generator) -> Tensor:
        """float32 [K, N]: the estimate of each network."""
        return self.of_networks(self._dynamics(data, context, rng))

    def score(self, data: LabeledData, context: Context, rng: Generator) -> Scores:
        """float32 [N], the mean over networks, with its standard error (ddof 1) where K > 1."""
        dynamics = self._dynamics(data, context, rng)
        replicates = self.of_networks(dynamics)
        count = len(replicates)
        error = replicates.std(dim=0) / count**0.5 if count > 1 else None
        return Scores(replicates.mean(dim=0), self.estimator, error, companions_of(dynamics))

    def cost(self, data: LabeledData, samples: int, context: Context) -> Cost:
        """Estimate of the pass."""
        return dynamics_cost(data, context, self.options, self.epoch_eval)

    def pieces(
        self, data: LabeledData, context: Context, rng: Generator
    ) -> Sequence[tuple[str, Mapping[str, Any]]]:
        """Where each network of the pass is kept."""
        return [("dynamics", key) for key in self._pass(data, context, rng).keys()]

    def run_piece(self, number: int, data: LabeledData, context: Context, rng: Generator) -> None:
        """Train network ``number`` of the pass, unless it is stored."""
        self._pass(data, context, rng).run([number])

    def _dynamics(self, data: LabeledData, context: Context, rng: Generator) -> Dynamics:
        return context.dynamics(data, rng, self.options, epoch_eval=self.epoch_eval)

    def _pass(self, data: LabeledData, context: Context, rng: Generator) -> DynamicsPass:
        return dynamics_pass(data, context, rng, self.options, self.epoch_eval)
