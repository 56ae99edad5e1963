"""The C-score (Jiang et al. 2021, arXiv 2002.03206) in its learning-speed form."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Literal

from pydantic import Field
from torch import Generator

from condense import hookimpl
from condense.engine.dynamics import DynamicsOptions, dynamics_cost, dynamics_options
from condense.interfaces import Context, Cost, LabeledData, Scorer, Scores


class CScorer:
    """How late a sample is learned: 1 − its mean correctness over training.

    The C-score is the expected accuracy on a sample when it is held out. Its learning-speed form
    (the paper's section 5) replaces that by how much of training the sample is classified right,
    which correlates with it at a fraction of the cost. Higher = harder, so it is turned round.
    """

    name: ClassVar[str] = "cscore"
    version: ClassVar[str] = "1"

    class Options(DynamicsOptions):
        estimator: Literal["learning-speed"] = Field(
            "learning-speed", description="learning-speed: mean correctness over training"
        )

    def __init__(self, options: Options) -> None:
        self.options = options

    def cost(self, data: LabeledData, context: Context) -> Cost:
        """Estimate of the training-dynamics pass it reads."""
        return dynamics_cost(data, context, dynamics_options(self.options))

    def score(self, data: LabeledData, context: Context, rng: Generator) -> Scores:
        """float32 [N]: 1 − mean over networks and epochs of correct; its standard error over
        networks."""
        correct = context.dynamics(data, rng, self.options).correct.float()  # [K, E, N]
        per_network = 1 - correct.mean(dim=1)
        error = None
        if len(per_network) > 1:
            error = per_network.std(dim=0) / len(per_network) ** 0.5
        return Scores(per_network.mean(dim=0), data.fingerprint, "cscore (learning-speed)", error)


@hookimpl
def condense_register_scorers(register: Callable[[type[Scorer]], None]) -> None:
    register(CScorer)
