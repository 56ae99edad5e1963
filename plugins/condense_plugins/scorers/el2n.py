"""EL2N, the error norm early in training (Paul et al. 2021, arXiv 2107.07075)."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor

from condense.engine.training.dynamics import DynamicsOptions
from condense.interfaces import Dynamics
from condense_plugins.scorers._dynamics import ReadsDynamics, looked_at


class El2nScorer(ReadsDynamics):
    """‖softmax − onehot‖₂ after a few epochs, averaged over networks (arXiv 2107.07075).

    The paper's mode looks at networks in evaluation mode on unaugmented samples, after a small
    part of their training (20 of 200 epochs, 10 networks). Online is what released code often
    computes: one norm a presentation, summed over the first epochs.
    """

    name: ClassVar[str] = "el2n"
    version: ClassVar[str] = "4"
    arg: ClassVar[str] = "mode"  # el2n:online

    class Options(DynamicsOptions):
        mode: Literal["paper", "online"] = Field(
            "paper",
            description="paper: evaluation mode after eval_epoch epochs; online: summed over the "
            "first eval_epoch epochs as seen in training",
        )

    options: Options

    def estimator(self, dynamics: Dynamics) -> str:
        """With the form, and the epoch it looks at."""
        return f"el2n ({self.options.mode}, epoch {self._epoch(dynamics)})"

    def of_networks(self, dynamics: Dynamics) -> Tensor:
        """float32 [K, N]: the norm, or the sum of norms, of each network.

        Raises:
            OptionError: for the paper's mode where nobody looked in evaluation mode.
        """
        if self.options.mode == "paper":
            return looked_at(dynamics, dynamics.eval_error_norm, self.options.eval_epoch)
        return dynamics.error_norm[:, : self._epoch(dynamics)].sum(dim=1)  # [K, E, N] → [K, N]

    def _epoch(self, dynamics: Dynamics) -> int:
        """The last epoch that counts: where nobody looked in evaluation mode, seen in training."""
        if self.options.mode == "paper":
            return dynamics.eval_epoch
        return min(self.options.eval_epoch, dynamics.epochs)
