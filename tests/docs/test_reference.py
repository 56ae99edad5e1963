"""docs/reference.md is what the code says today."""

import re
from pathlib import Path

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


def test_the_reference_has_every_flag_and_option():
    text = reference()
    for part in ("`--no-baselines`", "### `condense plugins new KIND NAME`", "`beta`", "`alpha`"):
        assert part in text
    assert text.count("### `condense") > 10
