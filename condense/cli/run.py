"""``condense run``: the whole way from a data set to a compared result."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from condense.cli.flags import (
    PATH,
    device_flag,
    dry_run_flag,
    executor_flag,
    json_flag,
    recipe_flags,
    tracker_flag,
)
from condense.errors import OptionError

if TYPE_CHECKING:
    from condense.cli.session import Session
    from condense.engine.jobs.driver import Crew
    from condense.engine.run import RunResult
    from condense.plugin.host import Host
    from condense.recipe import Recipe
    from condense.resolve import Request


@click.command(
    epilog="""\b
Examples:
  condense run --method selmatch
  condense run --data npz:cifar10.npz --ipc 50 --json
  condense run --data folder:photos --fraction 0.1 -o data.resize=32 --out small
  condense run --seeds 3 --ipc 10 --out three
  condense run -o selector.beta=0.3 -o matcher.network.width=32 --dry-run
  condense run --method auto --minutes 10
  condense run --tracker tensorboard
"""
)
@recipe_flags
@device_flag
@executor_flag
@tracker_flag
@click.option(
    "--out",
    type=PATH,
    metavar="DIR",
    help="Where the result goes.  [default: runs/METHOD-DATA-ipcN-sSEED-HASH]",
)
@click.option(
    "--force",
    is_flag=True,
    help="Replace the result of another recipe in DIR; one of the same recipe is replaced anyway.",
)
@click.option(
    "--seeds",
    type=int,
    metavar="N",
    help="Run on --seed, --seed + 1 … and give the mean with its 95 % interval; every run gets a "
    "folder of its own in DIR.",
)
@click.option(
    "--shared",
    is_flag=True,
    help="With --seeds: make scores and experts once, with --seed, for all of them.",
)
@click.option(
    "--minutes",
    type=float,
    metavar="M",
    help="With --method auto: for the choice; the run of what is chosen comes on top.  "
    "[default: 2]",
)
@click.option(
    "--no-baselines",
    is_flag=True,
    help="Do not train on random subsets of the same size and on the whole set.",
)
@dry_run_flag
@json_flag
@click.pass_context
def run(
    ctx: click.Context,
    request: Request,
    device: str | None,
    out: Path | None,
    force: bool,
    seeds: int | None,
    shared: bool,
    minutes: float | None,
    no_baselines: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Condense a data set and compare the result with honest baselines.

    With no options: SelMatch on the digits that come with scikit-learn, 5 images a class, about
    half a minute on two cores. Stages are cached, so a second run, another option or an interrupted
    run does only the stages that are missing. --method auto tries methods on a held-out part of the
    training split and runs the best, or a random subset where none is better beyond noise.
    """
    from condense.cli.output import echo_json, headline, say_error, warn
    from condense.cli.planned import show_planned_run
    from condense.cli.running import choosing as auto
    from condense.cli.running.seeds import show_seeds
    from condense.cli.session import open_session
    from condense.resolve import is_choice

    choosing, baselines = is_choice(request), not no_baselines
    _check_seeds(seeds, shared, dry_run and choosing)
    _check_ranks(request, choosing)
    auto.check_minutes(minutes, choosing)
    if dry_run:
        if choosing:
            auto.show_plan_of_choice(ctx, request, minutes, device, as_json)
        else:
            show_planned_run(ctx, request, device, baselines, seeds, shared, as_json)
        return
    with open_session(ctx, device, together=True) as session:
        choice = auto.choice_of(session, request, minutes, out) if choosing else None
        request = request if choice is None else choice.request
        session, recipe = session.tracked(request), session.recipe(request)
        if choice is None:
            session.note_unread(recipe, request)
        if sys.stderr.isatty():
            say_error(headline(recipe))
        if request.preset is not None:
            _note_preset(session.host, request)
        beside = {} if choice is None else choice.files
        more = (baselines, seeds, shared, force, beside, session.crew(request))
        result = _result(session, recipe, out, *more)
    if as_json:
        added = {} if choice is None else {"choice": choice.document.timed()}
        echo_json(result.to_json() | added)
    else:
        if choice is not None:
            auto.show_choice(choice.document)
        (_show_result if seeds is None else show_seeds)(result, recipe)
    if seeds is None:
        warn(result.findings)
    else:
        for one in result.runs:
            warn(one.findings, f"seed {one.recipe.seed}: ")


def _check_seeds(seeds: int | None, shared: bool, planned: bool) -> None:
    """That flags about several seeds make sense together.

    Args:
        planned: whether a choice of the method is to be planned.

    Raises:
        OptionError: if they do not.
    """
    if shared and seeds is None:
        raise OptionError("--shared says what several seeds share; give --seeds N as well")
    if planned and seeds is not None:
        raise OptionError(
            f"`seeds={seeds}`: --dry-run of `method=auto` plans the choice alone; leave --seeds out"
        )


