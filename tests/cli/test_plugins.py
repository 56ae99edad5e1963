import json

import pytest

from condense.cli.plugins import type_name


def test_lists_every_component_with_its_options(cli):
    document = json.loads(cli("plugins", "--json").stdout)
    assert set(document) == {"components", "presets", "broken"}
    found = {(c["kind"], c["name"]): c for c in document["components"]}
    assert len(found) == 11
    assert found["method", "auto"]["package"] == "condense-data"  # no component, but to be had
    match = found["matcher", "match"]
    assert set(match) == {"name", "kind", "package", "version", "summary", "options"}
    assert match["summary"] == "match"
    assert match["options"] == [
        {
            "name": "memory",
            "type": "auto | constant",
            "default": "auto",
            "help": "form of the gradient",
        },
        {"name": "steps", "type": "int", "default": 3, "help": "steps of the student"},
        {
            "name": "network",
            "type": "network",
            "default": {"component": "net"},
            "help": "network of the student",
        },
        {"name": "limit", "type": "float | null", "default": None, "help": "seconds at most"},
    ]
    method = found["method", "selmatch"]
    assert (method["options"], method["summary"]) == ([], "all of it")
    (preset,) = document["presets"]
    package = preset.pop("package")
    assert preset == {"name": "quick", "summary": "a minute", "ipc": 5, "version": "0"}
    assert package.startswith("FakePlugin")
    assert document["broken"] == []


def test_broken_plugin_is_named_and_the_rest_works(cli, make_host):
    host = make_host(cli.broken_plugin)
    result = cli("plugins", "--json", obj=host)
    assert result.exit_code == 0
    (broken,) = json.loads(result.stdout)["broken"]
    assert broken["name"].startswith("BrokenPlugin")
    assert broken["error"] == "RuntimeError: no luck"
    name, package = broken["name"], broken["package"]
    line = f"warning: plugin {name} ({package}) failed to load: RuntimeError: no luck\n"
    assert result.stderr == line
    assert cli("plugins", "--strict", obj=host).exit_code == 1
    assert cli("plugins", "--strict").exit_code == 0


def test_table_has_a_line_for_each(cli):
    lines = [line.split() for line in cli("plugins").stdout.splitlines()]
    assert ["matcher", "match"] in [line[:2] for line in lines]
    assert ["matcher", "match", "match"] in [
        [*line[:2], line[-1]] for line in lines
    ]  # its docstring
    assert ["preset", "quick"] in [line[:2] for line in lines]


def test_show_gives_range_default_and_help(cli):
    text = cli("plugins", "show", "matcher", "match").stdout
    assert "steps" in text
    assert "int ≥ 1, < 100" in text
    assert "steps of the student" in text
    assert "(required)" in cli("plugins", "show", "data", "filed").stdout
    assert "no options" in cli("plugins", "show", "scorer", "rate").stdout
    assert "steps" in cli("plugins", "show", "preset", "quick").stdout
    text = cli("plugins", "show", "method", "auto").stdout
    assert text.startswith("method auto (condense-data ")
    assert "no options" in text
    document = json.loads(cli("plugins", "show", "method", "selmatch", "--json").stdout)
    assert document["stages"]["scorer"] == {"component": "rate"}


@pytest.mark.parametrize("args", [("scorer", "rat"), ("scorr", "rate")])
def test_show_of_something_unknown_suggests_the_nearest(cli, args):
    result = cli("plugins", "show", *args)
    assert result.exit_code == 2
    assert "did you mean" in result.stderr


def test_an_unknown_method_is_told_that_one_can_be_chosen(cli):
    said = cli("run", "--method", "autoo").stderr.splitlines()[-1]
    assert "did you mean 'auto'? (known: selmatch; `condense run` and condense() take auto" in said


def test_types_read_as_a_user_would_say_them():
    assert type_name(tuple[int, ...]) == "tuple[int, …]"
    assert type_name(str | None) == "str | null"
