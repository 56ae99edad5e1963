"""Option models: one declaration serves Python, TOML recipes and ``-o stage.key=value``.

A component declares ``class Options(Options)`` with pydantic fields that carry a default and a
description. A field may itself name a component (:class:`NetworkSpec`,
:class:`AugmentationSpec`); its options nest one dot deeper: ``-o matcher.network.width=32``.
"""

from __future__ import annotations

import contextlib
import inspect
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar, get_args, get_origin

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializationInfo,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_serializer,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, core_schema

from condense.errors import OptionError, closest
from condense.reading import LARGEST, check_plain, check_text, shown

COMPONENT = "component"  # the key that names the component in a stage's table
FLOAT32_MAX = 3.4e38  # options end up in float32


class Options(BaseModel):
    """Base of every component's options: frozen, unknown keys rejected, no NaN, nothing infinite.

    In float32, that is, in which rates and sizes are used.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        validate_default=True,
        coerce_numbers_to_str=True,
    )
    # By name, marks as of :func:`without_effect_unless` of options that are inherited: declared
    # anew to be marked, one would be another option than its class's (:func:`is_shared`).
    inherited_marks: ClassVar[Mapping[str, dict[str, Any]]] = {}

    @field_validator("*")
    @classmethod
    def _within_float32(cls, value: Any) -> Any:
        if isinstance(value, float) and abs(value) > FLOAT32_MAX:
            raise ValueError(f"must lie within ±{FLOAT32_MAX:g}, the range of float32")
        if isinstance(value, int) and abs(value) >= LARGEST:
            raise ValueError("must be a whole number of at most 63 bits")
        for item in value if isinstance(value, list | tuple) else (value,):
            text = os.fspath(item) if isinstance(item, Path) else item
            if isinstance(text, str) and "\0" in check_text(text):
                raise ValueError("must not hold the character 0")
        return value


IS_PATH = "path"
# Where a file or folder lies: text, absolute once it is resolved. A recipe that is written names
# it relative to itself, or not at all (:meth:`condense.recipe.Recipe.portable`).
PathOption = Annotated[str, Field(min_length=1), IS_PATH]


def number_in(value: Any) -> float | None:
    """The number that the value of a :data:`TestPart` is; None where it names a file."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _share_or_file(value: Any) -> Any:
    share = number_in(value)
    if share is not None and (isinstance(value, bool) or not 0 < share < 1):
        raise ValueError("must be a share > 0, < 1, or a file")
    return value if share is None else share


OR_SHARE = BeforeValidator(_share_or_file)
# Where the test split comes from: a file, or a share of the samples, stratified by a fixed seed.
TestPart = Annotated[str | float, OR_SHARE, IS_PATH]


@dataclass(frozen=True)
class OrAuto:
    """Beside a ``float``: a number with these bounds, or the word ``auto``."""

    ge: float | None = None
    gt: float | None = None

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> CoreSchema:
        return core_schema.no_info_wrap_validator_function(
            _auto_or,
            core_schema.float_schema(ge=self.ge, gt=self.gt),
            serialization=core_schema.plain_serializer_function_ser_schema(lambda value: value),
        )


def _auto_or(value: Any, number: core_schema.ValidatorFunctionWrapHandler) -> Any:
    return value if isinstance(value, str) and value == "auto" else number(value)


def is_real(field: FieldInfo) -> bool:
    """Whether an option is a real number, or may be one."""
    return field.annotation is float or any(isinstance(rule, OrAuto) for rule in field.metadata)


def path_fields(model: type[BaseModel]) -> list[str]:
    """The fields of ``model`` that are a :data:`PathOption` or a ``Path``, or one or None."""
    return [
        name
        for name, field in model.model_fields.items()
        if IS_PATH in field.metadata
        or any(map(_is_path, (field.annotation, *get_args(field.annotation))))
    ]


