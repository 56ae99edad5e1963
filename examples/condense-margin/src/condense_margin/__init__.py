"""The scorer `margin`: how far the right class was behind the best other one in training.

The mean over epochs of the margin is the area under the margin of Pleiss et al. (Identifying
Mislabeled Data using the Area Under the Margin Ranking, NeurIPS 2020, arXiv 2001.10528).
"""

from collections.abc import Callable
from typing import ClassVar

from pydantic import Field
from torch import Generator

from condense import DynamicsOptions, hookimpl
from condense.interfaces import Context, LabeledData, Scorer, Scores


class MarginScorer:
    """Minus the margin (correct-class logit minus the largest other), averaged over training."""

    name: ClassVar[str] = "margin"
    version: ClassVar[str] = "1"

    class Options(DynamicsOptions):
        skip: float = Field(0.0, ge=0, lt=1, description="share of first epochs left out, 0-1")

    def __init__(self, options: Options) -> None:
        self.options = options

    def score(self, data: LabeledData, context: Context, rng: Generator) -> Scores:
        """float32 [N], in logits, with the standard error over networks where there are two."""
        margin = context.dynamics(data, rng, self.options).margin  # [networks, epochs, N]
        values = -margin[:, int(self.options.skip * margin.shape[1]) :].mean(1)  # [networks, N]
        error = values.std(0) / len(values) ** 0.5 if len(values) > 1 else None
        return Scores(values.mean(0), "margin (area under)", error)


@hookimpl
def condense_register_scorers(register: Callable[[type[Scorer]], None]) -> None:
    register(MarginScorer)
