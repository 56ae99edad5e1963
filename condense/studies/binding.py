"""Recipes of a study bound to tools: data are loaded once for all recipes that share them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from condense.data import LabeledData
from condense.engine.pipeline import Pipeline
from condense.engine.run import content_of
from condense.errors import CondenseError
from condense.recipe import Recipe

Bind = Callable[..., Pipeline]  # (recipe, *, shared_seed, data) → the stages of that recipe


class SharedData:
    """Binds recipes as ``bind`` does; those that name the same data get the same object.

    Args:
        bind: makes a pipeline.
    """

    def __init__(self, bind: Bind) -> None:
        self._bind = bind
        self._data: dict[str, LabeledData] = {}

    def __call__(self, recipe: Recipe, **more: Any) -> Pipeline:
        """The stages of ``recipe``, its data loaded.

        Raises:
            CondenseError: for data that cannot be.
        """
        if "data" not in more:
            key = str(recipe["data"].identity)
            if key not in self._data:
                self._data[key] = self._bind(recipe).data
            more["data"] = self._data[key]
        return self._bind(recipe, **more)


def content_or_error(bind: Bind, recipe: Recipe) -> list[Any]:
    """What a run of ``recipe`` depends on, for the name of a folder; of one that fails, less."""
    try:
        return content_of(bind(recipe))
    except CondenseError:
        return [recipe.portable()]
