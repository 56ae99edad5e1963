"""What was asked for, in layers: tables of a preset, a recipe file, a method, flags, ``-o``."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from condense.errors import OptionError, closest
from condense.kinds import LOCAL, NONE, STAGES
from condense.options import COMPONENT, as_json, format_value
from condense.recipe import Preset, Table, flatten


class FromFile(str):
    """Text of a recipe file; a path in it is taken from the file's ``folder``."""

    folder: str

    def __new__(cls, text: str, folder: str) -> FromFile:
        """``text`` of a file in ``folder``."""
        made = super().__new__(cls, text)
        made.folder = folder
        return made


def anchored(value: Any, folder: str) -> Any:
    """``value`` of a recipe file in ``folder``, whose texts know that."""
    if isinstance(value, Mapping):
        return {key: anchored(inner, folder) for key, inner in value.items()}
    return FromFile(value, folder) if isinstance(value, str) else value


def name_and_argument(component: Any) -> tuple[str, str]:
    """The parts of ``NAME:ARGUMENT``, the second empty where there is none."""
    name, _, argument = str(component).partition(":")
    if isinstance(component, FromFile):
        argument = FromFile(argument, component.folder)
    return name, argument


@dataclass(frozen=True)
class Layer:
    """Stage tables from one origin.

    Attributes:
        stages: component and option values by stage.
        preset: the preset that they are the values of.
        file: the recipe file that they stand in.
        typed: whether they stand on the command line, where nothing may be said twice.
    """

    stages: Mapping[str, Table]
    preset: Preset | None = None
    file: Path | None = None
    typed: bool = False

    def component(self, stage: str) -> tuple[str, str] | None:
        """Name and argument of the component that it gives ``stage``; None where it gives none."""
        table = self.stages.get(stage, {})
        return name_and_argument(table[COMPONENT]) if COMPONENT in table else None

    def options(self, stage: str) -> dict[str, Any]:
        """The option values that it gives ``stage``."""
        return {k: v for k, v in self.stages.get(stage, {}).items() if k != COMPONENT}


def check_said_once(assignments: Sequence[tuple[tuple[str, ...], Any]]) -> None:
    """That no key has two values among assignments of one command or call.

    Raises:
        OptionError: naming both.
    """
    said: dict[str, Any] = {}
    for path, given in assignments:
        for key, value in flatten({".".join(path): given}).items():
            key = key.removesuffix(f".{COMPONENT}")
            first, second = format_value(said.setdefault(key, value)), format_value(value)
            if first == second:
                continue
            items, several = [as_json(first), as_json(second)], ""
            # numbers are given singly; a component, which is text, is the key without a dot
            if "." in key and not all(isinstance(one, int | float) for one in items):
                joined = [i for one in items for i in (one if isinstance(one, list) else [one])]
                several = f"; where it is a list, `{key}={format_value(joined)}`"
            raise OptionError(
                f"`{key}={first}` and `{key}={second}` give one key two values; give one of them"
                f"{several}"
            )


def assignments_layer(assignments: Sequence[tuple[tuple[str, ...], Any]]) -> Layer:
    """The layer of ``-o`` assignments, later ones over earlier ones.

    Raises:
        OptionError: for a stage that does not exist.
    """
    stages: dict[str, dict[str, Any]] = {}
    for path, value in assignments:
        if path[0] not in STAGES:
            raise OptionError(
                f"unknown stage '{path[0]}' in `{'.'.join(path)}={format_value(value)}`"
                f"{closest(path[0], STAGES)} (stages: {', '.join(STAGES)})"
            )
        node = stages.setdefault(path[0], {})
        for part in path[1:-1]:
            inner = node.get(part)
            if not isinstance(inner, dict):
                # -o matcher.network=convnet -o matcher.network.width=32
                inner = {} if inner is None else {COMPONENT: inner}
                node[part] = inner
            node = inner
        if len(path) == 1:
            stages[path[0]] = merge(node, {COMPONENT: str(value)})
        else:
            inner = node.get(path[-1])
            if isinstance(inner, dict) and isinstance(value, str):
                value = merge(inner, {COMPONENT: value})  # in either order
            node[path[-1]] = value
    return Layer(stages, typed=True)


def merge(base: Table, over: Table) -> dict[str, Any]:
    """``over`` on top of ``base``; a table naming another component replaces the whole table."""
    if COMPONENT in over and COMPONENT in base and over[COMPONENT] != base[COMPONENT]:
        return dict(over)
    merged = dict(base)
    for key, value in over.items():
        inner = merged.get(key)
        if isinstance(value, Mapping) and isinstance(inner, str):
            inner = {COMPONENT: inner}
        if isinstance(value, str) and isinstance(inner, Mapping):
            value = {COMPONENT: value}
        both = isinstance(inner, Mapping) and isinstance(value, Mapping)
        merged[key] = merge(inner, value) if both else value  # type: ignore[arg-type]
    return merged


@contextlib.contextmanager
def naming_the_file(file: Path | None) -> Iterator[None]:
    """Errors inside are of the recipe file ``file``, where there is one, and begin with it."""
    try:
        yield
    except OptionError as error:
        if file is not None:
            error.args = (f"recipe {file}: {error}",)
        raise


def source_of(stage: str, keys: Sequence[str], layers: Sequence[Layer]) -> Path | None:
    """The recipe file that gave one of the options ``keys``, or component and options of ``stage``
    where no key is known; None if another layer did."""
    for layer in reversed(layers):
        known = [f"{stage}.{key}" for key in flatten(layer.stages.get(stage, {}))]
        if any(
            f"{k}.".startswith(f"{key}.") or key.startswith(f"{k}.")
            for k in known
            for key in keys or known
        ):
            return layer.file
    return None


EXECUTOR, TRACKER = "executor", "tracker"
# kinds that no recipe names: the component where none is asked for, and an option
BESIDE = {EXECUTOR: (LOCAL, "threads=1"), TRACKER: (NONE, "folder=watched")}


def take_beside(
    assignments: Sequence[tuple[tuple[str, ...], Any]], **asked: str | None
) -> tuple[tuple[tuple[tuple[str, ...], Any], ...], dict[str, Any]]:
    """``assignments`` without those of what is asked for beside a recipe, and fields for these.

    Args:
        assignments: parsed ``-o``.
        asked: name by kind, as ``executor="ray"``; None where none is.

    Raises:
        OptionError: for an option deeper than a key.
    """
    fields: dict[str, Any] = {}
    for kind, name in asked.items():
        usual, example = BESIDE[kind]
        own = {path[1:]: value for path, value in assignments if path[0] == kind}
        for path, value in own.items():
            text = f"`{'.'.join((kind, *path))}={format_value(value)}`"
            if len(path) != 1:
                raise OptionError(f"{text}: expected `{kind}.KEY=VALUE`, as `{kind}.{example}`")
        name = usual if name is None and own else name
        fields |= {kind: name, f"{kind}_options": {path[0]: v for path, v in own.items()}}
    return tuple(given for given in assignments if given[0][0] not in asked), fields
