"""A component by name with its options, nested components and paths resolved."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any

from pydantic import BaseModel

from condense.capabilities import StandsFor, argument_name
from condense.data import Modality
from condense.errors import OptionError
from condense.layers import BESIDE, FromFile, Layer, merge, name_and_argument
from condense.options import (
    COMPONENT,
    ComponentSpec,
    Options,
    OptionsT,
    build_options,
    format_value,
    names_file,
    path_fields,
    plain_models,
    result_options,
    spec_fields,
)
from condense.plugin.host import Host
from condense.recipe import Resolved, Table


class MissingArgument(OptionError):
    """A component without the option that it cannot do without.

    Args:
        message: one line.
        form: how to name the component with it, ``npz:PATH``.
    """

    def __init__(self, message: str, form: str) -> None:
        super().__init__(message)
        self.form = form


def argument_of(kind: str, cls: type[Any], argument: str, where: str) -> dict[str, Any]:
    """The option that ``argument`` of ``NAME:ARGUMENT`` sets, which stands at ``where``.

    Raises:
        OptionError: for a component that takes none.
    """
    takes = argument_name(cls)
    if takes is None:
        raise OptionError(
            f"{kind} '{cls.name}' takes no argument, got `{where}={cls.name}:{argument}`"
        )
    return {takes: argument}


def absolute(path: Any) -> Any:
    """``path`` from where it stood and with ``~`` expanded; what is no path as it is."""
    if isinstance(path, PurePath):
        path = str(path)
    if not isinstance(path, str):
        return path
    folder = path.folder if isinstance(path, FromFile) else ""
    return os.path.abspath(os.path.join(folder, os.path.expanduser(path)))


def _with_absolute(model: type[BaseModel], values: Table) -> dict[str, Any]:
    """``values`` with the paths among them absolute; those of components are their own affair."""
    found = dict(values)
    for key in path_fields(model):
        if names_file(model, key, values.get(key)):
            found[key] = absolute(values[key])
    for key, inner in plain_models(model).items():
        if isinstance(values.get(key), Mapping):
            found[key] = _with_absolute(inner, values[key])
    return found


def for_modality(
    host: Host, model: type[Options], values: Table, modality: Modality | None
) -> dict[str, Any]:
    """``values`` of ``model``'s options with ``convnet`` or ``mlp`` where they name ``auto``."""
    specs = {k: spec for k, spec in spec_fields(model).items() if k in values}
    return {**values} | {k: _concrete(host, s, values[k], modality) for k, s in specs.items()}


def _concrete(host: Host, spec: type[ComponentSpec], given: Any, modality: Modality | None) -> Any:
    """What the component stands for that ``given``, a name or a table, names."""
    name = given.get(COMPONENT) if isinstance(given, Mapping) else given
    if modality is None or not isinstance(name, str) or name not in host.registry(spec.kind):
        return given
    cls = host.registry(spec.kind).get(name)
    if not isinstance(cls, StandsFor):
        return given
    meant = cls.stands_for[modality]
    return {**given, COMPONENT: meant} if isinstance(given, Mapping) else meant


def resolve_component(
    host: Host, kind: str, name: str, values: Table, where: str, modality: Modality | None = None
) -> Resolved:
    """The component ``name`` with options ``values``; nested components are resolved too.

    Args:
        host: where they are looked up.
        kind, name: of the component.
        values: of its options.
        where: dotted key that messages put before an option's.
        modality: of the data; None where they are not known.
    """
    cls = host.registry(kind).get(name, where)
    takes = argument_name(cls)
    if takes is not None and takes not in values and cls.Options.model_fields[takes].is_required():
        form = f"{name}:{takes.upper()}"
        raise MissingArgument(f"{kind} '{name}' needs a {takes}: write `{where}={form}`", form)
    options = resolve_options(host, cls.Options, values, where, modality)
    return Resolved(kind, name, cls, options)


