"""What ``condense run --seeds`` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from condense.recipe import Recipe
    from condense.studies.seeds import SeedRuns, SeedsAccuracy


def show_seeds(result: SeedRuns, recipe: Recipe) -> None:
    """A row a seed, the mean over them and its interval, and what they have in common."""
    from condense.cli.output import echo_place, echo_table, mean_and_std, say, say_few_seeds
    from condense.engine.arms import measure_of
    from condense.figures.formats import arm_name

    document = result.document
    if document.accuracy is not None:
        arms = {recipe.method: document.accuracy} | {
            arm_name(name, recipe.method): arm for name, arm in document.baselines.items()
        }
        word = measure_of(recipe["evaluator"])
        rows: list[tuple[object, ...]] = [
            (one.recipe.seed, *map(mean_and_std, (one.accuracy, *one.baselines.values())))
            for one in result.runs
        ]
        rows.append(("mean", *(f"{100 * arm.mean:.2f}" for arm in arms.values())))
        rows.append(("95 % interval", *map(_interval, arms.values())))
        echo_table(("seed", *(f"{name}, {word} in %" for name in arms)), rows)
        say(
            "\na seed's figure: mean ± standard deviation (n) of its networks; interval: "
            f"Student's t over the means of {len(result.runs)} seeds"
        )
        say_few_seeds(len(result.runs))
    shared = result.shared_seed
    say(
        "\nthe seeds share nothing but the data"
        if shared is None
        else f"\nscores and experts are shared, those of seed {shared}: the interval is too narrow "
        "for what others would give"
    )
    echo_place("condensed sets", result.folder)


def _interval(over: SeedsAccuracy) -> str:
    if over.low is None or over.high is None:
        return "–"
    return f"{100 * over.low:.2f} to {100 * over.high:.2f}"
