"""Forgetting events (Toneva et al. 2019, arXiv 1812.05159)."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Generator, Tensor

from condense import hookimpl
from condense.engine.training.dynamics import DynamicsOptions
from condense.interfaces import Context, LabeledData, Scorer, Scores
from condense.traits import ScorerTraits
from condense_plugins.scorers._dynamics import ReadsDynamics
from condense_plugins.scorers._replicates import DYNAMICS_TRAITS, mean_scores


class ForgettingScorer(ReadsDynamics):
    """How often a sample that was classified right is wrong the next time it is seen.

    Samples that no network ever classifies right rank hardest, as in the paper.
    """

    name: ClassVar[str] = "forgetting"
    version: ClassVar[str] = "1"
    traits: ClassVar[ScorerTraits] = DYNAMICS_TRAITS
    arg: ClassVar[str] = "count"  # forgetting:epoch

    class Options(DynamicsOptions):
        count: Literal["presentation", "epoch"] = Field(
            "presentation",
            description="presentation: as seen in training, just before the update (the paper); "
            "epoch: in evaluation mode at the end of each epoch",
        )

    options: Options

    def __init__(self, options: Options) -> None:
        self.options = options
        self.epoch_eval = options.count == "epoch"

    def score(self, data: LabeledData, context: Context, rng: Generator) -> Scores:
        """float32 [N]: events averaged over networks, with the standard error over networks."""
        events = self.replicates(data, context, rng)
        return mean_scores(events, f"forgetting (per {self.options.count})")

    def replicates(self, data: LabeledData, context: Context, rng: Generator) -> Tensor:
        """float32 [K, N]: events in the training of each network."""
        dynamics = context.dynamics(data, rng, self.options, epoch_eval=self.epoch_eval)
        correct = dynamics.eval_correct if dynamics.eval_correct is not None else dynamics.correct
        return forgetting_events(correct)


def forgetting_events(correct: Tensor) -> Tensor:
    """float32 [K, N] events of ``correct`` (bool [K, E, N], one presentation an epoch).

    A sample that is never right in a network's training counts E events there: one more than the
    E − 1 that are possible for one that was ever learned.
    """
    forgotten = (correct[:, :-1] & ~correct[:, 1:]).sum(dim=1).float()
    never = ~correct.any(dim=1)
    return torch.where(never, float(correct.shape[1]), forgotten)


@hookimpl
def condense_register_scorers(register: Callable[[type[Scorer]], None]) -> None:
    register(ForgettingScorer)
