"""Scores as the mean over networks, or repeats, of what the training-dynamics pass shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from torch import Generator, Tensor

from condense.engine.training.dynamics import (
    DynamicsOptions,
    DynamicsPass,
    dynamics_cost,
    dynamics_pass,
)
from condense.interfaces import Context, Cost, LabeledData, Scores
from condense.traits import ScorerTraits
from condense_plugins._built_in import BuiltIn


def mean_scores(replicates: Tensor, estimator: str) -> Scores:
    """The mean of ``replicates`` (float [R, N]), and s/√R (s with ddof 1) where R > 1."""
    count = len(replicates)
    error = replicates.std(dim=0) / count**0.5 if count > 1 else None
    return Scores(replicates.mean(dim=0), estimator, error)


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

    def replicates(self, data: LabeledData, context: Context, rng: Generator) -> Tensor:
        """float32 [K, N]: the estimate of each network."""
        raise NotImplementedError

    def score(self, data: LabeledData, context: Context, rng: Generator) -> Scores:
        """float32 [N], averaged over networks, with the standard error over networks."""
        return mean_scores(self.replicates(data, context, rng), self.estimator)

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

    def _pass(self, data: LabeledData, context: Context, rng: Generator) -> DynamicsPass:
        return dynamics_pass(data, context, rng, self.options, self.epoch_eval)
