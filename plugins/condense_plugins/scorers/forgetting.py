"""Forgetting events (Toneva et al. 2019, arXiv 1812.05159)."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from condense.engine.training.dynamics import DynamicsOptions, Extras
from condense.interfaces import Dynamics
from condense_plugins.scorers._dynamics import ReadsDynamics


class ForgettingScorer(ReadsDynamics):
    """How often a sample once classified right is wrong the next time (arXiv 1812.05159).

    Samples that no network ever classifies right rank hardest, as in the paper.
    """

    name: ClassVar[str] = "forgetting"
    version: ClassVar[str] = "3"
    arg: ClassVar[str] = "count"  # forgetting:epoch

    class Options(DynamicsOptions):
        count: Literal["presentation", "epoch"] = Field(
            "presentation",
            description="presentation: as seen in training, just before the update (the paper); "
            "epoch: in evaluation mode at the end of each epoch",
        )

    options: Options

    @property
    def extras(self) -> Extras:
        """Whether events are counted in eval mode."""
        return Extras(epoch_eval=self.options.count == "epoch")

    def estimator(self, dynamics: Dynamics) -> str:
        """With what events are counted by."""
        return f"forgetting (per {self.options.count})"

    def of_networks(self, dynamics: Dynamics) -> Tensor:
        """float32 [K, N]: events in the training of each network."""
        correct = dynamics.eval_correct if self.extras.epoch_eval else dynamics.correct
        assert correct is not None
        return forgetting_events(correct)


def forgetting_events(correct: Tensor) -> Tensor:
    """float32 [K, N] events of ``correct`` (bool [K, E, N], one presentation an epoch).

    A sample that is never right in a network's training counts E events there: one more than the
    E − 1 that are possible for one that was ever learned.
    """
    forgotten = (correct[:, :-1] & ~correct[:, 1:]).sum(dim=1).float()
    never = ~correct.any(dim=1)
    return torch.where(never, float(correct.shape[1]), forgotten)
