"""What ``condense run --method auto`` does before its run, and prints."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from condense.errors import OptionError
from condense.figures.formats import counted, percent, points

if TYPE_CHECKING:
    from condense.cli.session import Session
    from condense.resolve import Request
    from condense.studies.choosing.design import Plan, Planned
    from condense.studies.choosing.result import Choice, ChoiceDocument, Tried
    from condense.studies.choosing.run import Choosing


def check_minutes(minutes: float | None, choosing: bool) -> None:
    """That ``--minutes`` is given for a choice alone.

    Raises:
        OptionError: if it is not.
    """
    if minutes is not None and not choosing:
        raise OptionError(
            f"--minutes {minutes:g} is for the choice of a method; give --method auto as well"
        )


def choice_of(
    session: Session, request: Request, minutes: float | None, out: Path | None
) -> Choice:
    """The method chosen for ``request``, in whose ``out`` a run's result can be written."""
    from condense.engine.artefact.write import ARTEFACT
    from condense.engine.runtime.folders import check_folder
    from condense.studies.choosing.run import choose

    if out is not None:
        check_folder(out, ARTEFACT)
    choosing = _planned(session, request, minutes, keep=True)
    progress = session.progress
    left = ", ".join(one.name for one in choosing.plan.left_out)
    too_dear = f"; too dear for that: {left}" if left else ""
    progress.note(f"note: {in_words(choosing.plan)}{too_dear}")
    return choose(choosing, progress, session.crew(request))


def _planned(session: Session, request: Request, minutes: float | None, keep: bool) -> Choosing:
    from condense.studies.choosing.run import plan_choice

    return plan_choice(session.host, request, minutes, session.pipeline, keep)


def in_words(plan: Plan) -> str:
    """What the minutes were turned into."""
    from condense.cli.output import seconds

    rungs = ", ".join(f"{r.candidates} under {counted(r.seeds, 'seed')}" for r in plan.rungs)
    minutes = "minute comes" if plan.minutes == 1 else "minutes come"
    return (
        f"{plan.minutes:g} {minutes} to these candidates and rungs: {rungs} (at most about "
        f"{seconds(plan.seconds)})"
    )


def show_plan_of_choice(
    ctx: click.Context, request: Request, minutes: float | None, device: str | None, as_json: bool
) -> None:
    """``--dry-run``: candidates and rungs."""
    from condense.cli.output import echo_json, echo_table, say
    from condense.cli.session import open_session

    with open_session(ctx, device) as session:
        session.workers(request)  # refuses an executor that is not there
        choosing = _planned(session, request, minutes, keep=False)
    plan = choosing.plan
    if as_json:
        echo_json({"dry_run": True, "plan": plan.timed(), "failed": choosing.failed})
        return
    rows = [
        (one.name, *_about(one, one.seconds_once, one.seconds_a_seed), note)
        for note, part in (("", plan.candidates), ("left out", plan.left_out))
        for one in part
    ]
    echo_table(("candidate", "once, about", "a seed, about", "note"), rows)
    say(f"\n{in_words(plan)}")
    _show_failed(choosing.failed)


def _about(one: Planned, *times: float) -> list[str]:
    """What ``one`` takes in words."""
    from condense.cli.planned import about

    return [f"at least {about(time)}" if one.at_least else about(time) for time in times]


def show_choice(document: ChoiceDocument) -> None:
    """The table of what was tried, what it cost and how sure it is, and the verdict."""
    from condense.cli.output import echo_table, say
    from condense.spelling import on_command_line

    rows = [_row(one, document) for one in document.tried]
    rows.insert(1 if document.better else 0, _row(document.random, document))
    figures = (f"{document.measure}, %", "over random, points")
    headers = ("tried", "seeds", *figures, "networks", "time", "note")
    echo_table(headers, rows, least=("networks", "time"))
    say(f"\n{_legend(document)}")
    _show_failed(document.failed)
    for one in document.tried:
        if one.error is not None:
            say(f"{one.name} failed: {on_command_line(one.error)}")
    say(f"\n{document.verdict}\n")


def _legend(document: ChoiceDocument) -> str:
    """What the columns say, and what they were measured on."""
    held, folds = document.validation, document.plan.folds
    if folds > 1:
        part = f"{folds} parts of the training split, another one held out by each seed"
        over = "seeds, each with other held-out samples"
    else:
        part = f"{held.held_out} of {held.fit + held.held_out} training samples, held out"
        over = "seeds, and over held-out samples for all candidates at once"
    return (
        f"measured on {part}; the test split was not read. over random: seed by seed, of the best "
        f"one under seeds that it was not chosen on, with the 95 % interval of Student's t over "
        f"{over}"
    )


def _show_failed(failed: dict[str, str]) -> None:
    from condense.cli.output import say
    from condense.spelling import on_command_line

    for name, why in failed.items():
        say(f"{name} cannot be tried: {on_command_line(why)}")


def _row(one: Tried, document: ChoiceDocument) -> tuple[Any, ...]:
    from condense.cli.output import seconds
    from condense.studies.choosing.result import interval

    if one.error is not None:
        note = "failed"
    elif one.name == document.chosen:
        note = "chosen" if document.better else "kept"
    elif one.rung < len(document.plan.rungs):
        note = "out"  # after how many seeds, stands before it
    else:
        note = "" if one.name == document.random.name else "best"
    matched = f" + {one.cost.matchings} matchings" if one.cost.matchings else ""
    return (
        *(_called(one.name), len(one.accuracies)),
        "–" if one.accuracy is None else percent(one.accuracy.mean),
        *(interval(one.to_random, points), f"{one.cost.trainings}{matched}"),
        *(seconds(one.seconds), note),
    )


def _called(name: str) -> str:
    """``name`` of a candidate without the stages of its values: ``"window beta=0.2"``."""
    method, *values = name.split(" ")
    short = (v.partition("." if "." in v.partition("=")[0] else "=")[2] for v in values)
    return " ".join([method, *short])
