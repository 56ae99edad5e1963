"""AUM, the area under the margin (Pleiss et al. 2020, arXiv 2001.10528)."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from condense.interfaces import Dynamics
from condense_plugins.scorers._dynamics import ReadsDynamics, aum


class AumScorer(ReadsDynamics):
    """Minus the mean margin over training, in logits (AUM, arXiv 2001.10528).

    AUM = 1/E · Σ_e (z_y − max_{k≠y} z_k) of the logits z as seen in training, before the sample's
    own update: by how much the right class was ahead of the best other one. It is low where a
    label is likely wrong; higher = harder here, so it is turned round.

    Departures: the mean over several networks instead of one, with a standard error. All epochs
    count; the paper stops before the learning rate first drops, which here it never does in steps.
    """

    name: ClassVar[str] = "aum"
    version: ClassVar[str] = "2"

    def estimator(self, dynamics: Dynamics) -> str:
        """Of logits, as others take probabilities."""
        return "aum (logits)"

    def of_networks(self, dynamics: Dynamics) -> Tensor:
        """float32 [K, N]: minus the mean margin of each network, in logits."""
        return -aum(dynamics)
