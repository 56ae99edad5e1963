"""Flags that several commands share, as decorators; the recipe's become one ``Request``."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from condense.errors import OptionError

if TYPE_CHECKING:
    from condense.resolve import Request

Command = Callable[..., Any]
F = TypeVar("F", bound=Command)


class _Place(click.Path):
    """A path that every file and terminal can name.

    Of it ``~`` is the home folder: a shell does not see to that in ``--out=~/x``.
    """

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        from condense.reading import check_text, shown

        try:
            if "\0" in check_text(os.fspath(value)):
                raise ValueError("holds the character 0")
        except ValueError as error:
            self.fail(f"{shown(value)} {error}; give another path", param, ctx)
        path = super().convert(value, param, ctx)
        assert isinstance(path, Path)
        try:
            return path.expanduser()
        except RuntimeError:  # of nobody: whoever reads or writes there says so
            return path


PATH = _Place(path_type=Path)

json_flag = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document on stdout, nothing else."
)
executor_flag = click.option(
    "--executor",
    metavar="NAME[:ADDRESS]",
    help="What works the stages off: local (this process), ray, ray:HOST:PORT, submitit … (see "
    "`condense plugins`); its options by -o executor.KEY=VALUE.  [default: local]",
)
dry_run_flag = click.option(
    "--dry-run",
    is_flag=True,
    help="Only say what would be done, what is cached, and the seconds, memory and disk it takes.",
)
tracker_flag = click.option(
    "--tracker",
    metavar="NAME[:ARG]",
    help="What is told of the run while it is under way: none, tensorboard, tensorboard:DIR, "
    "mlflow:URI … (see `condense plugins`); its options by -o tracker.KEY=VALUE.  [default: none]",
)
device_flag = click.option(
    "--device", metavar="NAME", help="cpu, cuda or cuda:N.  [default: cuda where there is one]"
)
data_flag = click.option(
    "--data",
    metavar="NAME[:PATH]",
    help="Data set: digits, cifar10, folder:PATH, npz:PATH … (see `condense plugins`); or the path "
    "alone of a folder of images, an .npz, .csv or .parquet.  "
    "[default: digits]",
)
seed_flag = click.option(
    "--seed", type=int, metavar="N", help="Seed of all randomness, 0 or more.  [default: 0]"
)
assignment_flag = click.option(
    "-o",
    "assignments",
    multiple=True,
    metavar="KEY=VALUE",
    help="STAGE=COMPONENT swaps a component, STAGE.OPTION=VALUE sets an option; may be repeated, "
    "a key once. Stages: data scorer selector policy matcher reselector augmentation evaluator.",
)
validation_flag = click.option(
    "--validation",
    type=float,
    metavar="R",
    help="Hold out this part of the training split, in (0, 1), of every class, and test on it; for "
    "choosing. The test split is not read.  [default: test on the test split]",
)
_METHOD: dict[str, Any] = {
    "metavar": "NAME",
    "help": "Recipe to follow: selmatch, mtt, random, window …  [default: selmatch]",
}
_METHOD_FLAG = click.option("--method", **_METHOD)
_SAME_AS_ARGUMENT = click.option("--method", "method_flag", **_METHOD)
_METHOD_ARGUMENT = click.argument("method", required=False)
preset_flag = click.option(
    "--preset",
    metavar="NAME",
    help="Option values for a purpose or a published experiment.  [default: quick]",
)
recipe_flag = click.option(
    "--recipe",
    "recipe_file",
    type=PATH,
    metavar="FILE",
    help="TOML file with method, data and options, such as the recipe.toml of a run.",
)
_RECIPE = ("data", "method", "preset", "recipe_file", "ipc", "fraction", "seed")
_RECIPE_FLAGS = (
    data_flag,
    preset_flag,
    recipe_flag,
    click.option(
        "--ipc", type=int, metavar="N", help="Samples to keep of each class.  [default: preset's]"
    ),
    click.option(
        "--fraction",
        type=float,
        metavar="R",
        help="Share to keep of every class, in (0, 1], at least one sample; instead of --ipc.",
    ),
    seed_flag,
    assignment_flag,
)


def recipe_flags(command: Command) -> Command:
    """Give ``command`` the flags that describe a recipe; it is called with ``request=``."""
    data, *rest = _RECIPE_FLAGS
    return _with_flags(command, (data, _METHOD_FLAG, *rest))


def method_and_recipe_flags(command: Command) -> Command:
    """As :func:`recipe_flags`, with the method as the command's argument, too."""
    data, *rest = _RECIPE_FLAGS
    return _with_flags(command, (_METHOD_ARGUMENT, data, _SAME_AS_ARGUMENT, *rest))


