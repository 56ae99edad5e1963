"""No hookspec, Protocol, option or command without help that gives shapes, units and errors."""

import inspect
import re

import click
import pytest

from condense import interfaces
from condense.cli.main import COMMANDS, main
from condense.plugin import spec
from condense.plugin.registry import KINDS

HOOKS = [f"condense_register_{suffix}" for suffix in KINDS.values()]
PROTOCOLS = [
    cls
    for name, cls in vars(interfaces).items()
    if inspect.isclass(cls) and getattr(cls, "_is_protocol", False) and name != "Protocol"
]
# a shape [N, …], a range, a count, or a word for something that has neither
MEASURE = re.compile(r"\[[^\]]*\]|0–1|scalar|record|units?|whether|iterations|seconds|\bbar\b")


def commands():
    for name in COMMANDS:
        command = main.get_command(click.Context(main), name)
        yield name, command
        for inner in getattr(command, "commands", {}).values():
            yield f"{name} {inner.name}", inner


@pytest.mark.parametrize("hook", HOOKS)
def test_hookspecs_give_shapes_and_errors(hook):
    text = inspect.getdoc(getattr(spec, hook)) or ""
    assert MEASURE.search(text), text
    assert "Raises" in text


def test_there_are_no_other_hooks():
    assert {n for n in vars(spec) if n.startswith("condense_")} == set(HOOKS)


def methods():
    for cls in PROTOCOLS:
        for name, member in vars(cls).items():
            public = not name.startswith("_")
            if public and (inspect.isfunction(member) or isinstance(member, property)):
                yield pytest.param(member, id=f"{cls.__name__}.{name}")


def test_protocols_are_found():
    kinds = {"Dataset", "Network", "Scorer", "Selector", "Matcher", "UpdatePolicy"}
    assert kinds | {"Augmentation", "Evaluator", "Context"} <= {c.__name__ for c in PROTOCOLS}
    assert all(inspect.getdoc(cls) for cls in PROTOCOLS)


@pytest.mark.parametrize("member", list(methods()))
def test_members_of_protocols_say_what_they_are(member):
    text = inspect.getdoc(member) or ""
    assert len(text.split()) >= 3


STAGE_METHODS = {
    "Dataset": ["load"],
    "Network": ["build"],
    "Scorer": ["score"],
    "Selector": ["select"],
    "UpdatePolicy": ["split"],
    "Matcher": ["prepare", "step"],
    "Augmentation": ["draw", "apply"],
    "Evaluator": ["evaluate"],
}


@pytest.mark.parametrize(("protocol", "names"), list(STAGE_METHODS.items()))
def test_methods_of_stages_give_shapes_or_units_and_errors(protocol, names):
    cls = getattr(interfaces, protocol)
    texts = [inspect.getdoc(getattr(cls, name)) or "" for name in names]
    assert all(MEASURE.search(t) or "Raises" in t for t in texts), texts
    assert any("Raises" in t for t in texts), protocol


def test_every_option_of_every_component_has_help(host):
    found = 0
    for kind, registry in host.registries.items():
        if kind in ("method", "preset"):
            continue
        for name, entry in registry.items():
            for key, field in entry.component.Options.model_fields.items():
                found += 1
                assert field.description, f"{kind} {name}.{key}"
    assert found > 60


@pytest.mark.parametrize(("name", "command"), list(commands()), ids=str)
def test_commands_and_flags_have_help(name, command):
    assert command.help
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert (parameter.help or "").strip(), f"{name} {parameter.name}"
