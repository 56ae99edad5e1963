"""Does `condense tune` find what a full grid finds, and for what part of its cost?

    python benchmarks/tuning.py
    python benchmarks/tuning.py --data npz:cifar10.npz --ipc 50

The truth is a grid at the evaluator's full budget on a validation part of the training split; the
candidates search with short trainings on the same part and are judged by the full budget at the
value they find: `tune` as it comes, `short` without its finals at full length, `golden` without
scan and finals, `guess` without any training. The
test split is not read. Everything goes through the store, so an interrupted call goes on.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from _common import HERE, finish, parser

from condense.engine.ingest.holdout import validation_part
from condense.engine.pipeline import Pipeline
from condense.engine.runtime.device import pick_device
from condense.engine.runtime.progress import SilentProgress
from condense.engine.runtime.store import Store
from condense.options import parse_assignment
from condense.plugin.host import build_host
from condense.recipe import Recipe
from condense.resolve import Request, resolve
from condense.studies.ablation.design import Cell
from condense.studies.tuning.curve import Point
from condense.studies.tuning.objective import Objective, shortened
from condense.studies.tuning.result import Arm
from condense.studies.tuning.run import tune
from condense.studies.tuning.settings import Settings


class Bench:
    """A recipe, its validation part, and the ways to search."""

    def __init__(self, recipe: Recipe, settings: Settings, device: torch.device) -> None:
        self.host = build_host(external=False)
        progress = SilentProgress()
        self.tools: dict[str, Any] = {
            "store": Store.default(progress), "device": device, "progress": progress,
        }  # fmt: skip
        self.recipe, self.settings = recipe, settings
        self.part = validation_part(self.bind(recipe).data, settings.validation, recipe.seed)

    def bind(self, recipe: Recipe, **more: Any) -> Pipeline:
        return Pipeline(recipe, self.host, **self.tools, **more)

    def search(self, settings: Settings) -> Arm:
        """The arm that ``settings`` lead to."""
        cells = [Cell("", {}, self.recipe)]
        progress = self.tools["progress"]
        return tune(self.host, self.recipe, cells, settings, self.bind, progress).arms[0]

    def judge(self, value: float, seeds: int) -> Point:
        """The value under the full budget."""
        size = sum(self.recipe.budget.counts(self.part))
        repeats = self.settings.repeats
        whole = shortened(self.host, self.recipe, size, 1.0, None, repeats)
        objective = Objective(self.bind, self.host, whole, self.part)
        key = self.settings.key
        return Point(value, tuple(objective.selected({key: value}, i) for i in range(seeds)))


def candidate(
    bench: Bench, name: str, arm: Arm, value: float, truth: Arm, seeds: int, cost: tuple[int, float]
) -> dict[str, Any]:
    """A row: what was found, what it is worth at the full budget, and what it cost."""
    grid = truth.stages[0]
    best, own = grid.best.point, bench.judge(value, seeds)
    lost = best.mean - own.mean
    steps, seconds = cost
    return {
        "arm": name,
        "value": value,
        "accuracy": own.mean,
        "standard_error": own.standard_error,
        "n": len(own.values),
        "accuracies": list(own.values),
        "lost": lost,
        "within_one_standard_error": lost <= (best.standard_error or 0.0),
        "trainings": arm.stages[0].cost.trainings if steps else 0,
        "steps": steps,
        "seconds": seconds,
        "share_of_steps": steps / grid.cost.steps,
        "share_of_seconds": seconds / grid.cost.seconds,
    }


def measure(bench: Bench, places: int, seeds: int) -> list[dict[str, Any]]:
    """The grid's rows, then one a candidate."""
    s = bench.settings
    whole = replace(s, grid=places, share=1.0, steps=None, seeds=seeds, most=seeds)
    truth = bench.search(whole)
    grid = truth.stages[0]
    rows: list[dict[str, Any]] = [
        {
            "arm": "grid",
            "value": row.values[0],
            "accuracy": row.point.mean,
            "standard_error": row.point.standard_error,
            "n": len(row.accuracies),
            "accuracies": list(row.accuracies),
            "guess": row.guess,
            "best": row is grid.best,
        }
        for row in grid.rows
    ]
    ways = {"tune": s, "short": replace(s, finals=0), "golden": replace(s, finals=0, scan=0)}
    for name, settings in ways.items():
        arm = bench.search(settings)
        stage = arm.stages[0]
        cost = stage.cost.steps, stage.cost.seconds
        value = stage.best.values[0]
        rows.append(candidate(bench, name, arm, value, truth, seeds, cost))
    guessed = grid.guessed
    if guessed is not None:
        row = candidate(bench, "guess", truth, guessed.best, truth, seeds, (0, 0.0))
        rows.append(row | {"rank_agreement": guessed.agreement})
    total = {"trainings": grid.cost.trainings, "steps": grid.cost.steps}
    shape = grid.shape.verdict if grid.shape is not None else None
    head = {"arm": "whole grid", "best": grid.best.values[0], "seconds": grid.cost.seconds}
    rows.append(head | total | {"shape": shape, "plateau": grid.plateau})
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
    flags.add_argument("-o", dest="options", action="append", default=[], metavar="KEY=VALUE")
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
    settings = Settings("selector.beta", seeds=seeds, most=2 * seeds, share=arguments.share)
    rows = measure(Bench(recipe, settings, device), arguments.places, arguments.seeds)
    if arguments.out is None:
        data = Path(arguments.data.rpartition(":")[2]).stem
        name = f"tuning-{data}-ipc{recipe.budget.ipc}-{device.type}.json"
        arguments.out = HERE / "results" / name
    finish("tuning", arguments, argv, rows, device)


if __name__ == "__main__":
    main(sys.argv[1:])
