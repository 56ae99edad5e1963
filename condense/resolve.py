"""From what a user asked for to a recipe: how presets, files, methods, flags and ``-o`` combine.

Precedence, weakest first: preset < recipe file < ``--method`` < other flags < ``-o``. A preset's
values are for the components that it was written for (``Preset.intended``); where another one is
chosen, it gets those of them that both have from the same base class of options, and an option that
it declares itself keeps its own default. The layers above are strict: options given for a component
that a later layer replaces are dropped with it, an unknown key is an error, and so are two values
for one option on one command line, ``--data folder:x -o data.path=y``. Components that are only a
method's defaults (``Method.defaults``) yield to the preset's.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from condense.capabilities import KnowsModality, argument_name
from condense.components import (
    absolute,
    argument_of,
    ask_for_files,
    asking_for_paths,
    for_modality,
    resolve_component,
)
from condense.data import Modality
from condense.errors import OptionError, closest, nearby
from condense.kinds import CHOOSE, NONE, OPTIONAL, STAGES
from condense.layers import (
    Layer,
    anchored,
    assignments_layer,
    merge,
    name_and_argument,
    naming_the_file,
    source_of,
)
from condense.options import (
    COMPONENT,
    format_value,
    idle_options,
    is_shared,
    path_fields,
)
from condense.plugin.host import Host
from condense.recipe import (
    LEFT_OUT,
    Method,
    Preset,
    Recipe,
    RecipeFile,
    Resolved,
    Table,
    check_seed,
    flatten,
)
from condense.results import Budget
from condense.traits import DatasetTraits, traits_of


def resolve_stage(
    host: Host, stage: str, layers: Sequence[Layer], modality: Modality | None = None
) -> Resolved:
    """The component of ``stage`` under ``layers``, weakest first, with its options.

    A network ``auto`` is what it stands for at ``modality``, before layers are merged: the width
    that a preset gives to it holds for a ``convnet`` that is named above it as well.

    Raises:
        UnknownComponent, OptionError: naming what is wrong, and the recipe file where it is from.
    """
    naming = [layer for layer in layers if layer.component(stage)]
    if not naming:
        raise OptionError(f"no component for stage {stage}; set one with `{stage}=NAME`")
    name, _ = naming[-1].component(stage) or ("", "")
    kind = STAGES[stage]
    with naming_the_file(naming[-1].file):
        cls = host.registry(kind).get(name, stage)
    values: dict[str, Any] = {}
    active = ""
    argument: Layer | None = None  # the one on the command line that gave the component's argument
    for layer in layers:
        given = layer.component(stage)
        active = given[0] if given else active
        if layer.preset is not None:
            shared = _shared_part(host, stage, layer.preset, cls, layer)
            values = merge(values, for_modality(host, cls.Options, shared, modality))
        elif active == name:
            with naming_the_file(layer.file):
                options = layer.options(stage)
                _check_once(cls, stage, options, layer, argument)
                if given and given[1]:
                    options |= argument_of(kind, cls, given[1], stage)
                    argument = layer if layer.typed else None
            values = merge(values, for_modality(host, cls.Options, options, modality))
    try:
        return resolve_component(host, kind, name, values, stage, modality)
    except OptionError as error:
        with naming_the_file(source_of(stage, error.keys, layers)):
            raise


def _shared_part(
    host: Host, stage: str, preset: Preset, cls: type[Any], layer: Layer
) -> dict[str, Any]:
    """The values of ``layer`` for the options that ``cls`` shares with what they are for."""
    registry = host.registry(STAGES[stage])
    intended = preset.intended(stage).partition(":")[0]
    if intended not in registry:
        return {}
    own, meant = cls.Options, registry.get(intended).Options
    return {key: value for key, value in layer.options(stage).items() if is_shared(key, own, meant)}


def _check_once(
    cls: type[Any], stage: str, options: Table, layer: Layer, earlier: Layer | None
) -> None:
    """That the component's argument and the option of that name say the same.

    Within one layer; and within the command line, of which ``earlier`` gave the argument.
    """
    giving = layer if (layer.component(stage) or ("", ""))[1] else earlier
    takes = argument_name(cls)
    if giving is None or takes is None or takes not in options:
        return
    component, value = giving.stages[stage][COMPONENT], options[takes]
    argument = name_and_argument(component)[1]
    if takes in path_fields(cls.Options):
        same = absolute(argument) == absolute(value)
    else:
        same = argument == format_value(value)
    if not same:
        raise OptionError(
            f"'{component}' and `{stage}.{takes}={format_value(value)}` contradict each other; "
            "give one of them"
        )


@dataclass(frozen=True)
class Request:
    """What a user asked for, before it is resolved; None means not said.

    Attributes:
        method: ``--method``.
        preset: ``--preset``.
        recipe: contents of ``--recipe FILE``, from :func:`read_recipe`.
        data: ``--data``: a data set's name, or the path of a folder or file that one opens.
        in_memory: the data is handed over in Python: no data stage, no values for a named one.
        modality: of that data.
        ipc, fraction, seed: the flags of that name.
        assignments: parsed ``-o`` in order.
        executor, tracker: the flags of that name, and their options; no recipe depends on them.
    """

    method: str | None = None
    preset: str | None = None
    recipe: Mapping[str, Any] = field(default_factory=dict)
    data: str | None = None
    in_memory: bool = False
    modality: Modality = "image"
    ipc: int | None = None
    fraction: float | None = None
    seed: int | None = None
    assignments: tuple[tuple[tuple[str, ...], Any], ...] = ()
    executor: str | None = None
    executor_options: Mapping[str, Any] = field(default_factory=dict)
    tracker: str | None = None
    tracker_options: Mapping[str, Any] = field(default_factory=dict)


DEFAULTS = {"method": "selmatch", "preset": "quick"}


def is_choice(request: Request) -> bool:
    """Whether a method is to be chosen."""
    return CHOOSE == first_said(request.method, request.recipe.get("method"), DEFAULTS["method"])


def resolve(host: Host, request: Request) -> Recipe:
    """The recipe that ``request`` means.

    Raises:
        UnknownComponent, OptionError: naming what is wrong, the value and what is allowed, and the
            recipe file where it is from there.
    """
    method = method_of(host, request)
    preset = preset_of(host, request)
    file_layer, strict = _strict_layers(host, request, method, preset)
    base = Layer(preset.stages, preset)
    left_out = request.recipe.get(LEFT_OUT, {})
    special: Mapping[str, Table] = {}
    resolved = {}
    modality = request.modality
    if request.in_memory:
        _check_no_source(request)
    else:
        with asking_for_paths(left_out, "data"):
            resolved["data"] = resolve_stage(host, "data", [base, *strict])
        if (file_layer.component("data") or ("",))[0] == resolved["data"].name:
            ask_for_files(left_out, "data", resolved["data"], strict)
        special = preset.for_data.get(resolved["data"].name, {})
        source = resolved["data"].create()
        modality = source.modality() if isinstance(source, KnowsModality) else "image"
    suited = preset.for_modality.get(modality, {})
    layers = [base, Layer(suited, preset), Layer(special, preset), *strict]
    for stage in (stage for stage in STAGES if stage != "data"):
        if stage in OPTIONAL and not _asked_for(stage, layers):
            continue
        with asking_for_paths(left_out, stage):
            resolved[stage] = resolve_stage(host, stage, layers, modality)
        ask_for_files(left_out, stage, resolved[stage], strict)
        usual = [*layers[:3], Layer(method.stages)]
        if stage in OPTIONAL and resolved[stage].name == NONE and not _asked_for(stage, usual):
            del resolved[stage]
    recipe = Recipe(method.name, _seed(request), _budget(request, preset), resolved)
    return replace(recipe, paths=_portable_paths(recipe, file_layer), modality=modality)


def _check_no_source(request: Request) -> None:
    """That nothing is asked of a data set by name where the data are in memory."""
    for path, value in request.assignments:
        if path[0] == "data":
            instead = f"; give the call test={format_value(value)}" if path[1:] == ("test",) else ""
            raise OptionError(
                f"`{'.'.join(path)}={format_value(value)}` is for data that are read by name, "
                f"these are in memory{instead}"
            )


def without_effect(recipe: Recipe, request: Request) -> list[str]:
    """A line about each assignment of ``request`` that changes nothing in its ``recipe``."""
    found = []
    for (stage, *rest), value in request.assignments:
        if stage not in recipe.stages or len(rest) != 1:
            continue
        why = idle_options(recipe[stage].options).get(rest[0])
        if why is not None:
            given = f"`{stage}.{rest[0]}={format_value(value)}`"
            found.append(f"note: {given} has no effect {why.format(stage=stage)}")
    return found


def component_names(host: Host, request: Request) -> dict[str, str]:
    """The component that ``request`` gives each stage, whatever its options are.

    Raises:
        UnknownComponent, OptionError: for a method or preset that there is not.
    """
    method = method_of(host, request)
    preset = preset_of(host, request)
    _, strict = _strict_layers(host, request, method, preset)
    found: dict[str, str] = {}
    for layer in [Layer(preset.stages), *strict]:
        found |= {s: given[0] for s in STAGES if (given := layer.component(s))}
    return found


def _strict_layers(
    host: Host, request: Request, method: Method, preset: Preset
) -> tuple[Layer, list[Layer]]:
    """The layer of the recipe file, and all those above the preset's, weakest first."""
    stages_in_file: dict[str, Any] = {k: v for k, v in request.recipe.items() if k in STAGES}
    file = _file(request)
    if file is not None:
        stages_in_file = anchored(stages_in_file, os.path.abspath(file.parent))
    # A method named only in the recipe file lies under that file's own stages.
    file_layer = Layer(stages_in_file, file=file)
    middle = [Layer(_yielding(method, preset)), file_layer]
    if request.method is not None:
        middle.reverse()
    named = {"data": {COMPONENT: request.data}} if request.data is not None else {}
    typed = [Layer(named, typed=True), assignments_layer(request.assignments)]
    return file_layer, [*middle, *(_opening_paths(host, layer) for layer in typed)]


