"""A random subset of each class."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Generator

from condense import hookimpl
from condense.interfaces import Budget, Context, LabeledData, Scores, Selection, Selector
from condense.options import Options as BaseOptions


class RandomSelector:
    """Draws each class's samples uniformly without replacement, in random order."""

    name: ClassVar[str] = "random"
    version: ClassVar[str] = "1"
    needs_scores: ClassVar[bool] = False

    class Options(BaseOptions):
        pass

    def __init__(self, options: Options) -> None:
        self.options = options

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


@hookimpl
def condense_register_selectors(register: Callable[[type[Selector]], None]) -> None:
    register(RandomSelector)
