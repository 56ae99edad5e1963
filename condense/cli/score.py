"""``condense score``: the first stage on its own, or several scorers side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from condense.cli.flags import (
    PATH,
    device_flag,
    dry_run_flag,
    executor_flag,
    json_flag,
    recipe_flags,
)

if TYPE_CHECKING:
    from condense.cli.session import Session
    from condense.engine.pipeline import Pipeline
    from condense.recipe import Recipe
    from condense.resolve import Request
    from condense.results import Finding
    from condense.studies.scorers.run import ScorerComparison


@click.command(
    epilog="""\b
Examples:
  condense score
  condense score --data npz:cifar10.npz -o scorer=el2n --out el2n-scores
  condense score --compare cscore,forgetting,el2n -o scorer.networks=8
  condense score --compare cscore,cscore:holdout,file:published.npz
"""
)
@recipe_flags
@click.option(
    "--compare",
    metavar="A,B,…",
    help="Scorers to hold against each other, as after -o scorer=; options given with "
    "-o scorer.KEY=VALUE go to those that have them.",
)
@device_flag
@executor_flag
@click.option(
    "--out",
    type=PATH,
    metavar="DIR",
    help="Where scores.safetensors and manifest.json go, or comparison.json and a PNG a scorer.  "
    "[default: scores-SCORER-DATA, scores-compare-DATA]",
)
@click.option(
    "--force",
    is_flag=True,
    help="Replace other scores in DIR; the same scores are replaced anyway.",
)
@dry_run_flag
@json_flag
@click.pass_context
def score(
    ctx: click.Context,
    request: Request,
    compare: str | None,
    device: str | None,
    out: Path | None,
    force: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Rate how hard each training sample is; higher = harder, always.

    The scores can be read back with `-o scorer=file:DIR/scores.safetensors`. With --compare: rank
    correlations of several scorers, how much of their hardest and easiest tenth they share, how
    well each agrees with itself, and pictures of both ends of every class, 40 at most.
    """
    from condense.cli.output import echo_json, echo_summary, warn
    from condense.cli.session import open_session
    from condense.engine.outputs import write_scores
    from condense.report.diagnosis.findings import signs_in_source

    names = [] if compare is None else [name.strip() for name in compare.split(",")]
    if dry_run:
        _show_planned(ctx, request, names, device, as_json)
        return
    if names:
        with open_session(ctx, device) as session:
            result, folder, findings = _compare(session, request, names, out, force)
        warn(findings)
        _show(result, folder, findings, as_json)
        return
    with open_session(ctx, device) as session:
        recipe = session.recipe(request)
        pipeline = session.pipeline(recipe)
        place = out or Path(f"scores-{recipe['scorer'].name}-{_data_name(recipe)}")
        session.hand_out(request, [(pipeline, [pipeline.scoring])])
        document = write_scores(pipeline, place, signs_in_source, force)
    warn(document.findings)
    (echo_json if as_json else echo_summary)(document.to_json())


def _data_name(recipe: Recipe) -> str:
    """``digits``, or ``people`` of ``csv:people.csv``."""
    name, _, argument = recipe["data"].spelled.partition(":")
    return Path(argument or name).stem


def _show_planned(
    ctx: click.Context, request: Request, names: Sequence[str], device: str | None, as_json: bool
) -> None:
    """``--dry-run``, of the scorers ``names`` or of the one of the recipe."""
    from condense.cli.output import echo_json
    from condense.cli.planned import echo_plan, show_study_plan
    from condense.cli.session import open_session
    from condense.engine.graph import plan_of
    from condense.studies.planning import Planner

    planner = Planner()
    with open_session(ctx, device) as session:
        workers = session.workers(request)
        if names:
            for pipeline in _compared(session, request, names):
                planner.add([pipeline.scoring])
        else:
            recipe = session.recipe(request)
            plan = plan_of(recipe, [session.pipeline(recipe).scoring])
    if not names:
        echo_plan(plan, as_json, workers)
    elif as_json:
        echo_json(planner.plan().to_json() | {"scorers": list(names)})
    else:
        show_study_plan(planner.plan(), f"{len(names)} scorers", workers)


def _compared(session: Session, request: Request, names: Sequence[str]) -> list[Pipeline]:
    """A pipeline for each scorer, all on the same data."""
    from condense.studies.binding import SharedData
    from condense.studies.scorers.run import compared_recipes

    bind = SharedData(session.pipeline)
    return [bind(recipe) for recipe in compared_recipes(session.host, request, names)]


def _compare(
    session: Session, request: Request, names: Sequence[str], out: Path | None, force: bool
) -> tuple[ScorerComparison, Path, list[Finding]]:
    """The comparison made and written, and what is wrong with the data and the scores."""
    from condense.report.diagnosis.findings import signs_in_source
    from condense.studies.scorers.files import check_comparison, write_scorer_comparison
    from condense.studies.scorers.run import compare_scorers

    pipelines = _compared(session, request, names)
    folder = out or Path(f"scores-compare-{_data_name(pipelines[0].recipe)}")
    check_comparison(folder, pipelines, names, force)
    session.hand_out(request, [(p, [p.scoring]) for p in pipelines])
    result = compare_scorers([p.recipe for p in pipelines], names, session.pipeline)
    place = write_scorer_comparison(result, folder)
    return result, place, [*dict.fromkeys(f for p in pipelines for f in signs_in_source(p))]


def _show(
    result: ScorerComparison, folder: Path, findings: Sequence[Finding], as_json: bool
) -> None:
    from condense.cli.output import echo_json, echo_place, echo_table, say, seconds
    from condense.studies.scorers.files import sheet_names

    document, sheets = result.document, sheet_names(result)
    if as_json:
        times = {one.name: round(one.seconds, 3) for one in document.scorers}
        cached = {one.name: one.cached for one in document.scorers}
        more = {"seconds": times, "cached": cached, "out": str(folder), "sheets": sheets}
        more["findings"] = [finding.summary() for finding in findings]
        echo_json(document.to_json() | more)
        return
    rows = []
    for one in document.scorers:
        half = "–" if one.split_half is None else f"{one.split_half:.3f} of {one.replicates}"
        time = seconds(one.seconds) + (", from the store" if one.cached else "")
        rows.append((one.name, half, time, one.estimator))
    echo_table(("scorer", "split half", "time", "estimator"), rows)
    names = [one.name for one in document.scorers]
    _matrix("rank correlation", names, document.rank_correlation)
    _matrix("hardest 10 % shared", names, document.overlap_hardest)
    _matrix("easiest 10 % shared", names, document.overlap_easiest)
    say(
        "\nsplit half: rank correlation of two halves of the networks or repeats; time: a training "
        "pass that several read counts for the first; 10 % shared: 0.10 is chance"
    )
    what = f"comparison.json and {len(sheets)} pictures" if sheets else "comparison.json"
    echo_place(what, folder)


def _matrix(title: str, names: Sequence[str], values: Sequence[Sequence[float]]) -> None:
    from condense.cli.output import echo_table, say

    say()
    rows = zip(names, values, strict=True)
    echo_table((title, *names), [(name, *(f"{v:.3f}" for v in row)) for name, row in rows])
