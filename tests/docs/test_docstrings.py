"""What a linter cannot see: options and commands without help, and hooks without errors."""

import inspect

import click

from condense.cli.main import COMMANDS, main
from condense.kinds import KINDS
from condense.plugin import spec


def commands():
    for name in COMMANDS:
        command = main.get_command(click.Context(main), name)
        yield name, command
        for inner in getattr(command, "commands", {}).values():
            yield f"{name} {inner.name}", inner


def test_commands_and_flags_have_help():
    found = dict(commands())
    assert len(found) > 15
    assert [name for name, command in found.items() if not command.help] == []
    options = [
        (f"{name} {option.name}", option.help)
        for name, command in found.items()
        for option in command.params
        if isinstance(option, click.Option) and not option.hidden
    ]
    assert [name for name, told in options if not (told or "").strip()] == []


def test_every_option_of_every_component_has_help(host):
    fields = {
        f"{kind} {name}.{key}": field.description
        for kind, registry in host.registries.items()
        if kind not in ("method", "preset")
        for name, entry in registry.items()
        for key, field in entry.component.Options.model_fields.items()
    }
    assert len(fields) > 60
    assert [name for name, told in fields.items() if not told] == []


def test_there_is_one_hook_a_kind_and_it_names_its_errors():
    hooks = {
        name: inspect.getdoc(value) for name, value in vars(spec).items() if "_register_" in name
    }
    assert set(hooks) == {f"condense_register_{kind.suffix}" for kind in KINDS.values()}
    assert [name for name, told in hooks.items() if "Raises" not in (told or "")] == []


def test_help_says_what_exit_codes_mean():
    told = " ".join((main.help or "").split())
    assert "0 done, 1 failed, 2 wrong usage" in told
