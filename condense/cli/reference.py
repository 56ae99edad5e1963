"""docs/reference.md out of the code: ``python -m condense.cli.reference [FILE]``.

Every command with its arguments and flags, every built-in component with its options. A test
fails when the file is stale.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from condense.cli.main import COMMANDS, main
from condense.cli.plugins import describe_option, entries, value_text
from condense.options import Options, bounds
from condense.plugin.host import Host, build_host

TARGET = Path("docs") / "reference.md"
HEAD = """\
# Reference

Written by `python -m condense.cli.reference` out of the code; do not edit it.

Commands and their flags first, then the options of every built-in component. They are set with
`-o STAGE.OPTION=VALUE` or in a recipe file, those of a network where it is named
(`evaluator.network.width`). Executors and trackers are no part of a recipe: theirs are set with
`-o executor.OPTION=VALUE` and `-o tracker.OPTION=VALUE` alone. `condense plugins show KIND NAME`
shows the same for whatever is installed.
"""


def reference() -> str:
    """The whole text."""
    parts = [HEAD, "## Commands\n", *_command("condense", main)]
    for name in COMMANDS:
        command = main.get_command(click.Context(main), name)
        assert command is not None
        parts += _command(f"condense {name}", command)
        if isinstance(command, click.Group):
            for inner in command.commands.values():
                parts += _command(f"condense {name} {inner.name}", inner)
    parts += ["## Components\n", *_components(build_host(external=False))]
    return "\n".join(parts).rstrip("\n") + "\n"


def _command(path: str, command: click.Command) -> Iterator[str]:
    arguments = [p for p in command.params if isinstance(p, click.Argument)]
    words = [path, *(str(a.metavar or a.name).upper() for a in arguments)]
    yield f"### `{' '.join(words)}`\n"
    yield _paragraphs(command.help or "") + "\n"
    context = click.Context(command)
    options = [p for p in command.params if isinstance(p, click.Option) and not p.hidden]
    rows = [_flag(option, context) for option in options]
    if rows:
        yield _table(("flag", "meaning"), rows) + "\n"
    if command.epilog:
        lines = [line for line in command.epilog.replace("\b", "").splitlines() if line.strip()]
        lines = [line.removeprefix("Example: ").strip() for line in lines if line != "Examples:"]
        yield "```text\n" + "\n".join(lines) + "\n```\n"


def _flag(option: click.Option, context: click.Context) -> tuple[str, str]:
    """What ``--help`` shows, its default, range and "required" included."""
    names = ", ".join(option.opts)
    metavar = option.metavar or ""
    if isinstance(option.type, click.Choice):
        metavar = "|".join(str(choice) for choice in option.type.choices)
    flag = f"`{names}`" if option.is_flag else f"`{names} {metavar}`"
    _, meaning = option.get_help_record(context) or ("", "")
    return flag.replace("|", "\\|"), meaning.replace("|", "\\|")


def _components(host: Host) -> Iterator[str]:
    for kind, registry in host.registries.items():
        if kind == "preset":
            continue
        yield f"### {kind}\n"
        if kind == "method":
            rows = [
                (f"`{name}`", str(entry.component.summary)) for name, entry in entries(registry)
            ]
            yield _table(("name", "meaning"), rows) + "\n"
            continue
        for name, entry in registry.items():
            doc = (entry.component.__doc__ or "").strip().partition("\n")[0]
            yield f"#### {kind} `{name}`\n\n{doc}\n"
            yield from filter(None, [option_table(entry.component.Options)])


def option_table(model: type[Options]) -> str:
    """The fields of ``model`` as a table; empty without any."""
    rows = [_option(key, field) for key, field in model.model_fields.items()]
    return _table(("option", "type", "default", "meaning"), rows) + "\n" if rows else ""


def _option(key: str, field: Any) -> tuple[str, ...]:
    described = describe_option(key, field)
    default = "(required)" if field.is_required() else f"`{value_text(described['default'])}`"
    cells = (f"`{key}`", described["type"] + bounds(field), default, described["help"])
    return tuple(cell.replace("|", "\\|") for cell in cells)


def _paragraphs(text: str) -> str:
    """Text as click takes it (blank lines between paragraphs), one line a paragraph."""
    return "\n\n".join(" ".join(part.split()) for part in text.split("\n\n"))


def _table(headers: tuple[str, ...], rows: list[Any]) -> str:
    lines = [headers, ("---",) * len(headers), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


if __name__ == "__main__":
    Path(sys.argv[1] if len(sys.argv) > 1 else TARGET).write_text(reference(), encoding="utf-8")
