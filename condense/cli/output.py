"""What the commands print: plain tables and JSON to stdout, one line per error to stderr."""

from __future__ import annotations

import itertools
import json
import math
import os
import re
import shutil
import sys
import textwrap
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TextIO

import click

from condense.engine.runtime.exhaustion import OUT_OF_MEMORY, is_out_of_memory
from condense.engine.runtime.interrupt import Terminated
from condense.errors import CondenseError, describe
from condense.figures.formats import percent, seconds as seconds, spread
from condense.spelling import on_command_line

if TYPE_CHECKING:
    from condense.engine.documents import FindingNote
    from condense.recipe import Recipe
    from condense.results import Evaluation, Finding
    from condense.studies.statistics import Estimate

NO_BREAK = "\u00a0"
COMFORTABLE = 36  # columns of a cell of text
ENOUGH = 3  # seeds from which on an interval says something
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
    say_error(f"error: {message}")
    return code


def _expected(error: BaseException) -> tuple[str, int] | None:
    """Message and exit code of an error a user can mend; None for a bug."""
    if isinstance(error, CondenseError):
        return on_command_line(one_line(error)), error.exit_code
    if isinstance(error, click.Abort):
        return "aborted", 1
    if isinstance(error, click.ClickException):
        text = one_line(error.format_message()).rstrip(".")
        context = error.ctx if isinstance(error, click.UsageError) else None
        if isinstance(error, click.NoSuchOption) and context is not None:
            text = _as_an_option(error.option_name, context) or text
        hint = f"; see `{context.command_path} --help`" if context else ""
        return text[:1].lower() + text[1:] + hint, error.exit_code
    if isinstance(error, OSError) and error.strerror:  # a disk or a folder, not our code
        place = f"{error.filename}: " if error.filename else ""
        return f"{place}{error.strerror.lower()}; is there room, and may it be read and written?", 1
    if is_out_of_memory(error):
        return on_command_line(OUT_OF_MEMORY), 1
    return None


def _as_an_option(flag: str, context: click.Context) -> str:
    """What to say of a ``flag`` that some component has as an option; else ""."""
    from condense.kinds import STAGES
    from condense.plugin.host import build_host

    if all(param.name != "assignments" for param in context.command.params):
        return ""
    host, name = build_host(external=False), flag.lstrip("-").replace("-", "_")
    found = [
        f"-o {stage}.{name}=…"
        for stage, kind in STAGES.items()
        if any(name in e.component.Options.model_fields for _, e in host.registry(kind).items())
    ]
    return f"no such option '{flag}'; components have it as {' or '.join(found)}" if found else ""


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


def room(stream: TextIO | None = None) -> int:
    """Columns that ``stream`` has, stdout if None; 80, or ``$COLUMNS``, where it is no terminal."""
    given = os.environ.get("COLUMNS", "")
    width = (
        shutil.get_terminal_size().columns
        if (stream or sys.stdout).isatty()
        else int(given if given.isdecimal() else 80)
    )
    return max(width, 40)


def say(text: str = "", hanging: int = 0) -> None:
    """Print prose, its lines wrapped by word; none is broken, so that paths stay whole.

    Args:
        text: of one or more lines.
        hanging: how far lines that follow on one are indented.
    """
    for line in text.split("\n"):
        click.echo("\n".join(_wrapped(line, room(), hanging=hanging)).replace(NO_BREAK, " "))


def say_error(text: str) -> None:
    """Print a line on stderr; on a terminal wrapped by word, in a file as it is, for grep."""
    lines = _wrapped(text, room(sys.stderr), hanging=2) if sys.stderr.isatty() else [text]
    click.echo("\n".join(lines).replace(NO_BREAK, " "), err=True)


def echo_place(what: str, place: object) -> None:
    """Say where ``what`` was written; the path has a line to itself."""
    say(f"{what} saved to")
    click.echo(f"  {place}")


