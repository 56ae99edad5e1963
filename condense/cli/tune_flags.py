"""The flags of ``condense tune`` that say how to search."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import click

from condense.errors import OptionError


def _parse_range(
    ctx: click.Context, parameter: click.Parameter, text: str | None
) -> tuple[float, float] | None:
    """``"0.1,0.9"`` as two numbers."""
    if text is None:
        return None
    try:
        low, high = map(float, text.split(","))
        if not math.isfinite(high - low):
            raise ValueError
    except ValueError:
        raise OptionError(
            f"--range must be two numbers LOW,HIGH such as 0.1,0.9, got {text}"
        ) from None
    return low, high


class Share(click.FloatRange):
    """A range that NaN, which no comparison excludes, is not in."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        if math.isnan(found := super().convert(value, param, ctx)):
            self.fail(f"{value} is not in the range up to 1.", param, ctx)
        return float(found)


COUNT = click.IntRange(1, 10_000)
PART = Share(0, 1, min_open=True)
SHARE_BELOW_1 = Share(0, 1, min_open=True, max_open=True)


def _number(
    flag: str, kind: click.ParamType[Any], default: float, text: str, *names: str
) -> Callable[..., Any]:
    metavar = "R" if isinstance(kind, click.FloatRange) else "N"
    return click.option(
        flag, *names, type=kind, default=default, show_default=True, metavar=metavar, help=text
    )


SEARCH_FLAGS = (
    click.option(
        "--key",
        default="selector.beta",
        show_default=True,
        metavar="STAGE.OPTION",
        help="Option to tune. Selections alone are trained on, nothing is matched, unless an "
        "option of policy or matcher is tuned.",
    ),
    click.option(
        "--also",
        multiple=True,
        metavar="STAGE.OPTION",
        help="Further option, such as policy.alpha, searched jointly with --key by Optuna (the "
        "extra `tune`); may be repeated.",
    ),
    click.option(
        "--over",
        metavar="KEY=V1,V2",
        help="Repeat for a stage's components or an option's values and compare, such as "
        "scorer=cscore,forgetting,el2n.",
    ),
    _number("--seeds", COUNT, 3, "Trainings of every value, on --seed, --seed + 1 …."),
    click.option(
        "--max-seeds",
        type=COUNT,
        metavar="N",
        help="Trainings at most, of values of --key that are hard to tell apart.  "
        "[default: twice --seeds]",
    ),
    _number("--share", PART, 0.25, "Part of evaluation steps and matching iterations that is run."),
    _number("--repeats", COUNT, 1, "Networks trained under each seed."),
    _number(
        "--validation", SHARE_BELOW_1, 0.2, "Part of every class that is held out.", "held_out"
    ),
    click.option(
        "--range",
        "bounds",
        metavar="LOW,HIGH",
        callback=_parse_range,
        help="Ends of --key.  [default: all that works]",
    ),
    _number(
        "--finals",
        click.IntRange(min=0),
        3,
        "Best values, not close to each other, that are evaluated at full length at the end; one "
        "that is ahead there overtakes the best. 0 trusts the short trainings.",
    ),
    _number("--trials", COUNT, 20, "Values tried with --also."),
)


def search_flags(command: Callable[..., Any]) -> Callable[..., Any]:
    """The flags that say how to search."""
    for flag in reversed(SEARCH_FLAGS):
        command = flag(command)
    return command
