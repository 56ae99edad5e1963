"""What the commands print: plain tables and JSON to stdout, one line per error to stderr."""

from __future__ import annotations

import json
import math
import shutil
import sys
import textwrap
import traceback
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from condense.engine.runtime.exhaustion import OUT_OF_MEMORY, is_out_of_memory
from condense.engine.runtime.interrupt import Terminated
from condense.errors import CondenseError, describe
from condense.figures.formats import seconds as seconds
from condense.spelling import on_command_line

if TYPE_CHECKING:
    from condense.engine.documents import FindingNote
    from condense.results import Finding

CONTINUES = "the same command continues where it stopped"
BUG = "this is a bug in condense or a plugin; please report it with the lines above"


def one_line(text: object) -> str:
    """``text`` with every run of blanks and newlines folded into one space."""
    return " ".join(str(text).split())


def report_error(error: BaseException, debug: bool = False) -> int:
    """Print what ``error`` means to the user on stderr; returns the exit code."""
    if isinstance(error, KeyboardInterrupt):
        word, code = ("terminated", 143) if isinstance(error, Terminated) else ("interrupted", 130)
        click.echo(f"{word}; {CONTINUES}", err=True)
        return code
    expected = _expected(error)
    if debug or expected is None:
        trace = "".join(traceback.format_exception(type(error), error, error.__traceback__))
        click.echo(trace.rstrip(), err=True)
    message, code = expected or (f"{describe(error)}; {BUG}", 1)
    click.echo(f"error: {message}", err=True)
    return code


def _expected(error: BaseException) -> tuple[str, int] | None:
    """Message and exit code of an error a user can mend; None for a bug."""
    if isinstance(error, CondenseError):
        return on_command_line(one_line(error)), error.exit_code
    if isinstance(error, click.Abort):
        return "aborted", 1
    if isinstance(error, click.ClickException):
        text = one_line(error.format_message()).rstrip(".")
        context = getattr(error, "ctx", None)
        hint = f"; see `{context.command_path} --help`" if context else ""
        return text[:1].lower() + text[1:] + hint, error.exit_code
    if isinstance(error, OSError) and error.strerror:  # a disk or a folder, not our code
        place = f"{error.filename}: " if error.filename else ""
        return f"{place}{error.strerror.lower()}; is there room, and may it be read and written?", 1
    if is_out_of_memory(error):
        return on_command_line(OUT_OF_MEMORY), 1
    return None


def echo_json(document: Any) -> None:
    """Print ``document`` as the one JSON document of the command."""
    click.echo(json.dumps(_strict(document), indent=2, allow_nan=False, default=str))


def _strict(value: Any) -> Any:
    """``value`` without NaN and infinities, which JSON does not have."""
    if isinstance(value, Mapping):
        return {str(k): _strict(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_strict(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def echo_table(headers: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print an aligned table; on a terminal the last column is wrapped to its width."""
    cells = [list(headers), *([str(c) for c in row] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(headers))]
    indent = sum(w + 2 for w in widths[:-1])
    room = shutil.get_terminal_size().columns - indent if sys.stdout.isatty() else 0
    cells.insert(1, ["-" * w for w in [*widths[:-1], min(widths[-1], max(room, 20))]])
    for row in cells:
        head = "".join(c.ljust(w + 2) for c, w in zip(row[:-1], widths[:-1], strict=True))
        lines = textwrap.wrap(row[-1], room) if 20 <= room < len(row[-1]) else [row[-1]]
        click.echo((head + lines[0]).rstrip())
        for line in lines[1:]:
            click.echo(" " * indent + line)


def echo_summary(values: Mapping[str, Any]) -> None:
    """Print ``values`` one a line, what its ``stages`` took as a table; long lists are counted."""
    width = max((len(k) for k in values), default=0)
    for key, value in values.items():
        if key != "stages":
            click.echo(f"{key.replace('_', ' ').ljust(width)}  {short(value)}")
    if "stages" in values:
        click.echo()
        echo_stages({k: (v["seconds"], v["cached"]) for k, v in values["stages"].items()})


def echo_stages(stages: Mapping[str, tuple[float, bool]]) -> None:
    """A table of what stages took: seconds, and whether their results came from the store."""
    rows = [
        (name, seconds(time), "cached" if cached else "") for name, (time, cached) in stages.items()
    ]
    echo_table(("stage", "time", ""), rows)


def short(value: Any) -> str:
    """``value`` in a few words; of a table in a table, every key in full."""
    if isinstance(value, Mapping):
        return ", ".join(f"{k} {short(v)}" for k, v in _flat(value).items())
    if isinstance(value, (list, tuple)):
        return f"{len(value)} values" if len(value) > 8 else " ".join(short(v) for v in value)
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _flat(table: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """``table`` with dotted keys in place of tables; a component stands for its key."""
    from condense.options import COMPONENT

    found: dict[str, Any] = {}
    for key, value in table.items():
        name = before if before and key == COMPONENT else f"{before}.{key}".lstrip(".")
        found |= _flat(value, name) if isinstance(value, Mapping) else {name: value}
    return found


def in_words(finding: Finding | FindingNote) -> str:
    """Message and advice of ``finding``, options spelt as they are typed."""
    from condense.results import with_advice

    return on_command_line(with_advice(finding.message, finding.advice))


def warn(findings: Iterable[Finding | FindingNote], where: str = "") -> None:
    """Print what is wrong with a set, a line each on stderr."""
    for finding in findings:
        click.echo(f"warning: {where}{in_words(finding)}", err=True)


def percent(evaluation: Any) -> str:
    """``"97.58 ± 0.31 (5)"``: mean and standard deviation in %, and the number of repeats."""
    return f"{100 * evaluation.mean:.2f} ± {100 * evaluation.std:.2f} ({evaluation.n})"


def megabytes(count: float) -> str:
    """``count`` bytes in units of 2²⁰."""
    return f"{count / 2**20:.1f} MB"
