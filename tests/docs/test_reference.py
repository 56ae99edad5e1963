"""docs/reference.md is what the code says today."""

import re
from pathlib import Path

import click
import pytest

from condense.cli.main import main
from condense.cli.reference import TARGET, reference
from condense.kinds import KINDS
from condense.plugin.scaffold import WRITTEN


def test_the_reference_is_not_stale():
    written = (Path(__file__).resolve().parents[2] / TARGET).read_text(encoding="utf-8")
    assert written == reference(), "run `python -m condense.cli.reference` and commit the result"


@pytest.mark.parametrize(
    ("command", "row"),
    [
        ("ablate METHOD", "`--seeds N` .*  \\[default: 5]"),
        ("ablate METHOD", "`--vary .*  \\[required]"),
        ("compare METHOD,…", "`--seeds N` .*  \\[default: 3]"),
        ("shrink", "`--keep SHARE` .*  \\[default: 0.95]"),
        ("export DIR", "`--to .*  \\[required]"),
        ("export DIR", "`--out PATH` .*  \\[required]"),
        ("tune METHOD", "`--key STAGE.OPTION` .*  \\[default: selector.beta]"),
        ("tune METHOD", "`--trials N` .*  \\[default: 20; 1<=x<=10000]"),
    ],
)
def test_flags_say_their_default_or_that_they_are_required(command, row):
    (section,) = re.findall(rf"^### `condense {command}`\n(.*?)^###? ", reference(), re.S | re.M)
    assert re.search(rf"^\| {row} \|$", section, re.M), section


def test_help_names_every_kind():
    commands = main.get_command(None, "plugins").commands
    for name, kinds in (("show", KINDS), ("new", WRITTEN)):
        (listed,) = re.findall(r"Kinds: ([^.]*)\.", commands[name].help)
        assert sorted(listed.split()) == sorted(kinds)


def commands(command=main, typed="condense"):
    """Every command by what is typed."""
    yield typed, command
    for name in command.list_commands(None) if isinstance(command, click.Group) else ():
        yield from commands(command.get_command(None, name), f"{typed} {name}")


def test_the_reference_has_every_flag_of_every_command():
    heading = r"^### `(condense[a-z ]*?)(?: [A-Z][^`]*)?`\n(.*?)(?=^##)"
    sections, found = dict(re.findall(heading, reference(), re.S | re.M)), dict(commands())
    assert sections.keys() == found.keys()
    assert [
        f"{name} {flag}"
        for name, command in found.items()
        for option in command.params
        if isinstance(option, click.Option) and not option.hidden
        for flag in option.opts
        if not re.search(rf"^\| `(\S+, )?{flag}[ ,`]", sections[name], re.M)
    ] == []


def test_the_reference_has_every_option_of_every_component(host):
    sections = dict(re.findall(r"^#### (\S+ `\S+`)\n(.*?)(?=^##)", reference(), re.S | re.M))
    components = {
        f"{kind} `{name}`": entry.component
        for kind, registry in host.registries.items()
        if kind not in ("method", "preset")
        for name, entry in registry.items()
    }
    assert sections.keys() == components.keys()
    assert [
        f"{name} {key}"
        for name, component in components.items()
        for key in component.Options.model_fields
        if f"\n| `{key}` |" not in sections[name]
    ] == []
