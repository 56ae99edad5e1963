"""Option models: one declaration serves Python, TOML recipes and ``-o stage.key=value``.

A component declares ``class Options(Options)`` with pydantic fields that carry a default and a
description. A field may itself name a component (:class:`NetworkSpec`,
:class:`AugmentationSpec`); its options nest one dot deeper: ``-o matcher.network.width=32``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_serializer,
    model_validator,
)
from pydantic.fields import FieldInfo

from condense.errors import OptionError, closest

COMPONENT = "component"  # the key that names the component in a stage's table


class Options(BaseModel):
    """Base of every component's options: frozen, unknown keys rejected, values never NaN."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        validate_default=True,
        coerce_numbers_to_str=True,
    )


class ComponentSpec(Options):
    """A component by name with the options set for it, as one value of another's options.

    Written ``"convnet"``, ``"npz:PATH"`` or ``{component = "convnet", width = 32}``.
    """

    kind: ClassVar[str] = ""
    component: str = Field(min_length=1, description="registered name of the component")
    options: dict[str, Any] = Field(default_factory=dict, description="its options")

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
    def _to_flat_table(self) -> dict[str, Any]:
        return {COMPONENT: self.component, **self.options}


class NetworkSpec(ComponentSpec):
    """A network by name with its options."""

    kind = "network"


class AugmentationSpec(ComponentSpec):
    """An augmentation by name with its options."""

    kind = "augmentation"


OptionsT = TypeVar("OptionsT", bound=Options)


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
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        lines = [_explain(model, item, where) for item in error.errors()]
        raise OptionError("; ".join(lines)) from None


def _explain(model: type[Options], item: Any, where: str) -> str:
    key = ".".join(str(part) for part in item["loc"])
    path = f"{where}.{key}" if where else key
    known = list(model.model_fields)
    if item["type"] == "extra_forbidden":
        options = ", ".join(known) or "none"
        return f"unknown option {path}{closest(key, known)} (options of {where}: {options})"
    if item["type"] == "missing":
        return f"option {path} is required: {model.model_fields[key].description}"
    message = str(item["msg"]).replace("Value error, ", "")
    field = model.model_fields.get(key.partition(".")[0])
    allowed = f" (allowed:{bounds(field)})" if field is not None and bounds(field) else ""
    return f"{path}={format_value(item['input'])}: {message[:1].lower()}{message[1:]}{allowed}"


_BOUNDS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}


def bounds(field: FieldInfo) -> str:
    """The allowed range of an option field, for example ``" ≥ 0, < 1"``; empty without one."""
    found = [
        f"{sign} {getattr(rule, name)}"
        for rule in field.metadata
        for name, sign in _BOUNDS.items()
        if getattr(rule, name, None) is not None
    ]
    return f" {', '.join(found)}" if found else ""


def format_value(value: Any) -> str:
    """``value`` as it would be typed after ``-o key=``."""
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value)
    except (TypeError, ValueError):
        return repr(value)


def parse_assignment(text: str) -> tuple[tuple[str, ...], Any]:
    """``"matcher.network.width=32"`` as (("matcher", "network", "width"), 32).

    The value is read as JSON where that works (numbers, true, false, null, lists), else as text.

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
    try:
        return parts, json.loads(value)
    except json.JSONDecodeError:
        lowered = value.strip().lower()
        return parts, {"true": True, "false": False}.get(lowered, value.strip())
