"""No hookspec, Protocol, option or command without help that gives shapes, units and errors."""

import inspect
import re

import click
import pytest

from condense import interfaces
from condense.cli.main import COMMANDS, main
from condense.kinds import KINDS
from condense.plugin import spec

HOOKS = [f"condense_register_{kind.suffix}" for kind in KINDS.values()]
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


HARMLESS = {"Task.advance", "Progress.task", "Progress.note", "Cache.has"}  # raise nothing


def functions():
    for cls in PROTOCOLS:
        for name, member in vars(cls).items():
            if inspect.isfunction(member) and not name.startswith("_"):
                yield pytest.param(f"{cls.__name__}.{name}", member, id=f"{cls.__name__}.{name}")


@pytest.mark.parametrize(("name", "member"), list(functions()))
def test_functions_of_protocols_give_shapes_of_tensors_and_errors(name, member):
    text = inspect.getdoc(member) or ""
    if re.search(r"Tensor|Module|Scores|Selection|Dynamics", str(member.__annotations__)):
        assert re.search(r"\[[^\]]+\]|scalar|any shape", text), text
    assert ("Raises" in text) != (name in HARMLESS), text


UNIT = re.compile(
    r"rate|momentum|decay|share|fraction|part\b|units|0-1|degrees|seconds|factor|multiply|stretch"
    r"|correlation|step size|distance|radius|logits|temperature|power|samples"
)


def test_every_option_with_a_fractional_value_says_in_which_unit(host):
    found = 0
    for kind, registry in host.registries.items():
        for name, entry in registry.items() if kind not in ("method", "preset") else ():
            for key, field in entry.component.Options.model_fields.items():
                if field.annotation in (float, float | None):
                    found += 1
                    assert UNIT.search(field.description), f"{kind} {name}.{key}"
    assert found > 20


COUNTED = re.compile(
    r"pixels|channels|blocks|units|layers|networks|epochs?\b|samples|iterations|steps|stride|times"
    r"|seed"
)


def test_every_option_with_a_whole_number_says_what_is_counted(host):
    found = 0
    for kind, registry in host.registries.items():
        for name, entry in registry.items() if kind not in ("method", "preset") else ():
            for key, field in entry.component.Options.model_fields.items():
                if field.annotation in (int, int | None):
                    found += 1
                    assert COUNTED.search(field.description), f"{kind} {name}.{key}"
    assert found > 30


@pytest.mark.parametrize("name", ["show", "new", "check"])
def test_commands_for_plugins_tell_kinds_and_errors(name):
    told = " ".join((dict(commands())[f"plugins {name}"].help or "").split())
    assert re.search(r"Exits with [12]", told)
    kinds = {"show": set(KINDS), "new": set(KINDS) - {"preset"}}.get(name, set())
    assert kinds <= set(re.findall(r"[\w-]+", told))


def test_every_built_in_and_its_methods_are_documented(host):
    for kind, registry in host.registries.items():
        for name, entry in registry.items() if kind not in ("method", "preset") else ():
            assert (entry.component.__doc__ or "").strip(), f"{kind} {name}"
            for method in ("plan", *(m for names in STAGE_METHODS.values() for m in names)):
                member = getattr(entry.component, method, None)
                assert member is None or inspect.getdoc(member), f"{kind} {name}.{method}"


def test_help_says_what_exit_codes_mean():
    told = " ".join((main.help or "").split())
    assert "0 done, 1 failed, 2 wrong usage" in told
    assert "one line on stderr" in told


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
