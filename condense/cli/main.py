"""The ``condense`` command: a lazy group that imports a subcommand only when it is called."""

from __future__ import annotations

import importlib
import signal
import sys
import warnings
from typing import Any

import click

from condense import __version__
from condense.engine.jobs.launch import Launch, dismissed, launch, set_threads, team
from condense.errors import OptionError, closest

# name → where the command is, and what `condense --help` says of it without importing it
COMMANDS = {
    "run": (
        "condense.cli.run:run",
        "Condense a data set and compare the result with honest baselines.",
    ),
    "score": ("condense.cli.score:score", "Rate how hard each training sample is."),
    "select": ("condense.cli.select:select", "Choose real samples, without distilling any."),
    "ablate": ("condense.cli.ablate:ablate", "Swap parts of a method and compare, with intervals."),
    "compare": (
        "condense.cli.compare:compare",
        "Put methods side by side on your data, with intervals and costs.",
    ),
    "shrink": (
        "condense.cli.shrink:shrink",
        "Find the smallest part of your data that trains almost as well.",
    ),
    "tune": ("condense.cli.tune:tune", "Find an option of a method on a validation part."),
    "coverage": (
        "condense.cli.coverage:coverage",
        "Measure how much of the test split a condensed set covers.",
    ),
    "evaluate": ("condense.cli.evaluate:evaluate", "Train on a condensed set and test it."),
    "report": (
        "condense.cli.report:report",
        "Show runs on one HTML page, with a diagnosis.",
    ),
    "export": ("condense.cli.export:export", "Write a condensed set for other programs."),
    "cache": ("condense.cli.cache:cache", "List or clean the stored results of stages."),
    "plugins": ("condense.cli.plugins:plugins", "List components and the packages they are from."),
}


class LazyGroup(click.Group):
    """A group whose commands are imported when called, and whose errors are one line each."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        which = launch()
        if which is not None and which.size > 1 and args and args[0] in COMMANDS.keys() - {"run"}:
            raise OptionError(
                f"torchrun shares the matching of `condense run` among {which.size} ranks, and "
                f"'{args[0]}' has none to share; start it by itself"
            )
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            raise OptionError(
                f"unknown command '{args[0]}'{closest(args[0], COMMANDS)} "
                f"(commands: {', '.join(COMMANDS)})"
            )
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        from condense.cli.output import report_error

        try:
            return super().invoke(ctx)
        except (click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 – told in one line
            ctx.exit(report_error(error, debug=ctx.params["debug"]))

    def main(self, *args: Any, **kwargs: Any) -> Any:
        from condense.cli.output import report_error
        from condense.engine.runtime.interrupt import terminable

        kwargs["prog_name"] = kwargs.get("prog_name") or "condense"
        alone = kwargs.get("standalone_mode", True)
        kwargs["standalone_mode"] = False  # click hands exit codes back and prints nothing
        if not alone:
            return super().main(*args, **kwargs)
        which = launch()
        if which is not None and which.rank:
            sys.exit(_follow(which))
        try:
            with terminable():
                code = super().main(*args, **kwargs)
                if not code:
                    dismissed()
        except (click.ClickException, click.Abort) as error:  # in the group's own flags
            signalled = isinstance(error.__cause__, KeyboardInterrupt)
            code = report_error(error.__cause__ if signalled and error.__cause__ else error)
        sys.exit(code if isinstance(code, int) else 0)


def _follow(which: Launch) -> int:
    """What torchrun's processes but the first do, quietly; gives the exit code."""
    from condense.cli.output import report_error
    from condense.cli.session import kept_off_stdout
    from condense.engine.jobs.follower import follow

    warnings.simplefilter("ignore")  # rank 0 gives them
    set_threads()
    try:
        with kept_off_stdout():
            others = team()
            assert others is not None
            # from here on rank 0 decides, which finishes its iteration first and needs this one
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_IGN)
            follow(others, which.local)
    except Exception as error:  # noqa: BLE001 – told in one line
        return report_error(error)
    return 0


@click.group(
    "condense",
    cls=LazyGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="""\b
Examples:
  condense run --method selmatch                    digits, 5 images a class, half a minute
  condense run --data folder:photos --fraction 0.1  a tenth of your own images
  condense plugins                                  what can be combined
""",
)
@click.option("--debug", is_flag=True, help="Show the traceback of errors as well.")
@click.version_option(__version__, prog_name="condense")
@click.pass_context
def main(ctx: click.Context, debug: bool) -> None:
    """Make a small training set out of a large one.

    Select real samples, distil synthetic ones, or do both (SelMatch). Results go to stdout,
    progress to stderr; --json makes any command print one JSON document instead. An error is one
    line on stderr; exit codes are 0 done, 1 failed, 2 wrong usage, 130 interrupted, 143 terminated.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


if __name__ == "__main__":
    main()
