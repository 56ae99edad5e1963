"""A method as data: one component per stage with its options; recipe files."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tomli_w

from condense.errors import DataError, OptionError, closest
from condense.options import (
    COMPONENT,
    Options,
)
from condense.plugin.registry import STAGES
from condense.results import Budget

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Table = Mapping[str, Any]
NULL = "null"  # how a recipe file spells None
SCALARS = ("method", "preset", "seed", "ipc", "fraction")


@dataclass(frozen=True)
class Method:
    """A recipe with a name: which component serves each stage, and options that define it."""

    name: str
    summary: str
    stages: Mapping[str, Table]


@dataclass(frozen=True)
class Preset:
    """Option values for a purpose (``quick``) or a published experiment.

    Attributes:
        name: kebab-case.
        summary: one line, shown by ``condense plugins``.
        stages: option values by stage, applied where the chosen component has them.
        for_data: further values for data components of that name, over ``stages``.
        ipc: images per class unless another is given.
        sources: where a value comes from, by ``stage.key``.
    """

    name: str
    summary: str
    stages: Mapping[str, Table]
    for_data: Mapping[str, Mapping[str, Table]] = field(default_factory=dict)
    ipc: int = 5
    sources: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Resolved:
    """A component with all its options settled, nested components included."""

    kind: str
    name: str
    cls: type[Any]
    options: Options

    def create(self) -> Any:
        """An instance of the component."""
        return self.cls(self.options)

    @property
    def identity(self) -> dict[str, Any]:
        """Name, version and all options, JSON-ready: its part of a cache key."""
        return {
            COMPONENT: self.name,
            "version": str(getattr(self.cls, "version", "1")),
            "options": self.options.model_dump(mode="json"),
        }

    @property
    def table(self) -> dict[str, Any]:
        """As it stands in a recipe, nested components and absent values (None) included."""
        return {COMPONENT: self.name, **self.options.model_dump(mode="json")}


@dataclass(frozen=True)
class Recipe:
    """Everything a run depends on besides the data's content."""

    method: str
    seed: int
    budget: Budget
    stages: Mapping[str, Resolved]

    def __getitem__(self, stage: str) -> Resolved:
        return self.stages[stage]

    def to_dict(self) -> dict[str, Any]:
        """Plain nested dict that, as a :class:`Request`'s ``recipe``, gives this recipe again."""
        head: dict[str, Any] = {"method": self.method, "seed": self.seed}
        if self.budget.ipc is not None:
            head["ipc"] = self.budget.ipc
        else:
            head["fraction"] = self.budget.fraction
        return head | {stage: resolved.table for stage, resolved in self.stages.items()}

    def to_toml(self) -> str:
        """The text of ``recipe.toml``, which repeats the run exactly."""
        return recipe_toml(self.to_dict())


def recipe_toml(recipe: Table) -> str:
    """``recipe`` as TOML, which has no null: None is written as ``"null"``, as after ``-o``.

    Left out, it would become whatever the preset of a later run says.
    """
    return tomli_w.dumps(_replace(dict(recipe), None, NULL))


def read_recipe(path: Path) -> dict[str, Any]:
    """The recipe file at ``path`` as a dict of scalars and stage tables.

    Raises:
        DataError: if there is no such file.
        OptionError: if it is not TOML or has a key that is neither.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise DataError(f"recipe {path} cannot be read; is the path right?") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise OptionError(f"recipe {path} is not valid TOML: {error}") from None
    table = _replace(table, NULL, None)
    known = [*SCALARS, *STAGES]
    for key, value in table.items():
        if key not in known:
            raise OptionError(
                f"recipe {path} has unknown key '{key}'{closest(key, known)} (keys: "
                f"{', '.join(known)})"
            )
        if key in STAGES and not isinstance(value, (dict, str)):
            raise OptionError(f"recipe {path}: {key} must be a component or a table, got {value!r}")
    return {
        k: ({COMPONENT: v} if k in STAGES and isinstance(v, str) else v) for k, v in table.items()
    }


def _replace(value: Any, old: Any, new: Any) -> Any:
    """``value`` with ``new`` for every ``old`` in its tables and lists."""
    if isinstance(value, dict):
        return {k: _replace(v, old, new) for k, v in value.items()}
    if isinstance(value, list):
        return [_replace(v, old, new) for v in value]
    return new if value == old else value
