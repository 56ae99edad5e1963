"""Data that were handed over in Python, in the place of a recipe's data stage."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from pydantic import Field

from condense.data import LabeledData
from condense.errors import OptionError
from condense.interfaces import Context
from condense.options import Options as BaseOptions
from condense.recipe import Recipe, Resolved


class MemoryData:
    """Stands in a recipe for data that was handed over in memory."""

    name: ClassVar[str] = "memory"

    class Options(BaseOptions):
        fingerprint: str = Field("", description="of the data that was handed over")

    def __init__(self, options: Options) -> None:
        self.options = options

    def load(self, context: Context) -> LabeledData:
        """Cannot be repeated from a file.

        Raises:
            OptionError: always.
        """
        raise OptionError("data 'memory' was handed over in Python; name a data set with `data`")


def in_memory(recipe: Recipe, data: LabeledData) -> Recipe:
    """``recipe`` with its data stage naming data that only lives in memory."""
    options = MemoryData.Options(fingerprint=data.fingerprint)
    stage = Resolved("data", MemoryData.name, MemoryData, options)
    return replace(recipe, stages={**recipe.stages, "data": stage})