def names_file(model: type[BaseModel], name: str, value: Any) -> bool:
    """Whether ``value`` of the path option ``name`` is one: not none, nor a :data:`TestPart`'s
    share."""
    rules = [get_args(part) for part in get_args(model.model_fields[name].annotation)]
    return bool(value) and not (any(OR_SHARE in r for r in rules) and number_in(value) is not None)


def _is_path(annotation: Any) -> bool:
    if get_origin(annotation) is Annotated:
        return any(part in (IS_PATH, Path) for part in get_args(annotation))
    return annotation is Path


def paths_among(options: BaseModel) -> dict[str, str]:
    """Every path in ``options`` and in those of the components that they name, by dotted key."""
    found: dict[str, str] = {}
    fields = path_fields(type(options))
    for name in type(options).model_fields:
        value = getattr(options, name)
        inner = value.options if isinstance(value, ComponentSpec) else value
        if name in fields and isinstance(value, str | Path):
            found[name] = os.fspath(value)
        elif isinstance(inner, BaseModel):
            found |= {f"{name}.{key}": path for key, path in paths_among(inner).items()}
    return found


def is_shared(option: str, own: type[Options], meant: type[Options]) -> bool:
    """Whether ``own`` has ``option`` from the class that ``meant`` has it from.

    Options of one name are the same option, and a value for one fits the other, only then.
    """

    def declared_in(model: type[Options]) -> type | None:
        return next((c for c in model.__mro__ if option in inspect.get_annotations(c)), None)

    return option in own.model_fields and declared_in(own) is declared_in(meant)


# ``json_schema_extra`` of an option that changes how long a result takes, or from where the same
# data are read, and no result
SPEED_ONLY: dict[str, Any] = {"speed_only": True}


def without_effect_beside(option: str) -> dict[str, Any]:
    """``json_schema_extra`` of an option that has no effect where ``option`` is set."""
    return {"unless": option}


def without_effect_unless(option: str, value: str) -> dict[str, Any]:
    """``json_schema_extra`` of an option that has an effect where ``option`` is ``value`` alone."""
    return {"only": [option, value]}


def idle_options(options: Options) -> dict[str, str]:
    """The options that have no effect as others are set, and why, {stage} being theirs."""
    found = {}
    for name, field in type(options).model_fields.items():
        extra = field.json_schema_extra
        own = extra if isinstance(extra, dict) else {}
        match {**own, **options.inherited_marks.get(name, {})}:
            case {"unless": str(other)} if getattr(options, other) is not None:
                set_to = format_value(getattr(options, other))
                found[name] = f"beside `{{stage}}.{other}={set_to}`"
            case {"only": [str(other), value]} if getattr(options, other) != value:
                found[name] = f"without `{{stage}}.{other}={value}`"
    return found


def result_options(options: Options) -> dict[str, Any]:
    """The values of ``options`` that results depend on, JSON-ready: all but :data:`SPEED_ONLY`."""
    fields = type(options).model_fields.items()
    silent = {name for name, field in fields if field.json_schema_extra == SPEED_ONLY}
    return options.model_dump(mode="json", exclude=silent)


