"""GraNd, the gradient norm early in training (Paul et al. 2021, arXiv 2107.07075)."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from condense.engine.training.dynamics import DynamicsOptions, Extras
from condense.errors import OptionError
from condense.interfaces import Dynamics
from condense_plugins.scorers._dynamics import ReadsDynamics, looked_at


class GrandScorer(ReadsDynamics):
    """E‖∇ℓ(x, y)‖₂, the norm of the gradient of a sample's loss (GraNd, arXiv 2107.07075).

    In evaluation mode on unaugmented samples after ``eval_epoch`` epochs, averaged over networks
    (the paper's definition 2.1).

    Departures: by default the gradient is that of the last layer alone, which has a closed form,
    ‖softmax − onehot‖₂ · √(‖h‖₂² + 1) with h what goes into it and 1 for its bias, and so costs
    no backward pass (DeepCore takes the same one, at the end of training). ``grand:full`` takes
    all parameters as the paper does. Running averages of normalisation stand for those of a
    batch, as the gradient of one sample has no batch.
    """

    name: ClassVar[str] = "grand"
    version: ClassVar[str] = "2"
    arg: ClassVar[str] = "gradient"  # grand:full

    class Options(DynamicsOptions):
        gradient: Literal["last-layer", "full"] = Field(
            "last-layer",
            description="last-layer: by weight and bias of the last layer, in closed form; full: "
            "by all parameters, sample by sample",
        )

    options: Options

    @property
    def extras(self) -> Extras:
        """Whether all parameters count."""
        return Extras(full_gradient=self.options.gradient == "full")

    def estimator(self, dynamics: Dynamics) -> str:
        """With the form, and the epoch it looks at."""
        return f"grand ({self.options.gradient}, epoch {dynamics.eval_epoch})"

    def of_networks(self, dynamics: Dynamics) -> Tensor:
        """float32 [K, N]: the norm of each network's gradient.

        Raises:
            OptionError: for the closed form of a network that does not end in a linear layer, or
                where nobody looked in evaluation mode.
        """
        if dynamics.full_gradient_norm is not None:
            return dynamics.full_gradient_norm
        norms = looked_at(dynamics, dynamics.eval_gradient_norm, self.options.eval_epoch)
        if bool(torch.isnan(norms).any()):
            raise OptionError(
                f"{self._network()} does not end in a torch.nn.Linear, so the gradient of its "
                "last layer has no closed form; try `scorer.gradient=full`"
            )
        return norms

    def _network(self) -> str:
        if self.options.dynamics is not None:
            return f"the network of `scorer.dynamics={self.options.dynamics}`"
        return f"`scorer.network={self.options.network.component}`"