def _check_ranks(request: Request, choosing: bool) -> None:
    """That nothing else than a matching is to be shared out where torchrun started several ranks.

    Raises:
        OptionError: if it is.
    """
    from condense.engine.jobs.launch import launch
    from condense.kinds import LOCAL

    which = launch()
    if which is None or which.size == 1:
        return
    if choosing:
        raise OptionError(
            f"`method=auto` tries methods one after another, and {which.size} ranks share one "
            "matching; choose first, then run what was chosen with torchrun"
        )
    if request.executor not in (None, LOCAL):
        raise OptionError(
            f"torchrun has started {which.size} ranks, so that executor '{request.executor}' has "
            "nothing to do here; leave one of them out, or have it start torchrun as one job"
        )


def _result(
    session: Session,
    recipe: Recipe,
    out: Path | None,
    baselines: bool,
    seeds: int | None,
    shared: bool,
    force: bool,
    beside: Mapping[str, str],
    crew: Crew | None,
) -> Any:
    """A run, or runs of several seeds."""
    from condense.report.diagnosis.findings import problems

    if seeds is None:
        from condense.engine.run import run as run_pipeline

        more = (baselines, problems, force, beside, crew)
        return run_pipeline(session.pipeline(recipe), out, *more)
    from condense.studies.seeds import run_seeds

    return run_seeds(
        recipe, seeds, session.pipeline, out, baselines, shared, problems, force, beside, crew
    )


def _note_preset(host: Host, request: Request) -> None:
    """One line on stderr: what a named preset has in common with what was published."""
    from condense.cli.output import say_error
    from condense.options import format_value
    from condense.published import preset_differences
    from condense.resolve import preset_of

    preset = preset_of(host, request)
    if preset.published is None:
        text = f"{preset.name} settings, not a paper's; see condense plugins show preset"
        say_error(f"note: {text} {preset.name}")
    elif differences := preset_differences(host, request):
        texts = [
            f"{d.option} {format_value(d.here)} (for {format_value(d.published)})"
            for d in differences
        ]
        say_error(f"note: differs from {preset.published}: {', '.join(texts)}")


def _show_result(result: RunResult, recipe: Recipe) -> None:
    from condense.cli.output import (
        BY_CLASS,
        by_class,
        echo_place,
        echo_stages,
        echo_table,
        echo_teacher,
        mean_and_std,
        networks,
        say,
    )
    from condense.engine.arms import measure_of
    from condense.figures.formats import arm_name
    from condense.kinds import RANDOM

    if result.accuracy is not None:
        arms = {recipe.method: result.accuracy}
        arms |= {arm_name(n, recipe.method): e for n, e in result.baselines.items()}
        random = result.baselines.get(RANDOM)
        images = result.condensed.geometry.is_image
        rows = [
            (name, mean_and_std(arm), *by_class(arm), _note(arm, random, images))
            for name, arm in arms.items()
        ]
        word = measure_of(recipe["evaluator"])
        echo_table(("arm", f"{word}, % ± std (n)", *BY_CLASS, "note"), rows)
    say(networks(recipe))
    echo_teacher(result.accuracy)
    say()
    echo_stages({name: (s.seconds, s.cached) for name, s in result.stages.items()})
    say()
    echo_place(f"peak memory {result.peak_memory_mb:.0f} MB; condensed set", result.artefact)
    say("load it with")
    click.echo("  from condense import CondensedDataset")
    click.echo(f'  small = CondensedDataset.load("{result.artefact.as_posix()}")')
    if result.condensed.soft_labels is not None:
        say("its labels are soft: train towards small.targets, not small.labels")


def _note(arm: Any, random: Any, images: bool) -> str:
    """The augmentation that an arm was trained with, where samples are ``images``; its distance to
    random, and if that is chance."""
    from condense.figures.formats import points, setting
    from condense.studies.statistics import unpaired

    augmentation = setting(arm.protocol.get("augmentation", "")) if images else ""
    parts = [f"augmentation {augmentation}"] if augmentation else []
    if arm is random:
        parts.append("same size")
    elif random is not None:
        gain = unpaired(arm.values, random.values)
        told = gain is None or gain.low is None or gain.low > 0 or (gain.high or 0) < 0
        parts.append(f"{points(arm.mean - random.mean)} points over random")
        parts += [] if told else ["within noise"]
    return ", ".join(parts)