def _asked_for(stage: str, layers: Sequence[Layer]) -> bool:
    """Whether a component of ``stage`` is named, or options for one but by a preset."""
    return any(
        stage in layer.stages if layer.preset is None else layer.component(stage)
        for layer in layers
    )


def _opening_paths(host: Host, layer: Layer) -> Layer:
    """``layer`` with the data set that opens it where a bare path is given for data."""
    table = layer.stages.get("data", {})
    text = str(table.get(COMPONENT, ""))
    registry = host.registry("data")
    if not text or name_and_argument(text)[0] in registry:
        return layer
    try:
        path = Path(text).expanduser()
        is_folder, is_there = path.is_dir(), path.exists()
    except (OSError, RuntimeError, ValueError):  # no path, or of no user
        return layer
    if not is_there:
        near = nearby(path)
        meant = near and not closest(text, registry.names())  # a path, though it could be a name
        if ":" not in text and ("/" in text or path.suffix or meant):
            raise OptionError(
                f"there is no file or folder {text}; give the path of one, or a data set's name "
                f"(known: {', '.join(registry.names())}){near}"
            )
        return layer
    opens = {
        e: n for n, one in registry.items() for e in traits_of(one.component, DatasetTraits).opens
    }
    name = opens.get("/" if is_folder else path.suffix.lower())
    if name is None:
        raise OptionError(
            f"no data set opens {text} (a bare path may end in {', '.join(opens)}); save it as an "
            ".npz with train_inputs and train_labels, or give `data=NAME:PATH`"
        )
    opened = {**layer.stages, "data": {**table, COMPONENT: f"{name}:{text}"}}
    return replace(layer, stages=opened)


