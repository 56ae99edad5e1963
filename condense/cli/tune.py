"""``condense tune``: an option of a method, found on a validation part of the training split."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from condense.cli.flags import FOLDER, device_flag, json_flag, method_and_recipe_flags
from condense.cli.tune_flags import parse_range, search_flags
from condense.errors import OptionError

if TYPE_CHECKING:
    from condense.cli.session import Session
    from condense.resolve import Request
    from condense.studies.ablation.design import Cell
    from condense.studies.tuning.result import Arm, Stage, Tuning
    from condense.studies.tuning.settings import Settings


@click.command(
    epilog="""\b
Examples:
  condense tune --data digits
  condense tune selmatch --data cifar10 --ipc 50 --seeds 5
  condense tune --over scorer=cscore,forgetting,el2n
  condense tune --also policy.alpha --sampler tpe --trials 30
"""
)
@method_and_recipe_flags
@search_flags
@device_flag
@click.option(
    "--out",
    type=FOLDER,
    metavar="DIR",
    help="Where tune.json, .csv, .png and recipe.toml go.  [default: runs/tune-METHOD-DATA-HASH]",
)
@json_flag
@click.pass_context
def tune(
    ctx: click.Context,
    /,
    request: Request,
    over: str | None,
    bounds: str | None,
    most: int | None,
    device: str | None,
    out: Path | None,
    as_json: bool,
    **flags: Any,
) -> None:
    """Find an option of METHOD, on a part of the training split; the test split is not read.

    Golden section over short trainings on selections, under the same seeds for every value, with
    more seeds where noise hides the difference. Prints the curve with standard errors, says where
    its top lies, how wide that is and whether the curve is concave, and writes recipe.toml for
    `condense run --recipe`. A second or interrupted call repeats only what it must.
    """
    from condense.cli.session import open_session
    from condense.studies.tuning.settings import Settings

    seeds = flags["seeds"]
    most = 2 * seeds if most is None else most
    settings = Settings(most=most, bounds=parse_range(bounds), **flags)
    settings.check()
    with open_session(ctx, device) as session:
        result, folder = _run(session, request, settings, over, out)
    _show(result, folder, as_json)
    ctx.exit(0 if result.best is not None else 1)


def _run(
    session: Session, request: Request, settings: Settings, over: str | None, out: Path | None
) -> tuple[Tuning, Path]:
    """Every recipe tuned, and the files written."""
    from condense.engine.runtime.files import check_writable
    from condense.studies.ablation.design import Cell, make_cell, parse_factor
    from condense.studies.tuning.files import OWNED, tuning_folder, write_tuning
    from condense.studies.tuning.run import tune as run_tuning

    base = session.recipe(request)
    cells: list[Cell] = [Cell("", {}, base)]
    asked: dict[str, Sequence[str]] = {}
    if over is not None:
        factor = parse_factor(over, "--over")
        asked = {factor.key: factor.values}
        cells = [
            make_cell(session.host, request, base, {factor.key: value}) for value in factor.values
        ]
        wrong = next((cell for cell in cells if cell.recipe is None), None)
        if wrong is not None:
            raise OptionError(f"--over {wrong.name}: {wrong.error}")
    folder = tuning_folder(base, asked, settings) if out is None else out
    check_writable(folder, OWNED)
    progress = session.tools["progress"]

    def note(arm: Arm) -> None:
        if arm.error is not None:
            progress.note(f"{arm.name} failed: {arm.error}")

    result = run_tuning(session.host, base, cells, settings, session.pipeline, progress, note)
    return result, write_tuning(result, folder)


def _show(result: Tuning, folder: Path, as_json: bool) -> None:
    from condense.cli.output import echo_json

    if as_json:
        seconds = {arm.name: round(arm.seconds, 3) for arm in result.arms}
        more = {"computed": result.computed, "seconds": seconds, "out": str(folder)}
        echo_json(result.to_json() | more)
        return
    for arm in result.arms:
        if len(result.arms) > 1:
            click.echo(f"{arm.name}\n")
        _show_arm(arm)
        click.echo()
    if len(result.arms) > 1:
        _show_comparison(result)
    fit, held_out = result.samples
    click.echo(
        f"{result.data}: selected from {fit} training samples, validated on {held_out} held out "
        "of the training split; the test split was not read"
    )
    click.echo(f"curve, figure and recipe.toml lie in\n  {folder}")


def _show_arm(arm: Arm) -> None:
    from condense.studies.tuning.files import in_words

    if arm.error is not None:
        click.echo(f"error: {arm.error}")
        return
    for stage in arm.stages:
        _show_stage(stage)
        click.echo()
        for line in in_words(stage):
            click.echo(line)
        if stage.guessed is not None:
            guessed = stage.guessed
            click.echo(
                f"Without training (kernel ridge regression) the guess would be {guessed.best:g}; "
                f"its rank agreement with the trained values is {guessed.agreement:+.2f}."
            )
        click.echo()
    _show_cost(arm)


def _show_stage(stage: Stage) -> None:
    from condense.cli.output import echo_table

    guess = ["guess, %"] if stage.guessed is not None else []
    rows = []
    for row in stage.rows:
        values = [f"{value:g}" for value in row.values]
        guessed = [f"{100 * row.guess:.2f}"] if guess and row.guess is not None else []
        note = "best" if row is stage.best else "plateau" if _on_plateau(stage, row.values) else ""
        rows.append([*values, str(len(row.accuracies)), percent(row.point), *guessed, note])
    echo_table([*stage.keys, "n", "accuracy, % ± SE", *guess, "note"], rows)
    if stage.finals:
        click.echo("\nAt full length:")
        again = []
        for row in stage.finals:
            note = "best" if row is stage.top else ""
            value = f"{row.values[0]:g}"
            again.append([value, str(len(row.accuracies)), percent(row.point), note])
        echo_table([*stage.keys, "n", "accuracy, % ± SE", "note"], again)


def _on_plateau(stage: Stage, values: Sequence[float]) -> bool:
    return stage.plateau is not None and stage.plateau[0] <= values[0] <= stage.plateau[1]


def _show_cost(arm: Arm) -> None:
    from condense.cli.output import seconds

    spent = sum(stage.cost.steps for stage in arm.stages)
    trainings = sum(stage.cost.trainings for stage in arm.stages)
    full = sum(len(row.accuracies) for stage in arm.stages for row in stage.finals)
    matchings = sum(stage.cost.matchings for stage in arm.stages)
    matched = f" and {matchings} matching runs" if matchings else ""
    length = f" of {arm.steps} steps" if arm.steps else ""
    length += f", those of {full} finals of {arm.whole_steps}" if full else ""
    click.echo(f"Spent: {trainings} trainings{length} ({seconds(arm.seconds)}){matched}.")
    grid = arm.grid
    if grid is not None and spent:
        first = arm.stages[0].cost
        whole = first.seconds / first.steps * grid["steps"]
        # what follows is searched by matching, which no grid is held against
        search = "the search" if len(arm.stages) == 1 else f"that over {arm.stages[0].keys[0]}"
        click.echo(
            f"A grid of {grid['places']} values at the same seeds and all {arm.whole_steps} steps: "
            f"{grid['trainings']} trainings (about {seconds(whole)}); {search} took "
            f"{100 * first.steps / grid['steps']:.0f} % of its optimiser steps."
        )


def _show_comparison(result: Tuning) -> None:
    from condense.cli.output import echo_table

    rows = []
    for arm in result.arms:
        if arm.error is not None:
            rows.append([arm.name, "–", "–", "–", f"error: {arm.error}"])
            continue
        point = arm.top.point
        found = ", ".join(f"{key}={value:g}" for key, value in arm.found.items())
        note = "best" if arm is result.best else ""
        rows.append([arm.name, found, str(len(point.values)), percent(point), note])
    echo_table(["over", "best value", "n", "accuracy, % ± SE", "note"], rows)
    click.echo()


def percent(point: Any) -> str:
    """``"97.58 ± 0.31"``: mean and standard error in %."""
    error = point.standard_error
    return f"{100 * point.mean:.2f} ± " + ("–" if error is None else f"{100 * error:.2f}")
