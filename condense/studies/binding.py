"""Recipes of a study bound to tools: data loaded once for all that share them, its folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from condense.data import LabeledData
from condense.engine.pipeline import Pipeline
from condense.engine.runtime.files import default_path
from condense.errors import CondenseError, OptionError
from condense.recipe import Recipe

MOST_SEEDS = 10_000

Bind = Callable[..., Pipeline]  # (recipe, *, shared_seed, data) → the stages of that recipe


def check_seeds(count: int, example: int) -> None:
    """That there may be ``count`` seeds; ``example`` is a count that may be.

    Raises:
        OptionError: if not.
    """
    if not 1 <= count <= MOST_SEEDS:
        allowed = "at least 1" if count < 1 else f"at most {MOST_SEEDS}"
        raise OptionError(f"`seeds` must be {allowed}, got {count}; try `seeds={example}`")


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


def study_folder(
    command: str, base: Recipe, others: Sequence[Recipe | None], settings: Any, bind: Bind
) -> Path:
    """``runs/COMMAND-METHOD-DATA-HASH``; equal studies of equal data, equal folders.

    Args:
        command: that makes the study.
        base: what it is about.
        others: it is compared with, None for one that cannot be resolved.
        settings: whatever else the study depends on, JSON-ready.
        bind: makes a pipeline.
    """
    parts = [recipe and _content_or_error(bind, recipe) for recipe in (base, *others)]
    try:
        data = bind(base).data.name
    except CondenseError:
        data = base["data"].name
    return default_path(f"{command}-{base.method}", data, [parts, settings])


def _content_or_error(bind: Bind, recipe: Recipe) -> list[Any]:
    """What a run of ``recipe`` depends on; of one that fails, less."""
    try:
        return bind(recipe).content
    except CondenseError:
        return [recipe.portable()]