def _portable_paths(recipe: Recipe, layer: Layer) -> dict[str, str]:
    """The paths of ``recipe`` that it may name when it is written; see :class:`Recipe`."""
    folders = [Path.cwd()]
    given: dict[str, Any] = {}
    if layer.file is not None:
        folders.append(Path(os.path.abspath(layer.file.parent)))
        given = {
            k: absolute(v)
            for k, v in flatten(layer.stages).items()
            if not os.path.isabs(os.path.expanduser(str(v)))
        }
    return {
        key: path
        for key, path in recipe.all_paths().items()
        if given.get(key) == path or any(Path(path).is_relative_to(f) for f in folders)
    }


def _file(request: Request, flag: object = None) -> Path | None:
    """The request's recipe file, unless ``flag`` was given in its place."""
    recipe = request.recipe
    return recipe.path if isinstance(recipe, RecipeFile) and flag is None else None


def preset_of(host: Host, request: Request) -> Preset:
    """The preset that ``request`` is resolved with."""
    preset: Preset = _first_named(host, request, "preset", request.preset, DEFAULTS["preset"])
    return preset


def method_of(host: Host, request: Request) -> Method:
    """The method that ``request`` is resolved with.

    Raises:
        OptionError: where it is to be chosen.
    """
    if is_choice(request):
        raise OptionError(
            f"`method={CHOOSE}` chooses a method, which only `condense run` and condense() do; "
            "name a method"
        )
    usual = preset_of(host, request).method or DEFAULTS["method"]
    method: Method = _first_named(host, request, "method", request.method, usual)
    return method


def _first_named(host: Host, request: Request, kind: str, flag: str | None, usual: str) -> Any:
    """The component of ``kind`` that the flag names, else the recipe, else the usual one."""
    with naming_the_file(_file(request, flag)):
        return host.registry(kind).get(first_said(flag, request.recipe.get(kind), usual))


def _yielding(method: Method, preset: Preset) -> dict[str, Table]:
    """The method's stages, without the default components that ``preset`` replaces."""
    given = {s for s in method.defaults if COMPONENT in preset.stages.get(s, {})}
    return {s: {} if s in given else table for s, table in method.stages.items()}


def first_said(*values: Any) -> str:
    """The first of ``values`` that is not None, as text."""
    return str(next(value for value in values if value is not None))


def _seed(request: Request) -> int:
    seed = request.seed if request.seed is not None else request.recipe.get("seed", 0)
    with naming_the_file(_file(request, request.seed)):
        return check_seed(seed)


def _budget(request: Request, preset: Preset) -> Budget:
    """The strongest of flag, recipe file and preset; a layer that sets one drops the other."""
    if request.ipc is not None or request.fraction is not None:
        return Budget(request.ipc, request.fraction)
    ipc, fraction = request.recipe.get("ipc"), request.recipe.get("fraction")
    with naming_the_file(_file(request)):
        return Budget(preset.ipc if ipc is None and fraction is None else ipc, fraction)
