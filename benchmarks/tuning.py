"""Does `condense tune` find what a full grid finds, and for what part of its cost?

    python benchmarks/tuning.py
    python benchmarks/tuning.py --data npz:cifar10.npz --ipc 50

The truth is a grid at the evaluator's full budget on a validation part of the training split; the
candidates search with short trainings on the same part and are judged by the full budget at the
value they find: `tune` as it comes, `short` without its finals at full length, `guess` by kernel
ridge regression, without any training. The test split is not read. Everything goes through the
store, so an interrupted call goes on.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from _common import HERE, finish, parser
from _concavity import shape

from condense.engine.ingest.holdout import validation_part
from condense.engine.pipeline import Pipeline
from condense.engine.runtime.device import pick_device
from condense.engine.runtime.progress import SilentProgress
from condense.engine.runtime.store import Store
from condense.engine.training.ranking import rank_correlation
from condense.options import parse_assignment
from condense.plugin.host import build_host
from condense.recipe import Recipe
from condense.resolve import Request, resolve
from condense.studies.tuning import KernelRidgeProxy
from condense.studies.tuning.objective import Objective, shortened
from condense.studies.tuning.result import Place, Spent, TunedRecipe
from condense.studies.tuning.run import tune
from condense.studies.tuning.search import Ends, highest, plateau, rounded
from condense.studies.tuning.settings import Settings

GUESSES = 40  # places of the guessed curve


def spaced(ends: Ends, count: int) -> list[float]:
    """``count`` places from one end to the other at equal distances, to three digits."""
    low, high = ends
    return [rounded(low + (high - low) * i / (count - 1), ends) for i in range(count)]


class Bench:
    """A recipe, its validation part, and the ways to search."""

    def __init__(self, recipe: Recipe, settings: Settings, device: torch.device) -> None:
        self.host = build_host(external=False)
        progress = SilentProgress()
        self.tools: dict[str, Any] = {
            "store": Store.default(progress), "device": device, "progress": progress,
        }  # fmt: skip
        self.recipe, self.settings = recipe, settings
        self.part = validation_part(self.bind(recipe).data, settings.held_out, recipe.seed)
        self.spent = Spent()  # by everything at the full budget so far
        size = sum(recipe.budget.counts(self.part))
        whole = shortened(self.host, recipe, size, 1.0, settings.repeats)
        self.full = Objective(
            self.bind, self.host, whole, self.part, settings.keys, False, self.spent
        )
        self.range = self.full.range_of()

    def bind(self, recipe: Recipe, **more: Any) -> Pipeline:
        return Pipeline(recipe, self.host, **self.tools, **more)

    def search(self, settings: Settings) -> TunedRecipe:
        """What ``settings`` lead to."""
        progress = self.tools["progress"]
        return tune(self.host, self.recipe, settings, self.bind, progress).document.arms[0]

    def judge(self, value: float, seeds: int) -> Place:
        """The value under the full budget."""
        found = tuple(self.full((value,), i) for i in range(seeds))
        return Place(values=(value,), accuracies=found)

    def guessed(self, values: Sequence[float]) -> list[float]:
        """Accuracies that :class:`KernelRidgeProxy` foretells."""
        proxy = KernelRidgeProxy(self.part)
        return [proxy.accuracy(self.full.select((value,))) for value in values]


def figures(place: Place) -> dict[str, Any]:
    """A place as the columns of a row."""
    return {
        "value": place.values[0],
        "accuracy": place.mean,
        "standard_error": place.accuracy.standard_error,
        "n": len(place.accuracies),
        "accuracies": list(place.accuracies),
    }


def candidate(
    bench: Bench, name: str, value: float, best: Place, spent: Spent, whole: Spent
) -> dict[str, Any]:
    """A row: what was found, what it is worth at the full budget, and what it cost.

    Args:
        best: of the grid.
        spent, whole: by the candidate and by the grid.
    """
    own = bench.judge(value, len(best.accuracies))
    lost = best.mean - own.mean
    return {
        "arm": name,
        **figures(own),
        "lost": lost,
        "within_one_standard_error": lost <= (best.accuracy.standard_error or 0.0),
        "trainings": spent.trainings,
        "steps": spent.steps,
        "seconds": spent.seconds,
        "share_of_steps": spent.steps / whole.steps,
        "share_of_seconds": spent.seconds / whole.seconds,
    }


def measure(bench: Bench, count: int, seeds: int) -> list[dict[str, Any]]:
    """The grid's rows, then one a candidate."""
    places = [bench.judge(value, seeds) for value in spaced(bench.range, count)]
    whole, best = bench.spent.model_copy(), highest(places)
    guesses = bench.guessed([place.values[0] for place in places])
    rows: list[dict[str, Any]] = [
        {"arm": "grid", **figures(place), "guess": guess, "best": place is best}
        for place, guess in zip(places, guesses, strict=True)
    ]
    for name, settings in {
        "tune": bench.settings,
        "short": bench.settings.model_copy(update={"finals": 0}),
    }.items():
        arm = bench.search(settings)
        value = arm.stages[0].best[0]
        rows.append(candidate(bench, name, value, best, arm.cost, whole))
    curve = spaced(bench.range, GUESSES)
    guessed = bench.guessed(curve)
    value = curve[guessed.index(max(guessed))]
    trained = torch.tensor([place.mean for place in places])
    agreement = rank_correlation(torch.tensor(guesses), trained)
    row = candidate(bench, "guess", value, best, Spent(), whole)
    rows.append(row | {"rank_agreement": agreement})
    first, last = plateau(places, best)
    rows.append(
        {
            "arm": "whole grid",
            "best": best.values[0],
            "seconds": whole.seconds,
            "trainings": whole.trainings,
            "steps": whole.steps,
            "shape": shape(places).verdict,
            "plateau": [places[first].values[0], places[last].values[0]],
        }
    )
    return rows


def main(argv: Sequence[str]) -> None:
    flags = parser(__doc__)
    flags.add_argument("--data", default="digits")
    flags.add_argument("--ipc", type=int, default=None)
    flags.add_argument("--preset", default=None)
    flags.add_argument("--seed", type=int, default=0)
    flags.add_argument("--seeds", type=int, default=5, help="of every place of the grid")
    flags.add_argument("--places", type=int, default=10, help="of the grid")
    flags.add_argument("--share", type=float, default=0.25, help="of steps, for the candidates")
    flags.add_argument("--search-seeds", type=int, default=3, help="for the candidates")
    # a window as wide as the budget: one to the easiest hardly depends on β
    narrow = ["selector.width=null"]
    flags.add_argument("-o", dest="options", action="append", default=narrow, metavar="KEY=VALUE")
    arguments = flags.parse_args(argv)
    torch.set_num_threads(arguments.threads)
    device = pick_device(arguments.device)
    request = Request(
        data=arguments.data,
        ipc=arguments.ipc,
        preset=arguments.preset,
        seed=arguments.seed,
        assignments=tuple(map(parse_assignment, arguments.options)),
    )
    recipe = resolve(build_host(external=False), request)
    seeds = arguments.search_seeds
    settings = Settings(
        key="selector.beta", seeds=seeds, max_seeds=2 * seeds, share=arguments.share
    )
    rows = measure(Bench(recipe, settings, device), arguments.places, arguments.seeds)
    if arguments.out is None:
        data = Path(arguments.data.rpartition(":")[2]).stem
        name = f"tuning-{data}-ipc{recipe.budget.ipc}-{device.type}.json"
        arguments.out = HERE / "results" / name
    finish("tuning", arguments, argv, rows, device)


if __name__ == "__main__":
    main(sys.argv[1:])
