"""From what a user asked for to a recipe: how presets, files, methods, flags and ``-o`` combine.

Precedence, weakest first: preset < recipe file < ``--method`` < other flags < ``-o``. A preset is
soft: it sets an option wherever the component finally chosen has one of that name. The layers
above it are strict: options given for a component that a later layer replaces are dropped with
it, and an unknown key is an error. Components that are only a method's defaults
(``Method.defaults``) yield to the preset's.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from condense.errors import OptionError, closest
from condense.kinds import STAGES
from condense.options import (
    COMPONENT,
    ComponentSpec,
    Options,
    OptionsT,
    build_options,
    format_value,
    spec_fields,
)
from condense.plugin.host import Host
from condense.recipe import Method, Preset, Recipe, Resolved, Table, naming_the_file
from condense.results import Budget


@dataclass(frozen=True)
class Layer:
    """Stage tables from one origin; ``soft`` as a preset is."""

    origin: str
    stages: Mapping[str, Table]
    soft: bool = False


def assignments_layer(assignments: Sequence[tuple[tuple[str, ...], Any]]) -> Layer:
    """The layer of ``-o`` assignments, later ones over earlier ones.

    Raises:
        OptionError: for a stage that does not exist.
    """
    stages: dict[str, dict[str, Any]] = {}
    for path, value in assignments:
        if path[0] not in STAGES:
            raise OptionError(
                f"unknown stage '{path[0]}' in -o {'.'.join(path)}={format_value(value)}"
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
    return Layer("-o", stages)


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


def resolve_stage(host: Host, stage: str, layers: Sequence[Layer]) -> Resolved:
    """The component of ``stage`` under ``layers``, weakest first, with its options.

    Raises:
        UnknownComponent, OptionError: naming what is wrong.
    """
    registry = host.registry(STAGES[stage])
    final = [la.stages[stage][COMPONENT] for la in layers if COMPONENT in la.stages.get(stage, {})]
    if not final:
        raise OptionError(f"no component for stage {stage}; set one with -o {stage}=NAME")
    name, _, argument = str(final[-1]).partition(":")
    cls = registry.get(name)
    values: dict[str, Any] = {}
    active = None
    for layer in layers:
        table = layer.stages.get(stage, {})
        active = str(table[COMPONENT]).partition(":")[0] if COMPONENT in table else active
        options = {k: v for k, v in table.items() if k != COMPONENT}
        if layer.soft:
            values = merge(values, _known_part(cls.Options, options))
        elif active == name:
            values = merge(values, options)
    return resolve_component(host, STAGES[stage], name, argument, values, where=stage)


def resolve_component(
    host: Host, kind: str, name: str, argument: str, values: Table, where: str
) -> Resolved:
    """The component ``name`` with options ``values``; nested components are settled too."""
    cls = host.registry(kind).get(name)
    values = dict(values)
    takes = getattr(cls, "arg", None)
    if argument:
        if takes is None:
            raise OptionError(f"{kind} '{name}' takes no argument, got '{name}:{argument}'")
        values[takes] = argument
    if takes is not None and takes not in values and cls.Options.model_fields[takes].is_required():
        raise OptionError(f"{kind} '{name}' needs a {takes}: write {name}:{takes.upper()}")
    if takes == "path" and isinstance(values.get("path"), str):
        # absolute, so that the resolved recipe repeats the run from any folder
        values["path"] = os.path.abspath(os.path.expanduser(values["path"]))
    return Resolved(kind, name, cls, resolve_options(host, cls.Options, values, where))


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
    given = given.model_dump() if isinstance(given, ComponentSpec) else given
    given = {COMPONENT: given} if isinstance(given, str) else given
    if not isinstance(given, Mapping):
        raise OptionError(f"{where}.{key}={format_value(given)}: expected a {spec_class.kind} name")
    table = merge(base, given)
    name, _, argument = str(table.pop(COMPONENT, "")).partition(":")
    inner = resolve_component(host, spec_class.kind, name, argument, table, f"{where}.{key}")
    return spec_class(component=inner.name, options=inner.options.model_dump(mode="json"))


def resolve_spec(host: Host, spec: ComponentSpec) -> Resolved:
    """The component that a nested ``spec`` names."""
    return resolve_component(host, spec.kind, spec.component, "", spec.options, spec.kind)


def _known_part(model: type[Options], options: Table) -> dict[str, Any]:
    return {k: v for k, v in options.items() if k in model.model_fields}


@dataclass(frozen=True)
class Request:
    """What a user asked for, before it is resolved; None means not said.

    Attributes:
        method: ``--method``.
        preset: ``--preset``.
        recipe: contents of ``--recipe FILE``, from :func:`read_recipe`.
        data: ``--data``.
        in_memory: the data is handed over in Python: no data stage, no values for a named one.
        ipc, fraction, seed: the flags of that name.
        assignments: parsed ``-o`` in order.
    """

    method: str | None = None
    preset: str | None = None
    recipe: Mapping[str, Any] = field(default_factory=dict)
    data: str | None = None
    in_memory: bool = False
    ipc: int | None = None
    fraction: float | None = None
    seed: int | None = None
    assignments: tuple[tuple[tuple[str, ...], Any], ...] = ()


DEFAULT_METHOD = "selmatch"
DEFAULT_PRESET = "quick"


@naming_the_file
def resolve(host: Host, request: Request) -> Recipe:
    """The recipe that ``request`` means.

    Raises:
        UnknownComponent, OptionError: naming what is wrong, the value and what is allowed.
    """
    recipe = request.recipe
    method = host.methods.get(first_said(request.method, recipe.get("method"), DEFAULT_METHOD))
    preset = host.presets.get(first_said(request.preset, recipe.get("preset"), DEFAULT_PRESET))
    stages_in_file = {k: v for k, v in recipe.items() if k in STAGES}
    # A method named only in the recipe file lies under that file's own stages.
    method_layer = Layer(f"method {method.name}", _yielding(method, preset))
    file_layer = Layer("recipe", stages_in_file)
    middle = [method_layer, file_layer]
    if request.method is not None:
        middle.reverse()
    flags = Layer("flags", {"data": {COMPONENT: request.data}} if request.data is not None else {})
    strict = [*middle, flags, assignments_layer(request.assignments)]
    base = Layer(f"preset {preset.name}", preset.stages, soft=True)
    stages = [stage for stage in STAGES if stage != "data" or not request.in_memory]
    special: Mapping[str, Table] = {}
    if not request.in_memory:
        name = resolve_stage(host, "data", [base, *strict]).name
        special = preset.for_data.get(name, {})
    layers = [base, Layer(base.origin, special, soft=True), *strict]
    return Recipe(
        method=method.name,
        seed=_seed(request.seed if request.seed is not None else recipe.get("seed", 0)),
        budget=_budget(request, preset),
        stages={stage: resolve_stage(host, stage, layers) for stage in stages},
    )


def _yielding(method: Method, preset: Preset) -> dict[str, Table]:
    """The method's stages, without the default components that ``preset`` replaces."""
    given = {s for s in method.defaults if COMPONENT in preset.stages.get(s, {})}
    return {s: {} if s in given else table for s, table in method.stages.items()}


def first_said(*values: Any) -> str:
    """The first of ``values`` that is not None, as text."""
    return str(next(value for value in values if value is not None))


def _seed(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise OptionError(f"seed must be a whole number of at least 0, got {value!r}; try --seed 0")
    return value


def _budget(request: Request, preset: Preset) -> Budget:
    """The strongest of flag, recipe file and preset; a layer that sets one drops the other."""
    for ipc, fraction in (
        (request.ipc, request.fraction),
        (request.recipe.get("ipc"), request.recipe.get("fraction")),
        (preset.ipc, None),
    ):
        if ipc is not None or fraction is not None:
            return Budget(ipc, fraction)
    raise AssertionError("a preset always has an ipc")
