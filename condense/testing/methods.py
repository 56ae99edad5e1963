"""What a method promises: a name, a summary, and stages that resolve to components that exist."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from condense.errors import BrokenPlugin, CondenseError
from condense.kinds import STAGES
from condense.options import assignments_of
from condense.plugin.contract import check_component
from condense.plugin.host import build_host
from condense.plugin.registry import Entry, Registry
from condense.recipe import Recipe
from condense.resolve import Request, resolve
from condense.testing.observation import Work
from condense.testing.subject import Subject


def resolved(subject: Subject, **request: Any) -> Recipe:
    """The recipe of the method on digits, among the components of the subject's host."""
    host = build_host(external=False)
    host.registries.update(subject.host.registries)
    host.registries["method"] = Registry("method")
    for name, entry in subject.host.registry("method").items():
        if name != subject.name:
            host.registry("method").add(name, entry)
    host.registry("method").add(subject.name, Entry(subject.cls, "kit", "0"))
    return resolve(host, Request(method=subject.name, **request))


def work(subject: Subject, seed: int) -> Work:
    """Nothing runs: a method is data."""

    def call() -> dict[str, Tensor]:
        resolved(subject)
        return {}

    return Work({}, call)


def check_has_the_form_of_its_kind(subject: Subject) -> None:
    """A :class:`condense.recipe.Method` with a kebab-case name."""
    try:
        check_component(subject.cls, "method")
    except BrokenPlugin as error:
        raise subject.failed(f"cannot be registered: {error}") from None


def check_summary_says_what_it_is(subject: Subject) -> None:
    """One line without a full stop, for ``condense plugins``."""
    text = subject.cls.summary
    subject.require(
        bool(text.strip()) and "\n" not in text and not text.endswith("."),
        f"has the summary {text!r}, expected one line without a full stop",
    )


def check_stages_exist(subject: Subject) -> None:
    """Stages are those of a recipe, each a table that names its component."""
    for stage, table in subject.cls.stages.items():
        subject.require(stage in STAGES, f"has a stage '{stage}' (stages: {', '.join(STAGES)})")
        subject.require(
            isinstance(table, Mapping) and bool(re.match(r"[a-z0-9]", str(table.get("component")))),
            f"has {table!r} at stage '{stage}', expected a table with a component",
        )


def check_resolves(subject: Subject) -> None:
    """Every component and every option of it exists."""
    tried = (subject.cls.tried or {}).items()
    values = [(key, value) for key, some in tried if isinstance(some, tuple) for value in some]
    for assignments in ((), *(assignments_of({key: value}) for key, value in values)):
        try:
            resolved(subject, assignments=assignments)
        except CondenseError as error:
            raise subject.failed(f"does not resolve: {error}") from None


def check_recipe_repeats_it(subject: Subject) -> None:
    """The resolved recipe, read back, is the same recipe."""
    first = resolved(subject)
    again = resolved(subject, recipe=first.to_dict())
    tables = [
        (stage, first[stage].table, again[stage].table)
        for stage in first.stages
        if first[stage].table != again[stage].table
    ]
    subject.require(not tables, f"is changed by its own recipe: {tables[:1]}")
