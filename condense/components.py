"""A component by name with its options, nested components and paths resolved."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from condense.capabilities import argument_name
from condense.errors import OptionError
from condense.layers import merge
from condense.options import (
    COMPONENT,
    ComponentSpec,
    Options,
    OptionsT,
    build_options,
    format_value,
    path_fields,
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


def argument_of(kind: str, cls: type[Any], argument: str) -> dict[str, Any]:
    """The option that ``argument`` of ``NAME:ARGUMENT`` sets.

    Raises:
        OptionError: for a component that takes none.
    """
    takes = argument_name(cls)
    if takes is None:
        raise OptionError(f"{kind} '{cls.name}' takes no argument, got '{cls.name}:{argument}'")
    return {takes: argument}


def absolute(path: Any) -> Any:
    """``path`` from the working folder and with ``~`` expanded; what is no text as it is."""
    return os.path.abspath(os.path.expanduser(path)) if isinstance(path, str) else path


def resolve_component(host: Host, kind: str, name: str, values: Table, where: str) -> Resolved:
    """The component ``name`` with options ``values``; nested components are resolved too."""
    cls = host.registry(kind).get(name)
    takes = argument_name(cls)
    if takes is not None and takes not in values and cls.Options.model_fields[takes].is_required():
        form = f"{name}:{takes.upper()}"
        raise MissingArgument(f"{kind} '{name}' needs a {takes}: write {form}", form)
    paths = {k: absolute(values[k]) for k in path_fields(cls.Options) if values.get(k)}
    return Resolved(kind, name, cls, resolve_options(host, cls.Options, {**values, **paths}, where))


def resolve_options(host: Host, model: type[OptionsT], values: Table, where: str) -> OptionsT:
    """``model`` made of ``values``, the components that its fields name settled too.

    Raises:
        UnknownComponent, OptionError: naming what is wrong, with ``where`` before the option.
    """
    values = dict(values)
    for key, spec_class in spec_fields(model).items():
        values[key] = _resolve_nested(host, model, key, spec_class, values, where)
    return build_options(model, values, where)


def _resolve_nested(
    host: Host,
    model: type[Options],
    key: str,
    spec_class: type[ComponentSpec],
    values: Table,
    where: str,
) -> ComponentSpec:
    """The nested component at ``key``: the field's default with what was set merged over it."""
    default = model.model_fields[key].default
    base = default.model_dump() if isinstance(default, ComponentSpec) else {}
    given = values.get(key, {})
    if isinstance(given, ComponentSpec) and isinstance(given.options, Options):
        return given
    given = given.model_dump() if isinstance(given, ComponentSpec) else given
    given = {COMPONENT: given} if isinstance(given, str) else given
    if not isinstance(given, Mapping):
        raise OptionError(f"{where}.{key}={format_value(given)}: expected a {spec_class.kind} name")
    table = merge(base, given)
    name, _, argument = str(table.pop(COMPONENT, "")).partition(":")
    if argument:
        table |= argument_of(spec_class.kind, host.registry(spec_class.kind).get(name), argument)
    inner = resolve_component(host, spec_class.kind, name, table, f"{where}.{key}")
    return spec_class(component=inner.name, options=inner.options)


def resolve_spec(host: Host, spec: ComponentSpec) -> Resolved:
    """The component that a nested ``spec`` names."""
    if isinstance(spec.options, Options):  # resolved already
        cls = host.registry(spec.kind).get(spec.component)
        return Resolved(spec.kind, spec.component, cls, spec.options)
    return resolve_component(host, spec.kind, spec.component, spec.options, spec.kind)
