"""What is checked of a component when it is registered: the one place that looks its members up.

Everything a class of its kind must have, may have (:mod:`condense.capabilities`) or may say of
itself (:mod:`condense.traits`) is known here, so that a misspelt member is an error and never
silently without effect.
"""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from typing_extensions import get_protocol_members

from condense import capabilities, interfaces, traits
from condense.errors import BrokenPlugin
from condense.kinds import KINDS, Kind
from condense.options import Options
from condense.recipe import Method, Preset

_KEBAB = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_NEAR = 0.85  # of difflib's ratio: one letter more, less or elsewhere in a word of five
_FORMS = (
    "a text",
    "a table",
    "a table of tables, {'scorer': {'component': 'el2n'}} for example",
    "a table of tables of tables, {'digits': {'scorer': {'epochs': 3}}} for example",
)
_OF_METHODS = {"summary": 0, "stages": 2}  # by field: which of the forms
_OF_PRESETS = {
    **_OF_METHODS,
    "for_data": 3,
    "for_modality": 3,
    "written_for": 1,
    "sources": 1,
    "method": 0,
}
_RECORDS: dict[str, tuple[type, dict[str, int]]] = {
    "method": (Method, _OF_METHODS),
    "preset": (Preset, _OF_PRESETS),
}


def check_component(component: Any, kind: str) -> None:
    """That ``component`` has the outer form of its kind, and no member that looks like a slip.

    Raises:
        BrokenPlugin: naming the component and what is wrong.
    """
    label = getattr(component, "__name__", repr(component))
    name = getattr(component, "name", None)
    if not isinstance(name, str) or not _KEBAB.fullmatch(name):
        raise BrokenPlugin(f"{kind} {label} needs a kebab-case `name`, has {name!r}")
    who = f"{kind} '{name}'"
    if kind in KINDS and name in KINDS[kind].reserved:
        raise BrokenPlugin(f"{who} needs another name: {KINDS[kind].reserved[name]}")
    if kind in _RECORDS:
        record, forms = _RECORDS[kind]
        must_be = f"{who} must be a condense.recipe.{record.__name__}"
        if not isinstance(component, record):
            raise BrokenPlugin(f"{must_be}, got {type(component).__name__}")
        for field, depth in forms.items():
            value = getattr(component, field)
            if not _has_form(value, depth):
                raise BrokenPlugin(
                    f"{must_be} with a `{field}` that is {_FORMS[depth]}; has {value!r}"
                )
        return
    if not inspect.isclass(component):
        raise BrokenPlugin(f"{who} must be registered as a class, got {label}")
    for problem in _problems(component, KINDS[kind]):
        raise BrokenPlugin(f"{who} {problem}")


def _has_form(value: object, depth: int) -> bool:
    """Whether ``value`` is a text, or tables (by text) nested ``depth`` deep."""
    if depth == 0:
        return isinstance(value, str)
    return isinstance(value, Mapping) and all(
        isinstance(key, str) and (depth == 1 or _has_form(inner, depth - 1))
        for key, inner in value.items()
    )


def _problems(cls: type[Any], kind: Kind) -> Iterator[str]:
    """What is wrong with a class of ``kind``, the plainest first."""
    protocol = getattr(interfaces, kind.protocol)
    optional = [getattr(capabilities, name) for name in ("TakesArgument", *kind.capabilities)]
    required = get_protocol_members(protocol) - {"__init__"}
    possible = {member: p for p in optional for member in get_protocol_members(p)}
    yield from _misspelt(cls, {*required, *possible, "traits"}, kind)
    options = getattr(cls, "Options", None)
    if not (inspect.isclass(options) and issubclass(options, Options)):
        yield "needs a nested `class Options(condense.Options)`"
        return
    for member in ("__doc__", "__module__"):  # shown in listings and messages
        if not isinstance(getattr(cls, member), (str, type(None))):
            yield f"needs text as its {member}"
    version = getattr(cls, "version", None)
    if not isinstance(version, str) or not version:
        yield f"needs a `version`, a text that is part of its cache keys, has {version!r}"
    argument = getattr(cls, "arg", None)
    if argument is not None and argument not in options.model_fields:
        yield f"has arg = {argument!r}, which is none of its options"
    for member in sorted(required):
        promised = getattr(protocol, member, None)
        if not hasattr(cls, member) and not isinstance(promised, property):  # of the instance
            yield f"needs a {'method' if promised else 'class attribute'} `{member}`"
    for member, owner in {**dict.fromkeys(sorted(required), protocol), **possible}.items():
        yield from _signature(cls, member, owner)
    expected = getattr(traits, f"{kind.protocol}Traits")
    declared = getattr(cls, "traits", expected())
    if not isinstance(declared, expected):
        yield f"has traits of {type(declared).__name__}, expected {expected.__name__}"
        return
    ends = (f"{option}-{end}" for option in options.model_fields for end in traits.OF_OPTIONS)
    codes = {*traits.CODES, *ends}
    for code in sorted({*declared.advice} - codes):
        for near in _near(code, codes):
            yield f"has advice for '{code}', which is no code; did you mean '{near}'?"


def _misspelt(cls: type[Any], known: set[str], kind: Kind) -> Iterator[str]:
    """Members that are, or nearly are, a trait, or nearly a known one that the class has not."""
    absent = [member for member in known if not hasattr(cls, member)]
    own = getattr(traits, f"{kind.protocol}Traits")
    of_traits = {field.name for field in fields(own)}
    for member in dir(cls):
        if member.startswith("_") or member in known:
            continue
        for near in _near(member, {*absent, *of_traits}):
            if near in of_traits:
                yield f"has `{member}`; a trait is written traits = {own.__name__}({near}=…)"
            yield f"has `{member}`, which no {kind.name} has; did you mean `{near}`?"


def _near(word: str, known: set[str]) -> list[str]:
    """The one of ``known`` that ``word`` is or nearly is, if there is one."""
    return difflib.get_close_matches(word, known, n=1, cutoff=_NEAR)


def _signature(cls: type[Any], member: str, owner: Any) -> Iterator[str]:
    """Whether the method ``member`` can be called as the Protocol ``owner`` says."""
    contract, found = getattr(owner, member, None), inspect.getattr_static(cls, member, None)
    if not inspect.isfunction(contract) or found is None:
        return
    if not callable(getattr(cls, member)):
        yield f"needs a method `{member}`, has {getattr(cls, member)!r}"
    if not inspect.isfunction(found):
        return
    arguments = list(inspect.signature(contract).parameters)
    try:
        inspect.signature(found).bind(*arguments)
    except TypeError:
        own = ", ".join(list(inspect.signature(found).parameters)[1:])
        yield (
            f"has {member}({own}), which cannot be called as {member}({', '.join(arguments[1:])})"
        )
