"""Scores as the mean of independent estimates, with its standard error."""

from __future__ import annotations

from torch import Tensor

from condense.interfaces import Scores
from condense.traits import ScorerTraits

DYNAMICS_TRAITS = ScorerTraits({"scores-unreliable": "raise scorer.networks or scorer.epochs"})


def mean_scores(replicates: Tensor, estimator: str) -> Scores:
    """The mean of ``replicates`` (float [R, N]), and s/√R (s with ddof 1) where R > 1."""
    count = len(replicates)
    error = replicates.std(dim=0) / count**0.5 if count > 1 else None
    return Scores(replicates.mean(dim=0), estimator, error)
