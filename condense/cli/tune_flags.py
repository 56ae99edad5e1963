"""The flags of ``condense tune`` that say how to search."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from condense.errors import OptionError

SEARCH_FLAGS = (
    click.option(
        "--key",
        default="selector.beta",
        show_default=True,
        metavar="STAGE.OPTION",
        help="Option to tune by training on selections alone; nothing is matched.",
    ),
    click.option(
        "--also",
        metavar="STAGE.OPTION",
        help="Option to tune afterwards by whole runs, such as policy.alpha; takes matching.",
    ),
    click.option(
        "--over",
        metavar="KEY=V1,V2",
        help="Repeat for a stage's components or an option's values and compare, such as "
        "scorer=cscore,forgetting,el2n.",
    ),
    click.option(
        "--seeds",
        type=int,
        default=3,
        show_default=True,
        metavar="N",
        help="Trainings of every value, on --seed, --seed + 1 …, the same for all.",
    ),
    click.option(
        "--max-seeds",
        "most",
        type=int,
        metavar="N",
        help="Trainings at most, of values that are hard to tell apart.  [default: twice --seeds]",
    ),
    click.option(
        "--share",
        type=float,
        default=0.25,
        show_default=True,
        metavar="R",
        help="Part of the recipe's evaluation steps and matching iterations that is run, in "
        "(0, 1].",
    ),
    click.option(
        "--steps", type=int, metavar="N", help="Evaluation steps, instead of --share of them."
    ),
    click.option(
        "--repeats",
        type=int,
        default=1,
        show_default=True,
        metavar="N",
        help="Networks trained under each seed.",
    ),
    click.option(
        "--validation",
        type=float,
        default=0.2,
        show_default=True,
        metavar="R",
        help="Part of every class of the training split that is held out, in (0, 1).",
    ),
    click.option(
        "--range", "bounds", metavar="LOW,HIGH", help="Ends of --key.  [default: all that works]"
    ),
    click.option(
        "--scan",
        type=int,
        default=10,
        show_default=True,
        metavar="N",
        help="Values at equal distances that golden section starts from, against several tops; "
        "0 starts from the whole range.",
    ),
    click.option(
        "--finals",
        type=int,
        default=3,
        show_default=True,
        metavar="N",
        help="Best values, not close to each other, that are trained at full length at the end; "
        "one that is ahead there overtakes the best. 0 trusts the short trainings.",
    ),
    click.option(
        "--tolerance",
        type=float,
        default=0.05,
        show_default=True,
        metavar="W",
        help="Width of the interval at which golden section stops.",
    ),
    click.option(
        "--step",
        type=float,
        default=0.2,
        show_default=True,
        metavar="W",
        help="Distance of the values of --also that are tried.",
    ),
    click.option(
        "--sampler",
        type=click.Choice(["golden", "tpe", "random"]),
        default="golden",
        show_default=True,
        help="How values are chosen; tpe and random need Optuna (the extra `tune`) "
        "and search --key and --also jointly.",
    ),
    click.option(
        "--trials",
        type=int,
        default=20,
        show_default=True,
        metavar="N",
        help="Values that tpe or random tries.",
    ),
    click.option(
        "--grid", type=int, metavar="N", help="Try N values at equal distances instead."
    ),
)  # fmt: skip


def search_flags(command: Callable[..., Any]) -> Callable[..., Any]:
    """The flags that say how to search."""
    for flag in reversed(SEARCH_FLAGS):
        command = flag(command)
    return command


def parse_range(text: str | None) -> tuple[float, float] | None:
    """``"0.1,0.9"`` as two numbers.

    Raises:
        OptionError: if it is anything else.
    """
    if text is None:
        return None
    try:
        low, high = map(float, text.split(","))
    except ValueError:
        raise OptionError(
            f"--range must be two numbers LOW,HIGH such as 0.1,0.9, got {text}"
        ) from None
    return low, high