def _wrapped(text: str, width: int, *, breaking: bool = False, hanging: int = 0) -> list[str]:
    """``text`` in lines of ``width``; a longer word stays whole unless ``breaking``."""
    indent = " " * (len(text) - len(text.lstrip()) + hanging)
    text = _glued(text)
    if breaking:
        text = " ".join(part for word in text.split(" ") for part in _parts(word, width))
    wrap = textwrap.TextWrapper(
        width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
    return wrap.wrap(text) or [""]


def _parts(word: str, width: int) -> Iterator[str]:
    """``word`` in parts no longer than ``width``, after a sign that joins words if it has one."""
    while len(word) > width:
        end = max(word.rfind(sign, 0, width) for sign in "._/=,-") + 1 or width
        yield word[:end]
        word = word[end:]
    yield word


def _glued(text: str) -> str:
    """``text`` with blanks that no line ends at: ``97.58 ± 0.31 (5)``, ``95 %``, ``(1 to 2)``."""
    if not re.search("[a-z]{2}", text, re.IGNORECASE):
        return text.lstrip().replace(" ", NO_BREAK).rjust(len(text))
    text = re.sub(r"\(\S+ to \S+\)", lambda found: found[0].replace(" ", NO_BREAK), text)
    return re.sub(" (?=%)|(?<=±) ", NO_BREAK, text)


def echo_table(
    headers: Sequence[str], rows: Sequence[Sequence[object]], least: Sequence[str] = ()
) -> None:
    """Print an aligned table in the room there is; cells wrap by word.

    Args:
        headers: of the columns; one without any text in its cells is left out.
        rows: of cells.
        least: columns that are left out, first one first, before the others get narrow. A line
            below says so.
    """
    columns = [[name, *(str(row[i]) for row in rows)] for i, name in enumerate(headers)]
    shown = [column for column in columns if any(column[1:]) or not rows]
    dropped = []
    for name in least:
        if _total(map(_comfortable, shown)) > room():
            dropped += [name for column in shown if column[0] == name]
            shown = [column for column in shown if column[0] != name]
    widths = _widths(shown)
    cells = [
        [_wrapped(text, width, breaking=True) for text in column]
        for column, width in zip(shown, widths, strict=True)
    ]
    lines = [*zip(*cells, strict=True)]
    lines.insert(1, tuple(["-" * width] for width in widths))
    for row in lines:
        for part in itertools.zip_longest(*row, fillvalue=""):
            text = "  ".join(one.ljust(w) for one, w in zip(part, widths, strict=True))
            click.echo(text.rstrip().replace(NO_BREAK, " "))
    if dropped:
        say(f"(no room here for: {', '.join(dropped)})")


def _widths(columns: Sequence[Sequence[str]]) -> list[int]:
    """What each column gets: headers are narrowed first, then cells, to their longest word."""
    natural = [max(map(len, column)) for column in columns]
    body = [max(_longest_word(column[:1]), *map(len, column[1:]), 0) for column in columns]
    words = _narrowed([_longest_word(column) for column in columns], [1] * len(columns))
    return _narrowed(natural, body) if _total(body) <= room() else _narrowed(body, words)


def _narrowed(wanted: Sequence[int], least: Sequence[int]) -> list[int]:
    """``wanted`` widths, the largest of them cut to what there is room for."""
    widths = list(least)
    for most in range(1, max(wanted, default=0) + 1):
        wider = [max(low, min(own, most)) for low, own in zip(least, wanted, strict=True)]
        if _total(wider) > room():
            break
        widths = wider
    return widths


def _longest_word(column: Sequence[str]) -> int:
    return max((len(word) for text in column for word in _glued(text).split(" ")), default=0)


def _comfortable(column: Sequence[str]) -> int:
    """How narrow a column may get before one that matters less is left out."""
    return max(_longest_word(column), min(COMFORTABLE, max(map(len, column[1:]), default=0)))


def _total(widths: Iterable[int]) -> int:
    found = list(widths)
    return sum(found) + 2 * (len(found) - 1)


def echo_summary(values: Mapping[str, Any]) -> None:
    """Print ``values`` one a line, what its ``stages`` took as a table, its ``findings`` not; long
    lists are counted."""
    width = max((len(k) for k in values), default=0)
    for key, value in values.items():
        if key not in ("stages", "findings"):
            say(f"{key.replace('_', ' ').ljust(width)}  {short(value)}", width + 2)
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
        say_error(f"warning: {where}{in_words(finding)}")


def warn_of_runs(rows: Mapping[str, Mapping[int, Iterable[Finding]]], count: int) -> None:
    """Print what is wrong with the runs of a study, each finding once.

    Args:
        rows: findings by seed, by what a row is called.
        count: of all runs.
    """
    found: dict[str, list[tuple[str, Finding]]] = {}
    for name, seeds in rows.items():
        for seed, findings in seeds.items():
            for finding in findings:
                found.setdefault(finding.code, []).append((f"{name}, seed {seed}", finding))
    for places in found.values():
        where, finding = places[0]
        warn([finding], f"{len(places)} of {count} runs, first {where}: ")


def headline(recipe: Recipe) -> str:
    """The recipe in one line."""
    from condense.engine.stages.scores import stages_in_use

    stages = [s for s in stages_in_use(recipe) if s not in ("data", "augmentation")]
    path = " → ".join(recipe[stage].name for stage in stages)
    images = recipe.modality == "image"  # which alone are augmented
    augmentation = f"{recipe['augmentation'].name}; " if images else ""
    return (
        f"{recipe.method} on {recipe['data'].spelled}, {recipe.budget.words}, "
        f"seed {recipe.seed}: {path} ({augmentation}{networks(recipe)})"
    )


def networks(recipe: Recipe) -> str:
    """The networks of its stages, which ``auto`` may have chosen."""
    from condense.engine.stages.scores import stages_in_use
    from condense.options import NetworkSpec

    named = {
        stage: spec.component
        for stage in stages_in_use(recipe)
        for _, spec in recipe[stage].options
        if isinstance(spec, NetworkSpec)
    }
    if len(set(named.values())) > 1:
        return "networks " + ", ".join(f"{name} ({stage})" for stage, name in named.items())
    return f"network {next(iter(named.values()), 'none')}"


def mean_and_std(evaluation: Any) -> str:
    """``"97.58 ± 0.31 (5)"``: mean and standard deviation in %, and the number of repeats."""
    return f"{spread(evaluation.mean, evaluation.std)} ({evaluation.n})"


def estimated(value: Estimate | None, form: Callable[[float], str] = percent) -> str:
    """``"97.58 ± 0.31"``: mean and half the interval in %; ``"–"`` for what is not known."""
    return "–" if value is None else spread(value.mean, value.half, form)


BY_CLASS = ("balanced, %", "worst class, %")  # headers of what :func:`by_class` gives


def by_class(evaluation: Evaluation) -> tuple[str, ...]:
    """Balanced accuracy and the worst class in %; "" where classes are of about one size."""
    figures = (evaluation.balanced, evaluation.worst_class)
    shown = evaluation.is_uneven
    return tuple(f"{100 * f:.2f}" if shown and f is not None else "" for f in figures)


def echo_teacher(evaluation: Any) -> None:
    """What the teacher is worth that networks were trained towards, where there was one."""
    if evaluation is not None and evaluation.teacher is not None:
        say(f"teacher {100 * evaluation.teacher:.2f} % right")


def say_few_seeds(count: int) -> None:
    """That intervals over ``count`` seeds say little, where they are too few."""
    if count < ENOUGH:
        told = {1: "1 seed has no interval", 2: "2 seeds: intervals of t(1) = 12.7"}[count]
        say(f"{told}; {ENOUGH} or more are advised")


def megabytes(count: float) -> str:
    """``count`` bytes in units of 2²⁰."""
    return f"{count / 2**20:.1f} MB"