class ComponentSpec(Options):
    """A component by name with the options set for it, as one value of another's options.

    Written ``"convnet"``, ``"npz:PATH"`` or ``{component = "convnet", width = 32}``. Resolved, it
    holds the component's own ``Options``, validated once; before that what was set, by name.
    """

    kind: ClassVar[str] = ""
    component: str = Field(min_length=1, description="registered name of the component")
    options: dict[str, Any] | Options = Field(default_factory=dict, description="its options")

    @classmethod
    def of(cls, component: str, **options: Any) -> Any:
        """The spec of ``component`` with ``options``; for defaults of option fields."""
        return cls(component=component, options=options)

    @model_validator(mode="before")
    @classmethod
    def _accept_flat_forms(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {COMPONENT: value}
        if isinstance(value, Mapping) and "options" not in value:
            rest = {k: v for k, v in value.items() if k != COMPONENT}
            head = {COMPONENT: value[COMPONENT]} if COMPONENT in value else {}
            return {**head, "options": rest}
        return value

    @model_serializer
    def _to_flat_table(self, info: SerializationInfo) -> dict[str, Any]:
        own = self.options
        options = own.model_dump(mode=info.mode) if isinstance(own, Options) else own
        return {COMPONENT: self.component, **options}


class NetworkSpec(ComponentSpec):
    """A network by name with its options."""

    kind = "network"


class AugmentationSpec(ComponentSpec):
    """An augmentation by name with its options."""

    kind = "augmentation"


OptionsT = TypeVar("OptionsT", bound=Options)


def part_of(model: type[OptionsT], options: Options | None) -> OptionsT:
    """The fields of ``model`` that ``options`` have; defaults for the rest."""
    known = model.model_fields.keys() & type(options).model_fields.keys() if options else ()
    return model(**{name: getattr(options, name) for name in known})


def plain_models(model: type[BaseModel]) -> dict[str, type[BaseModel]]:
    """The fields of ``model`` that are tables of options of their own, but name no component."""
    found = {}
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            if not issubclass(kind, ComponentSpec):
                found[name] = kind
    return found


def spec_fields(model: type[Options]) -> dict[str, type[ComponentSpec]]:
    """The fields of ``model`` that name another component, with their spec class."""
    found = {}
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, ComponentSpec):
            found[name] = field.annotation
    return found


def build_options(model: type[OptionsT], values: Mapping[str, Any], where: str) -> OptionsT:
    """``model`` made of ``values``.

    Args:
        model: the component's ``Options`` class.
        values: option values by name.
        where: dotted prefix for messages, for example ``"matcher"``.

    Raises:
        OptionError: naming every bad key and value at once, with the allowed range.
    """
    fields = model.model_fields
    try:
        return model.model_validate({k: _read(fields.get(k), v) for k, v in values.items()})
    except ValidationError as error:
        items = error.errors()
        keys = [".".join([where, *map(str, item["loc"])]) for item in items]
        raise OptionError("; ".join(_explain(model, i, where) for i in items), keys) from None


class Text(str):
    """An option as it is typed after ``-o``; the type of the option says how it is to be read."""


def _read(field: FieldInfo | None, value: Any) -> Any:
    """``value``, with pydantic's reading of text for ``field`` where that is :class:`Text`.

    What it cannot read so (a list, a number for an unknown option) is read as JSON.
    """
    if isinstance(value, Mapping):
        return {key: _read(None, inner) for key, inner in value.items()}
    if not isinstance(value, Text):
        return value
    if field is not None and value != "null":
        kind: Any = field.rebuild_annotation()
        adapter = TypeAdapter[Any](kind, config=ConfigDict(allow_inf_nan=False))
        with contextlib.suppress(ValidationError):
            return adapter.validate_strings(value)
    return as_json(value)


def as_json(text: str) -> Any:
    """``text`` read as JSON where that works (numbers, true, false, null, lists), else as it is."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return {"true": True, "false": False}.get(text.lower(), str(text))


def _explain(model: type[Options], item: Any, where: str) -> str:
    key = ".".join(str(part) for part in item["loc"])
    path = f"{where}.{key}" if where else key
    known = list(model.model_fields)
    if item["type"] == "extra_forbidden":
        if not known:
            return f"unknown option {path}: {where} takes none"
        return (
            f"unknown option {path}{closest(key, known)} (options of {where}: {', '.join(known)})"
        )
    if item["type"] == "missing":
        field = model.model_fields.get(key)  # None where a nested table lacks its component
        return f"option {path} is required: {field.description if field else 'a name'}"
    if not key:  # of several options together
        return f"options of {where}: {_allowed(model, item, key)}"
    return f"{path}={format_value(item['input'])}: {_allowed(model, item, key)}"


def _allowed(model: type[Options], item: Any, key: str) -> str:
    """What a value must be, out of one error of pydantic's; its own words for a rare one."""
    field = model.model_fields.get(key) or _items_of(model, item)  # None inside a table
    limits = bounds(field) if field is not None else ""
    if field is not None and any(isinstance(rule, OrAuto) for rule in field.metadata):
        limits += ", or auto"
    kind = str(item["type"])
    if kind == "literal_error":
        return f"must be {item['ctx']['expected']}"
    if kind.startswith(("greater_than", "less_than", "multiple_of")):
        whole = field is not None and int in (field.annotation, *get_args(field.annotation))
        rule = limits or " " + str(item["msg"]).partition("should be ")[2]
        return f"must be a {'whole number' if whole else 'number'}{rule}"
    for prefix, what in _TYPES.items():
        if kind.startswith(prefix):
            return f"must be {what}{limits}"
    message = str(item["msg"]).replace("Value error, ", "")
    message = f"{message[:1].lower()}{message[1:]}"
    return f"{message} (allowed:{limits})" if limits else message


