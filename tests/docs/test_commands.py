"""Commands that the documentation has one type: they are understood, and say what they cost."""

import re
import shlex
from pathlib import Path

import click
import pytest

from condense.cli.main import COMMANDS, main
from condense.kinds import STAGES
from condense.layers import BESIDE
from condense.options import parse_assignment
from condense.plugin.host import build_host

ROOT = Path(__file__).resolve().parents[2]
GENERATED = ("reference.md", "helpers.md")
PAGES = [
    ROOT / "README.md",
    *(p for p in sorted((ROOT / "docs").rglob("*.md")) if p.name not in GENERATED),
]
TRAINS = re.compile(
    r"condense (run|score|select|evaluate|ablate|compare|shrink|tune|coverage)\b|python benchmarks"
)
COST = re.compile(r"\b(seconds?|minutes?|hours?|\d+ (s|min|h))\b", re.IGNORECASE)


def blocks(page):
    """Each bash block with the paragraphs around it."""
    text = page.read_text(encoding="utf-8")
    for found in re.finditer(r"^```bash\n(.*?)^```\n", text, re.M | re.S):
        before = text[: found.start()].rstrip().rpartition("\n\n")[2]
        yield found[1], before, text[found.end() :].lstrip().partition("\n\n")[0]


def calls(block):
    """The arguments of every `condense` in ``block``."""
    for line in block.replace("\\\n", " ").splitlines():
        for found in re.finditer(r"(^|&& |-m )condense (.*?)(?= && |$)", line):
            yield shlex.split(found[2], comments=True)


def names(page):
    return str(page.relative_to(ROOT))


@pytest.fixture(scope="module")
def options():
    """(stage, name) of every option that a component has."""
    host = build_host(external=False)
    kinds = {**STAGES, **{kind: kind for kind in BESIDE}}
    return {
        (stage, name)
        for stage, kind in kinds.items()
        for _, entry in host.registry(kind).items()
        for name in entry.component.Options.model_fields
    }


@pytest.mark.parametrize("page", PAGES, ids=names)
def test_its_commands_are_understood(page, options):
    for block, _, _ in blocks(page):
        for name, *arguments in calls(block):
            assert name in COMMANDS, block
            command = main.get_command(click.Context(main), name)
            if isinstance(command, click.Group):
                command = command.commands[arguments.pop(0)]
            given = command.make_context(name, list(arguments), parent=click.Context(main)).params
            for text in given.get("assignments", ()):
                (stage, *rest), _ = parse_assignment(text)
                assert stage in {stage for stage, _ in options}, text
                assert not rest or (stage, rest[0]) in options, text


@pytest.mark.parametrize("page", PAGES, ids=names)
def test_what_trains_says_what_it_costs(page):
    if page.parent.name == "tutorials":  # these are run
        return
    silent = [
        block
        for block, *around in blocks(page)
        if TRAINS.search(block) and not any(COST.search(text) for text in (block, *around))
    ]
    assert silent == []
