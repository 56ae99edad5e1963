"""A method as data: one component per stage with its options; recipe files."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tomli_w

from condense.capabilities import argument_name
from condense.data import Modality
from condense.errors import DataError, OptionError, blamed, closest
from condense.kinds import STAGES
from condense.options import COMPONENT, Options, paths_among, result_options
from condense.places import relative_path
from condense.reading import (
    DEEPEST,
    LARGEST,
    MAX_RECIPE,
    check_plain,
    in_one_line,
    read_regular,
    shown,
)
from condense.results import Budget

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Table = Mapping[str, Any]
NULL = "null"  # how a recipe file spells None
SCALARS = ("method", "preset", "seed", "ipc", "fraction")
LEFT_OUT = "left_out"  # table of a written recipe: paths that it does not hold, and of what
BESIDE_DATA = ("data.test", "data.items")  # files that are not what the data are called after


@dataclass(frozen=True)
class Method:
    """A recipe with a name: which component serves each stage, and options that define it.

    Attributes:
        name: kebab-case.
        summary: one line.
        stages: component and options by stage.
        defaults: stages whose component does not make the method what it is; a preset that names
            another one is followed.
        tried: where ``--method auto`` may choose it, what it is tried with: stages or options by
            dotted key, of each the values; or how many at equal distances within the range that
            its selector allows, beside the recipe's own; or the method whose best candidate has
            the value. {} is as it stands; None is never.
    """

    name: str
    summary: str
    stages: Mapping[str, Table]
    defaults: tuple[str, ...] = ()
    tried: Mapping[str, tuple[Any, ...] | int | str] | None = None

    def __post_init__(self) -> None:
        for key, some in (self.tried or {}).items():
            several = isinstance(some, (tuple, str)) and some
            if not (several or (type(some) is int and some > 0)):
                raise OptionError(
                    f"method '{self.name}': tried['{key}'] must be a tuple of values, how many, or "
                    f"the name of a method, got {some!r}"
                )


@dataclass(frozen=True)
class Preset:
    """Option values for a purpose (``quick``) or a published experiment.

    Attributes:
        name: kebab-case.
        summary: one line, shown by ``condense plugins``.
        stages: option values by stage, and component where the preset chooses one.
        for_data: further values for the other stages with data components of that name, over
            ``stages``.
        written_for: by stage, the component that the values are for, where ``stages`` names none.
            Another component gets those of them that both have from the same base class of
            options (``DynamicsOptions``, say); an option that it declares itself is never touched.
        ipc: images per class unless another is given.
        sources: where a value comes from, by ``stage.key``, ``stage.*`` or ``*``.
        published: name of the preset with the published values of the same experiment: of a
            published one its own, of a shorter twin the one it shortens; None where there is none.
        for_modality: values for data of a modality, ``image`` or ``features``, over ``stages`` and
            under ``for_data``.
        method: the method where none is asked for; "" for the default one.
    """

    name: str
    summary: str
    stages: Mapping[str, Table]
    for_data: Mapping[str, Mapping[str, Table]] = field(default_factory=dict)
    written_for: Mapping[str, str] = field(default_factory=dict)
    ipc: int = 5
    sources: Mapping[str, str] = field(default_factory=dict)
    published: str | None = None
    for_modality: Mapping[Modality, Mapping[str, Table]] = field(default_factory=dict)
    method: str = ""

    def __post_init__(self) -> None:
        further = (*self.for_data.values(), *self.for_modality.values())
        if any("data" in table for table in further):
            raise OptionError(
                f"preset '{self.name}': for_data and for_modality are of the other stages, not of "
                "data"
            )
        for table in (self.stages, *further):
            for stage, values in table.items():
                if not (self.intended(stage) or values.keys() <= {COMPONENT}):
                    raise OptionError(
                        f"preset '{self.name}' sets {stage}.{next(iter(values))} without saying "
                        f"for which component; add written_for={{'{stage}': NAME}}"
                    )

    def intended(self, stage: str) -> str:
        """The component that the values for ``stage`` were written for; "" where none is said."""
        return str(self.stages.get(stage, {}).get(COMPONENT, self.written_for.get(stage, "")))

    def source(self, option: str) -> str:
        """Where the value of ``option`` (``matcher.network.width``) comes from; "" if not said."""
        parts = option.split(".")
        names = [".".join(parts[:n]) for n in range(len(parts), 0, -1)]
        names += [f"{parts[0]}.*", "*"]
        return next((self.sources[n] for n in names if n in self.sources), "")


@dataclass(frozen=True)
class Resolved:
    """A component with all its options resolved, nested components included."""

    kind: str
    name: str
    cls: type[Any]
    options: Options

    def create(self) -> Any:
        """An instance of the component.

        Raises:
            BrokenPlugin: if a stranger's raises anything but a :class:`CondenseError`.
        """
        try:
            return self.cls(self.options)
        except BaseException as error:
            blame = blamed(f"{self.kind} '{self.name}'", self.cls, error)
            if blame is None:
                raise
            raise blame from error

    @property
    def spelled(self) -> str:
        """As it is asked for: ``"digits"``, ``"folder:photos"``."""
        takes = argument_name(self.cls)
        given = None if takes is None else getattr(self.options, takes)
        return self.name if given is None else f"{self.name}:{given}"

    @property
    def identity(self) -> dict[str, Any]:
        """Name, version and the options results depend on, JSON-ready: its part of a cache key."""
        return {
            COMPONENT: self.name,
            "version": self.cls.version,
            "options": result_options(self.options),
        }

    @property
    def table(self) -> dict[str, Any]:
        """As it stands in a recipe, nested components and absent values (None) included."""
        return {COMPONENT: self.name, **self.options.model_dump(mode="json")}

    @property
    def portable(self) -> dict[str, Any]:
        """:attr:`table` without paths, which is what is published of it."""
        return take_paths(self.table, paths_among(self.options))[0]


@dataclass(frozen=True)
class Recipe:
    """Everything a run depends on besides the data's content.

    Attributes:
        method, seed, budget: as they were asked for.
        stages: component and options by stage, every path absolute.
        paths: those paths, by dotted key, that a written recipe names, relative to itself: what
            lies below the working folder or the recipe file's, or stood relative in that file.
        modality: of the data, as far as it is known without loading them.
    """

    method: str
    seed: int
    budget: Budget
    stages: Mapping[str, Resolved]
    paths: Mapping[str, str] = field(default_factory=dict, compare=False)
    modality: Modality = field(default="image", compare=False)

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

    def all_paths(self) -> dict[str, str]:
        """Every path among its options, absolute, by dotted key."""
        return {
            f"{stage}.{key}": path
            for stage, resolved in self.stages.items()
            for key, path in paths_among(resolved.options).items()
        }

    def portable(self, data: str = "") -> dict[str, Any]:
        """:meth:`to_dict` without paths, which is what is published of a run.

        The table ``left_out`` says of paths that are not in :attr:`paths` what lay there.

        Args:
            data: name and fingerprint of the data, for that table.
        """
        table = self.to_dict() | {stage: r.portable for stage, r in self.stages.items()}
        left = {k: v for k, v in self.all_paths().items() if k not in self.paths}
        return _leaving_out(table, left, data)


def recipe_toml(recipe: Table) -> str:
    """``recipe`` as TOML, which has no null: None is written as ``"null"``, as after ``-o``.

    Left out, it would become whatever the preset of a later run says.
    """
    return tomli_w.dumps(replaced(dict(recipe), None, NULL))


def with_paths(recipe: Table, paths: Mapping[str, str]) -> dict[str, Any]:
    """``recipe`` with the options ``paths``, by dotted key."""
    table = dict(recipe)
    for key, path in paths.items():
        table = _with(table, key.split("."), path)
    return table


def _with(table: Table, keys: Sequence[str], value: str) -> dict[str, Any]:
    head, *rest = keys
    return {**table, head: _with(table.get(head, {}), rest, value) if rest else value}


def take_paths(recipe: Table, keys: Iterable[str]) -> tuple[dict[str, Any], dict[str, str]]:
    """``recipe`` without the options ``keys``, dotted, and their values.

    Raises:
        ValueError: for an option that it does not have, or that is no text.
    """
    table, found = dict(recipe), {}
    for key in keys:
        *stages, option = key.split(".")
        inner = table
        for stage in stages:
            if not isinstance(inner.get(stage), Mapping):
                raise ValueError(f"has no {key}, which is to be a path")
            inner[stage] = inner = dict(inner[stage])
        if not isinstance(inner.get(option), str):
            raise ValueError(f"has no {key}, which is to be a path")
        found[key] = inner.pop(option)
    return table, found


def _leaving_out(table: Table, paths: Mapping[str, str], data: str) -> dict[str, Any]:
    """``table``, which does not hold ``paths``, with what lay there in :data:`LEFT_OUT`."""
    named = {k for k in paths if k.startswith("data.") and k not in BESIDE_DATA}
    known = {k: data if k in named else os.path.basename(v) for k, v in paths.items()}
    left = {**table.get(LEFT_OUT, {}), **known}
    return {**table, LEFT_OUT: left} if left else dict(table)


def written_in(
    folder: Path, recipe: Table, paths: Mapping[str, str], data: str
) -> tuple[dict[str, Any], dict[str, str]]:
    """``recipe`` as a file in ``folder`` holds it, and those of ``paths`` that it names.

    Args:
        folder: to which they are relative then.
        recipe: without paths.
        paths: absolute, by dotted key; those that would tell of the user's home are left out.
        data: what is said of data whose path is.
    """
    ways = {key: relative_path(path, folder) for key, path in paths.items()}
    named = {key: way for key, way in ways.items() if way is not None}
    left = {key: path for key, path in paths.items() if ways[key] is None}
    return _leaving_out(with_paths(recipe, named), left, data), named


class RecipeFile(dict[str, Any]):
    """What a recipe file says: scalars and stage tables; and ``path``, where it lies."""

    def __init__(self, table: Table, path: Path) -> None:
        super().__init__(table)
        self.path = path


def read_recipe(path: Path) -> RecipeFile:
    """The recipe file at ``path`` as a dict of scalars and stage tables.

    Raises:
        DataError: if there is no such file.
        OptionError: if it is not TOML or has a key that is neither.
    """
    try:
        text = read_regular(path, MAX_RECIPE)
    except (OSError, ValueError) as error:
        raise DataError(
            f"recipe {path} cannot be read: {in_one_line(error)}; is the path right?"
        ) from None
    try:
        table = tomllib.loads(text.decode())
    except RecursionError:
        raise OptionError(f"recipe {path} is nested more than {DEEPEST} deep") from None
    except ValueError as error:  # what is no TOML, or no UTF-8, or a number of 5000 digits
        raise OptionError(f"recipe {path} is not valid TOML: {error}") from None
    try:
        check_recipe(table)
    except ValueError as error:
        raise OptionError(f"recipe {path}: {error}") from None
    table = replaced(table, NULL, None)
    named = {k: {COMPONENT: v} for k, v in table.items() if k in STAGES and isinstance(v, str)}
    return RecipeFile(table | named, path)


def check_recipe(table: Table) -> None:
    """That ``table`` is one of scalars, stages and options, whatever these are.

    Raises:
        ValueError: naming the key and the value.
    """
    known = [*SCALARS, *STAGES, LEFT_OUT]
    for key, value in table.items():
        if key not in known:
            raise ValueError(f"unknown key '{key}'{closest(key, known)} (keys: {', '.join(known)})")
        check_plain(value, key)
        if key in STAGES and isinstance(value, str) and value != NULL:
            continue
        if key not in SCALARS and not isinstance(value, Mapping):
            raise ValueError(f"{key} must be a component or a table, got {shown(value)}")
    for key, text in table.get(LEFT_OUT, {}).items():
        if not isinstance(text, str):
            raise ValueError(f"{LEFT_OUT}.{key} must be text, got {shown(text)}")


def check_made_recipe(table: dict[str, Any]) -> dict[str, Any]:
    """``table``, a recipe with all that it takes resolved, as a set keeps it.

    Raises:
        ValueError: naming the key and the value.
    """
    check_recipe(table)
    for stage in STAGES:
        options = table.get(stage)
        if stage in table and not (
            isinstance(options, Mapping) and isinstance(options.get(COMPONENT), str)
        ):
            raise ValueError(f"{stage} must be a table with a component, got {shown(options)}")
    check_seed(table.get("seed", 0))
    ipc, fraction = table.get("ipc"), table.get("fraction")
    if ipc is not None or fraction is not None:
        Budget(ipc, fraction)
    return table


def check_seed(seed: Any) -> int:
    """``seed``, which is one.

    Raises:
        OptionError: naming it.
    """
    if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < LARGEST:
        raise OptionError(
            f"seed must be a whole number of at least 0, below 2⁶³, got {shown(seed)}; try `seed=0`"
        )
    return seed


def flatten(table: Table, head: str = "", main: str = COMPONENT) -> dict[str, Any]:
    """``{"a": {"component": "x", "b": 1}}`` as ``{"a": "x", "a.b": 1}``: dotted keys, a component
    (the key ``main``) under the key of what it serves."""
    found: dict[str, Any] = {}
    for key, value in table.items():
        path = head if key == main else f"{head}.{key}" if head else key
        if isinstance(value, Mapping):
            found |= flatten(value, path, main)
        else:
            found[path] = value
    return found


def replaced(value: Any, old: Any, new: Any) -> Any:
    """``value`` with ``new`` for every ``old`` in its tables and lists."""
    if isinstance(value, dict):
        return {k: replaced(v, old, new) for k, v in value.items()}
    if isinstance(value, list):
        return [replaced(v, old, new) for v in value]
    return new if value == old else value
