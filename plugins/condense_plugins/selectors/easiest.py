"""The easiest samples of each class."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from torch import Generator

from condense import hookimpl
from condense.interfaces import Budget, Context, LabeledData, Scores, Selection, Selector
from condense.options import Options as BaseOptions
from condense_plugins.selectors._common import take_ranks


class EasiestSelector:
    """Takes the easiest samples of each class, listed hardest first."""

    name: ClassVar[str] = "easiest"
    version: ClassVar[str] = "1"
    needs_scores: ClassVar[bool] = True

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
        """The ``count`` easiest samples of every class; ties keep the data's order."""
        return take_ranks(data, scores, budget, self.name, easiest=True)


@hookimpl
def condense_register_selectors(register: Callable[[type[Selector]], None]) -> None:
    register(EasiestSelector)
