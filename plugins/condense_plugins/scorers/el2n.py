"""EL2N, the error norm early in training (Paul et al. 2021, arXiv 2107.07075)."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Literal

from pydantic import Field
from torch import Generator

from condense import hookimpl
from condense.engine.dynamics import DynamicsOptions, dynamics_cost, dynamics_options
from condense.interfaces import Context, Cost, LabeledData, Scorer, Scores


class El2nScorer:
    """‖softmax − onehot‖₂ after a few epochs, averaged over networks."""

    name: ClassVar[str] = "el2n"
    version: ClassVar[str] = "1"

    class Options(DynamicsOptions):
        mode: Literal["paper", "online"] = Field(
            "paper",
            description="paper: evaluation mode after eval_epoch epochs; online: summed over the "
            "first eval_epoch epochs as seen in training",
        )

    def __init__(self, options: Options) -> None:
        self.options = options

    def cost(self, data: LabeledData, context: Context) -> Cost:
        """Estimate of the training-dynamics pass it reads."""
        return dynamics_cost(data, context, dynamics_options(self.options))

    def score(self, data: LabeledData, context: Context, rng: Generator) -> Scores:
        """float32 [N], averaged over networks, with the standard error over networks."""
        dynamics = context.dynamics(data, rng, self.options)
        if self.options.mode == "paper":
            values = dynamics.eval_error_norm  # [K, N]
        else:
            values = dynamics.error_norm[:, : dynamics.eval_epoch].sum(dim=1)  # [K, E, N] → [K, N]
        error = values.std(dim=0) / len(values) ** 0.5 if len(values) > 1 else None
        name = f"el2n ({self.options.mode}, epoch {dynamics.eval_epoch})"
        return Scores(values.mean(dim=0), data.fingerprint, name, error)


@hookimpl
def condense_register_scorers(register: Callable[[type[Scorer]], None]) -> None:
    register(El2nScorer)