def study_flags(command: Command) -> Command:
    """As :func:`recipe_flags`, where methods and sizes are what the command varies."""
    flags = (data_flag, preset_flag, recipe_flag, seed_flag, assignment_flag)
    return _with_flags(command, flags, ("data", "preset", "recipe_file", "seed"))


def study_output(out: str, dry_run: str) -> Callable[[Command], Command]:
    """The flags that say where a study is done, and what becomes of it.

    Args:
        out: help of ``--out``.
        dry_run: of ``--dry-run``.
    """

    def flagged(command: Command) -> Command:
        folder = click.option("--out", type=PATH, metavar="DIR", help=out)
        planning = click.option("--dry-run", is_flag=True, help=dry_run)
        for flag in (json_flag, planning, folder, executor_flag, device_flag):
            command = flag(command)
        return command

    return flagged


def _with_flags(
    command: Command,
    flags: Sequence[Callable[[Command], Command]],
    names: Sequence[str] = _RECIPE,
) -> Command:
    @functools.wraps(command)
    def with_request(*args: Any, **given: Any) -> Any:
        values = {name: given.pop(name) for name in names}
        flag = given.pop("method_flag", None)
        if flag is not None and values["method"] not in (None, flag):
            raise OptionError(
                f"METHOD {values['method']} and --method {flag} are two methods; give one of them"
            )
        values |= {} if flag is None else {"method": flag}
        values |= {kind: given.pop(kind) for kind in ("executor", "tracker") if kind in given}
        request = make_request(**values, assignments=given.pop("assignments"))
        return command(*args, request=request, **given)

    given_flags: Command = with_request
    for flag in reversed(flags):
        given_flags = flag(given_flags)
    return given_flags


def listed(key: str, text: str | None) -> list[str]:
    """The values between commas in ``text``, given for ``key``; none for None.

    Raises:
        OptionError: for an empty one.
    """
    values = [] if text is None else [part.strip() for part in text.split(",")]
    if "" in values:
        what = f"`{key}={text}`: value" if key else f"'{text}': name"
        raise OptionError(
            f"{what} {values.index('') + 1} is empty; give one or more, separated by commas"
        )
    return values


def make_request(
    *,
    recipe_file: Path | None = None,
    assignments: Sequence[str] = (),
    stages: Sequence[str] | None = None,
    **flags: Any,
) -> Request:
    """The request that a command's flags describe.

    Args:
        recipe_file: ``--recipe``.
        assignments: texts of ``-o``.
        stages: the only stages that ``-o`` may name, None for all.
        flags: further fields of :class:`condense.resolve.Request`.

    Raises:
        OptionError: for flags that exclude each other or an ``-o`` that makes no sense here.
    """
    ipc, fraction = flags.get("ipc"), flags.get("fraction")
    if ipc is not None and fraction is not None:
        raise OptionError(f"--ipc {ipc} and --fraction {fraction} exclude each other; give one")
    from condense.layers import BESIDE, EXECUTOR, check_said_once, take_beside
    from condense.options import parse_assignment
    from condense.recipe import read_recipe
    from condense.resolve import Request

    said = tuple(parse_assignment(text) for text in assignments)
    check_said_once(said)
    parsed, beside = take_beside(said, **{kind: flags[kind] for kind in BESIDE if kind in flags})
    flags |= beside
    for text, (path, _) in zip(assignments, said, strict=True):
        if stages is not None and path[0] not in (*stages, EXECUTOR):
            raise OptionError(
                f"-o {text} has no effect here; this command uses only the stages "
                f"{', '.join(stages)}"
            )
    recipe = read_recipe(recipe_file) if recipe_file else {}
    return Request(recipe=recipe, assignments=parsed, **flags)
