"""What ``condense run --seeds`` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from condense.recipe import Recipe
    from condense.studies.seeds import SeedRuns, SeedsAccuracy


def show_seeds(result: SeedRuns, recipe: Recipe) -> None:
    """A row a seed, the mean over them with its interval, and what they have in common."""
    from condense.cli.output import echo_table, percent
    from condense.traits import EvaluatorTraits, traits_of

    document = result.document
    if document.accuracy is None:
        click.echo("not evaluated: the data has no test split")
    else:
        arms = {recipe.method: document.accuracy} | {
            name if name != recipe.method else f"{name} (baseline)": arm
            for name, arm in document.baselines.items()
        }
        word = traits_of(recipe["evaluator"].cls, EvaluatorTraits).measure
        rows: list[tuple[object, ...]] = [
            (one.recipe.seed, *map(percent, (one.accuracy, *one.baselines.values())))
            for one in result.runs
        ]
        rows.append(("mean ± 95 %", *map(_interval, arms.values())))
        echo_table(("seed", *(f"{name}, {word} in %" for name in arms)), rows)
    shared = result.shared_seed
    click.echo(
        "\neach seed made its own scores and experts"
        if shared is None
        else f"\nscores and experts are shared, those of seed {shared}: the interval is too narrow "
        "for what others would give"
    )
    click.echo(f"the condensed sets lie in\n  {result.folder}")


def _interval(over: SeedsAccuracy) -> str:
    half = "–" if over.high is None else f"{100 * (over.high - over.mean):.2f}"
    return f"{100 * over.mean:.2f} ± {half} ({over.n})"
