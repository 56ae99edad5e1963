"""No matching: the selection is the result."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Generator

from condense import hookimpl
from condense.interfaces import Context, LabeledData, Matcher, MatchPlan, MatchStep, SyntheticSet
from condense.options import Options as BaseOptions


class NoMatcher:
    """Leaves every sample as it was selected; nothing is distilled."""

    name: ClassVar[str] = "none"
    version: ClassVar[str] = "1"

    class Options(BaseOptions):
        pass

    def __init__(self, options: Options) -> None:
        self.options = options

    @property
    def plan(self) -> MatchPlan:
        """No iterations."""
        return MatchPlan(iterations=0)

    def prepare(self, data: LabeledData, context: Context, rng: Generator) -> None:
        """Nothing to prepare."""

    def step(self, synthetic: SyntheticSet, rng: Generator) -> MatchStep:
        """Zero loss and gradient."""
        return MatchStep(torch.zeros(()), torch.zeros_like(synthetic.inputs))


@hookimpl
def condense_register_matchers(register: Callable[[type[Matcher]], None]) -> None:
    register(NoMatcher)