def _items_of(model: type[Options], item: Any) -> FieldInfo | None:
    """What an item of a list must be, where an error is about one."""
    match item["loc"]:
        case (str(name), int()) if name in model.model_fields:
            kind = model.model_fields[name].annotation
            if get_origin(kind) in (tuple, list) and (inner := get_args(kind)):
                return FieldInfo.from_annotation(inner[0])
    return None


_TYPES = {
    "int_": "a whole number",
    "float_": "a number",
    "finite_number": "a finite number",
    "bool_": "true or false",
    "string_type": "text",
    "string_too_short": "text that is not empty",
    "model_type": "the name of a component, or a table that has it",
    "tuple_type": "a list such as [1, 2]",
    "list_type": "a list such as [1, 2]",
    "too_short": "a list that is not empty",
    "dict_type": "a table",
}
LONGEST = 200  # characters of a value in a message
_BOUNDS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}


def bounds(field: FieldInfo) -> str:
    """The allowed range of an option field, for example ``" ≥ 0, < 1"``; empty without one."""
    found = [f"{_BOUNDS[name]} {edge}" for name, edge in limits(field).items()]
    return f" {', '.join(found)}" if found else ""


def limits(field: FieldInfo) -> dict[str, Any]:
    """What ``field`` has of ``ge``, ``gt``, ``le`` and ``lt``."""
    rules = ((rule, name) for rule in field.metadata for name in _BOUNDS)
    return {n: edge for rule, n in rules if (edge := getattr(rule, n, None)) is not None}


def format_value(value: Any) -> str:
    """``value`` as it would be typed after ``-o key=``, if it is not too long for a message."""
    if isinstance(value, str):
        text = value if value.isprintable() else shown(value)
    else:
        try:
            text = json.dumps(value)
        except (TypeError, ValueError):
            text = shown(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


Assignment = tuple[tuple[str, ...], Any]  # the parts of a dotted key, and the value


def assignments_of(values: Mapping[str, Any]) -> tuple[Assignment, ...]:
    """``values`` by dotted key as ``-o`` gives them."""
    return tuple((tuple(key.split(".")), value) for key, value in values.items())


def parse_assignment(text: str) -> Assignment:
    """``"matcher.network.width=32"`` as (("matcher", "network", "width"), Text("32")).

    A value that is a JSON table becomes a dict.

    Raises:
        OptionError: if ``text`` is not KEY=VALUE.
    """
    key, sign, value = text.partition("=")
    parts = tuple(key.strip().split("."))
    if not sign or not all(parts):
        raise OptionError(
            f"-o {text}: expected STAGE=COMPONENT or STAGE.KEY=VALUE, "
            "for example -o selector.beta=0.3"
        )
    table = as_json(value)
    try:
        check_plain(table)
    except ValueError as error:
        raise OptionError(f"-o {key.strip()}={format_value(value)}: {error}") from None
    return parts, table if isinstance(table, dict) else Text(value.strip())
