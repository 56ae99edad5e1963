"""What commands say about a preset beside the published one."""

import json
import types

import pytest

from condense.plugin import hookimpl
from condense.recipe import Preset

PAPER = {"matcher": {"steps": 9}}
FAST = {"matcher": {"steps": 4, "memory": "constant"}}


class Published:
    """A published preset and its twin."""

    @hookimpl
    def condense_register_presets(self, register):
        said = {"matcher.steps": "table 1", "*": "elsewhere"}
        both = {"written_for": {"matcher": "match"}, "sources": said, "published": "paper-a"}
        register(Preset("paper-a", "as published", PAPER, **both))
        register(Preset("fast-a", "quicker", FAST, **both))


@pytest.fixture
def host(make_host):
    return make_host(Published())


@pytest.fixture
def ran(cli, engine):
    def call(*args):
        engine.result = cli.run_result()
        result = cli("run", *args)
        assert result.exit_code == 0, result.output
        return result

    return call


NOTE = "note: differs from paper-a: matcher.memory constant (for auto), matcher.steps 4 (for 9)\n"


def test_run_says_once_how_a_named_preset_differs(ran):
    assert NOTE in ran("--preset", "fast-a").stderr
    assert NOTE not in ran("--preset", "fast-a").stdout
    assert "note: differs from paper-a: matcher.steps 2 (for 9)" in (
        ran("--preset", "paper-a", "-o", "matcher.steps=2").stderr
    )
    assert ran("--preset", "paper-a").stderr.count("note:") == 0
    assert "quick settings, not a paper's" in ran("--preset", "quick").stderr
    assert ran().stderr.count("note:") == 0


def test_a_dry_run_shows_the_differences_as_a_table_and_in_json(cli, engine):
    engine.result = types.SimpleNamespace(
        stages=[], memory_mb=0, disk_mb=0, seconds=0, to_json=lambda: {"dry_run": True}
    )
    lines = cli("run", "--preset", "fast-a", "--dry-run").stdout.splitlines()
    at = next(n for n, line in enumerate(lines) if line.startswith("option "))
    assert lines[at].split() == ["option", "paper-a", "here"]
    assert [line.split() for line in lines[at + 2 : at + 4]] == [
        ["matcher.memory", "auto", "constant"],
        ["matcher.steps", "9", "4"],
    ]
    document = json.loads(cli("run", "--preset", "fast-a", "--dry-run", "--json").stdout)
    assert document == {
        "dry_run": True,
        "published": "paper-a",
        "differences": [
            {"option": "matcher.memory", "published": "auto", "here": "constant"},
            {"option": "matcher.steps", "published": 9, "here": 4},
        ],
    }


def test_show_gives_every_value_with_its_source(cli):
    document = json.loads(cli("plugins", "show", "preset", "fast-a", "--json").stdout)
    values = {v["option"]: v for v in document["values"]}
    assert values["matcher.steps"] == {
        "option": "matcher.steps",
        "value": 4,
        "published": 9,
        "source": "table 1",
    }
    assert values["matcher.limit"]["source"] == "elsewhere"
    text = cli("plugins", "show", "preset", "fast-a").stdout
    line = next(line for line in text.splitlines() if line.startswith("matcher.steps"))
    assert line.split(maxsplit=2)[1:] == ["4", "table 1; published: 9"]
    assert "matcher  " in cli("plugins", "show", "preset", "quick").stdout  # without sources
