"""``condense tune``: an option of a method, found on a validation part of the training split."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from condense.cli.flags import method_and_recipe_flags, study_output
from condense.cli.tune_flags import search_flags
from condense.errors import OptionError
from condense.figures.formats import spread
from condense.spelling import on_command_line

if TYPE_CHECKING:
    from condense.cli.session import Session
    from condense.engine.jobs.driver import Crew
    from condense.recipe import Recipe
    from condense.resolve import Request
    from condense.studies.tuning.planning import TuningPlan
    from condense.studies.tuning.result import (
        OptionSearch,
        Place,
        TunedRecipe,
        Tuning,
        TuningDocument,
    )
    from condense.studies.tuning.settings import Settings


@click.command(
    epilog="""\b
Examples:
  condense tune --data digits
  condense tune selmatch --data cifar10 --ipc 50 --seeds 5
  condense tune --over scorer=cscore,forgetting,el2n
  condense tune --also policy.alpha --trials 30
"""
)
@method_and_recipe_flags
@search_flags
@study_output(
    out="Where tune.json, .csv, .png, .svg and recipe.toml go.  "
    "[default: runs/tune-METHOD-DATA-HASH]",
    dry_run="Only say how many trainings there are, at least and at most, and the seconds, memory "
    "and disk that they take.",
)
@click.pass_context
def tune(
    ctx: click.Context,
    /,
    request: Request,
    over: str | None,
    max_seeds: int | None,
    device: str | None,
    out: Path | None,
    dry_run: bool,
    as_json: bool,
    **flags: Any,
) -> None:
    """Find an option of METHOD, on a part of the training split; the test split is not read.

    Short trainings on selections at equal distances, then around the best, under the same seeds
    for every value, with more seeds where noise hides the difference; the best are trained at full
    length. Prints the curve with standard errors, says where its top lies and how wide that is, and
    writes recipe.toml for `condense run --recipe`. A second or interrupted call does only the
    trainings that are missing.
    """
    from condense.cli.session import open_session
    from condense.studies.tuning.settings import Settings

    settings = Settings(max_seeds=max_seeds or 2 * flags["seeds"], **flags)
    settings.check()
    with open_session(ctx, device) as session:
        base = session.recipe(request)
        settings, recipes = _recipes(session, request, base, settings, over)
        if dry_run:
            from condense.studies.binding import SharedData
            from condense.studies.tuning.run import plan_tuning

            session.workers(request)  # refuses an executor that is not there
            bind = SharedData(session.pipeline)
            plan = plan_tuning(session.host, base, settings, bind, recipes)
        else:
            crew = session.crew(request)
            result, folder = _run(session, base, settings, recipes, out, crew)
    if dry_run:
        _show_planned(plan, as_json)
        return
    _show(result, folder, as_json)
    ctx.exit(0 if result.recipe is not None else 1)


def _recipes(
    session: Session, request: Request, base: Recipe, settings: Settings, over: str | None
) -> tuple[Settings, dict[str, Recipe] | None]:
    """The recipes of ``--over``, by value, and the settings that name its key; None without it."""
    from condense.studies.ablation.design import make_cell, parse_factor

    if over is None:
        return settings, None
    factor, recipes = parse_factor(over, "over"), {}
    for value in factor.values:
        cell = make_cell(session.host, request, base, {factor.key: value})
        if cell.recipe is None:
            raise OptionError(f"--over {cell.name}: {cell.error}")
        recipes[value] = cell.recipe
    return settings.model_copy(update={"over": factor.key}), recipes


def _show_planned(plan: TuningPlan, as_json: bool) -> None:
    from condense.cli.output import echo_json
    from condense.cli.planned import show_tuning_plan

    if as_json:
        echo_json(plan.to_json())
    else:
        show_tuning_plan(plan)


def _run(
    session: Session,
    base: Recipe,
    settings: Settings,
    recipes: dict[str, Recipe] | None,
    out: Path | None,
    crew: Crew | None,
) -> tuple[Tuning, Path]:
    """Every recipe tuned, and the files written."""
    from condense.engine.runtime.folders import check_folder
    from condense.studies.binding import SharedData, study_folder
    from condense.studies.tuning.files import OWNED, write_tuning
    from condense.studies.tuning.run import tune as run_tuning

    bind, given = SharedData(session.pipeline), tuple((recipes or {}).values())
    if out is None:
        out = study_folder("tune", base, given, settings.model_dump(), bind)
    check_folder(out, OWNED)
    progress = session.progress
    result = run_tuning(session.host, base, settings, bind, progress, recipes, crew)
    return result, write_tuning(result, out)


def _show(result: Tuning, folder: Path, as_json: bool) -> None:
    from condense.cli.output import echo_json, echo_place, say

    document = result.document
    if as_json:
        seconds = {arm.name: round(arm.cost.seconds, 3) for arm in document.arms}
        more = {"computed": result.computed, "seconds": seconds, "out": str(folder)}
        echo_json(document.model_dump(mode="json") | more)
        return
    for arm in document.arms:
        if len(document.arms) > 1:
            say(f"{arm.name}\n")
        _show_arm(arm)
        say()
    if len(document.arms) > 1:
        _show_comparison(document)
    say(f"{document.data}: selected from {document.validation.words}")
    echo_place("curve, figure and recipe.toml", folder)


def _show_arm(arm: TunedRecipe) -> None:
    from condense.cli.output import echo_table, say, seconds
    from condense.studies.tuning.files import in_words

    if arm.error is not None:
        say(f"error: {on_command_line(arm.error)}")
        return
    for search in arm.stages:
        headers = [*search.keys, "n", "accuracy, % ± SE", "note"]
        echo_table(headers, [_row(place, search) for place in search.points])
        if search.finals:
            say("\nAt full length:")
            echo_table(headers, [_row(place, search) for place in search.finals])
        say("\n" + "\n".join(in_words(search)) + "\n")
    cost = arm.cost
    matched = f" and {cost.matchings} matching runs" if cost.matchings else ""
    say(
        f"Spent: {cost.trainings} trainings with {cost.steps} optimiser steps in all"
        f"{matched} ({seconds(cost.seconds)})."
    )


def _row(place: Place, search: OptionSearch) -> list[str]:
    at, width = place.values[0], search.plateau
    within = width is not None and width[0] <= at <= width[1]
    note = "best" if place.values == search.best else "plateau" if within else ""
    return [*(f"{value:g}" for value in place.values), str(place.accuracy.n), _figures(place), note]


def _show_comparison(document: TuningDocument) -> None:
    from condense.cli.output import echo_table, say

    best = document.best
    rows = []
    for arm in document.arms:
        if arm.error is not None:
            rows.append([arm.name, "–", "–", "–", f"error: {on_command_line(arm.error)}"])
            continue
        found = ", ".join(f"{key}={value:g}" for key, value in arm.found.items())
        note = "best" if best is not None and arm.name == best.name else ""
        rows.append([arm.name, found, str(arm.top.accuracy.n), _figures(arm.top), note])
    echo_table(["over", "best value", "n", "accuracy, % ± SE", "note"], rows)
    say()


def _figures(place: Place) -> str:
    return spread(place.mean, place.accuracy.standard_error)
