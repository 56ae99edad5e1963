"""The training loss of a sample, over training."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from condense.interfaces import Dynamics
from condense_plugins.scorers._dynamics import AveragesEpochs, last_epochs


class LossScorer(AveragesEpochs):
    """−log of the softmax probability of the right class, averaged over training (O2U-Net).

    1/E · Σ_e −log p_y, each as seen in training, before the sample's own update: the small-loss
    criterion by which wrong labels are told (as in O2U-Net, ICCV 2019).

    Departures: the mean over several networks. Released code (CCS, DeepCore) takes the network
    that training ends with; by then even wrong labels are known by heart, so all epochs count
    unless ``last`` says otherwise. ``last=1`` is the end of training, with the augmentation that
    was drawn there, as a pass of its own over the samples would cost more than it tells.
    """

    name: ClassVar[str] = "loss"
    version: ClassVar[str] = "2"

    def of_networks(self, dynamics: Dynamics) -> Tensor:
        """float32 [K, N]: the mean loss of each network, in nats."""
        return last_epochs(dynamics.loss, self.options.last)
