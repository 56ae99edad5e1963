"""The entropy of what a network makes of a sample (Coleman et al. 2020, arXiv 1906.11829)."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from condense.interfaces import Dynamics
from condense.traits import ScorerTraits
from condense_plugins.scorers._dynamics import AveragesEpochs, last_epochs


class EntropyScorer(AveragesEpochs):
    """How undecided networks are about a sample, whatever its label (as arXiv 1906.11829).

    It looks at no label, so a wrong one of which networks are sure scores low: no measure of
    difficulty in the sense of the others.

    1/E · Σ_e −Σ_k p_k log p_k of the softmax p as seen in training, before the sample's own update.

    Departures: the mean over several networks. The paper takes the proxy network that training
    ends with; by then most samples are known by heart and differ by rounding alone, so all epochs
    count unless ``last`` says otherwise. ``last=1`` is the end of training, with the augmentation
    that was drawn there, as a pass of its own over the samples would cost more than it tells.
    """

    name: ClassVar[str] = "entropy"
    version: ClassVar[str] = "2"
    traits: ClassVar[ScorerTraits] = ScorerTraits(AveragesEpochs.traits.advice, difficulty=False)

    def of_networks(self, dynamics: Dynamics) -> Tensor:
        """float32 [K, N]: the mean entropy of each network, in nats."""
        return last_epochs(dynamics.entropy, self.options.last)
