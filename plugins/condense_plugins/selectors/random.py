"""A random subset of each class."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Generator

from condense.interfaces import Budget, Context, LabeledData, Scores, Selection
from condense_plugins._built_in import Instant


class RandomSelector(Instant):
    """Draws each class's samples uniformly without replacement, in random order."""

    name: ClassVar[str] = "random"
    version: ClassVar[str] = "1"
    needs_scores: ClassVar[bool] = False

    def select(
        self,
        data: LabeledData,
        scores: Scores | None,
        budget: Budget,
        context: Context,
        rng: Generator,
    ) -> Selection:
        """``count`` samples of every class; ``scores`` are not looked at."""
        chosen = []
        for label, count in enumerate(budget.counts(data)):
            members = data.class_indices(label)
            chosen.append(members[torch.randperm(len(members), generator=rng)[:count]])
        return Selection.of_classes(chosen)