def resolve_options(
    host: Host,
    model: type[OptionsT],
    values: Table,
    where: str,
    modality: Modality | None = None,
) -> OptionsT:
    """``model`` made of ``values``, the components that its fields name resolved too.

    Raises:
        UnknownComponent, OptionError: naming what is wrong, with ``where`` before the option.
    """
    values = for_modality(host, model, _with_absolute(model, values), modality)
    for key, spec_class in spec_fields(model).items():
        values[key] = _resolve_nested(host, model, key, spec_class, values, where, modality)
    return build_options(model, values, where)


def _resolve_nested(
    host: Host,
    model: type[Options],
    key: str,
    spec_class: type[ComponentSpec],
    values: Table,
    where: str,
    modality: Modality | None,
) -> ComponentSpec:
    """The nested component at ``key``: the field's default with what was set merged over it."""
    default = model.model_fields[key].default
    base = default.model_dump() if isinstance(default, ComponentSpec) else {}
    base = _concrete(host, spec_class, base, modality)
    given = values.get(key, {})
    if isinstance(given, ComponentSpec) and isinstance(given.options, Options):
        return given
    given = given.model_dump() if isinstance(given, ComponentSpec) else given
    given = {COMPONENT: given} if isinstance(given, str) else given
    if not isinstance(given, Mapping):
        raise OptionError(f"{where}.{key}={format_value(given)}: expected a {spec_class.kind} name")
    table = merge(base, given)
    kind, place = spec_class.kind, f"{where}.{key}"
    name, argument = name_and_argument(table.pop(COMPONENT, ""))
    if argument:
        table |= argument_of(kind, host.registry(kind).get(name, place), argument, place)
    inner = resolve_component(host, kind, name, table, place, modality)
    return spec_class(component=inner.name, options=inner.options)


def resolve_spec(host: Host, spec: ComponentSpec, modality: Modality | None = None) -> Resolved:
    """The component that a nested ``spec`` names, for data of ``modality``."""
    if isinstance(spec.options, Options):  # resolved already
        cls = host.registry(spec.kind).get(spec.component)
        return Resolved(spec.kind, spec.component, cls, spec.options)
    name = _concrete(host, type(spec), spec.component, modality)
    return resolve_component(host, spec.kind, name, spec.options, spec.kind, modality)


def resolve_beside(
    host: Host, kind: str, asked: str | None, options: Mapping[str, Any]
) -> Resolved | None:
    """The component of ``kind`` that is asked for beside a recipe, NAME or NAME:ARG; None for none.

    Raises:
        UnknownComponent, OptionError: for a name or option that does not exist.
    """
    if asked is None:
        return None
    name, argument = name_and_argument(asked)
    values = dict(options)
    if argument:
        values |= argument_of(kind, host.registry(kind).get(name, kind), argument, kind)
    try:
        return resolve_component(host, kind, name, values, kind)
    except OptionError as error:
        if name == BESIDE[kind][0]:  # which nobody need have named
            error.args = (f"{error}; the {kind} is '{name}', another is `{kind}=NAME`",)
        raise


@contextlib.contextmanager
def asking_for_paths(left_out: Mapping[str, str], stage: str) -> Iterator[None]:
    """Where a component of ``stage`` lacks a path that its recipe leaves out, say that."""
    try:
        yield
    except MissingArgument as error:
        for key, what in left_out.items():
            if key.startswith(f"{stage}."):
                raise OptionError(
                    f"the recipe does not hold {key}, which lay outside of its folder ({what}); "
                    f"say where it is with `{stage}={error.form}`"
                ) from None
        raise


def ask_for_files(
    left_out: Mapping[str, str], stage: str, resolved: Resolved, layers: Sequence[Layer]
) -> None:
    """As :func:`asking_for_paths`, of a path that the component can do without: its result would be
    another.

    Raises:
        OptionError: naming it, unless it is said that there is to be none.
    """
    said = {option for layer in layers if layer.typed for option in layer.options(stage)}
    depended_on = result_options(resolved.options)
    for option in path_fields(resolved.cls.Options):
        key = f"{stage}.{option}"
        if key in left_out and option not in said and depended_on.get(option, "") is None:
            raise OptionError(
                f"the recipe does not hold {key}, which lay outside of its folder "
                f"({left_out[key]}); say where it is with `{key}=PATH`, or go without it with "
                f"`{key}=null`"
            )
