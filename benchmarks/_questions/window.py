"""Question 1, how to find β: the curve on the test split, and what each search finds.

Every search sees a validation part of the training split only, and random search and TPE (Optuna's
samplers) may take as many optimiser steps as ``condense tune`` took. A place that is found counts
as the nearest one of the curve, so that all are judged by the same networks.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import optuna
import torch
from tuning import GUESSES, Bench, spaced

from _questions.commands import Piece, Row, condense
from _questions.settings import IMAGES, TABLES, Setting, Sources
from condense.options import parse_assignment
from condense.plugin.host import build_host
from condense.resolve import Request, resolve
from condense.studies.tuning.objective import training_steps
from condense.studies.tuning.settings import Settings

FRACTIONS = (0.01, 0.05, 0.2)
PLACES, SEEDS = 21, 5  # of the curve
SEARCHES = 3  # of every kind, each under a seed of its own
DEAR = {"cifar10": (11, 3, 1)}  # instead: places, seeds, searches
KEY = "selector.beta"
PLAIN = ("selector.width=null", "evaluator.repeats=1")  # the window as the paper has it


def pieces(sources: Sources) -> Iterator[Piece]:
    """The curve of every setting, then the searches."""
    for setting in sources.settings((*TABLES, *IMAGES), FRACTIONS):
        yield Piece(f"{setting} curve", partial(curve, setting))
        for seed in range(DEAR.get(setting.data, (PLACES, SEEDS, SEARCHES))[2]):
            yield Piece(f"{setting} search {seed}", partial(searches, setting, seed))


def places(fraction: float, count: int) -> list[float]:
    """Values of β from the hardest window to the easiest that fits."""
    return [round(0.99 * (1 - fraction) * i / (count - 1), 4) for i in range(count)]


def plain() -> list[str]:
    """The flags of :data:`PLAIN`."""
    return [word for option in PLAIN for word in ("-o", option)]


def curve(setting: Setting) -> list[Row]:
    """Test accuracies of a window at every place, a row each."""
    count, seeds, _ = DEAR.get(setting.data, (PLACES, SEEDS, SEARCHES))
    values = ",".join(f"{beta:g}" for beta in places(setting.fraction, count))
    vary = ("--vary", f"{KEY}={values}", "--seeds", str(seeds))
    cells = condense("ablate", "window", *setting.sized, *vary, *plain())["cells"]
    return [
        setting.row | {"beta": float(cell["values"][KEY]), "accuracies": cell["accuracies"]}
        for cell in cells
        if cell["in_grid"]
    ]


def searches(setting: Setting, seed: int) -> list[Row]:
    """What each search finds under ``seed``, and its optimiser steps."""
    bench = bench_of(setting, seed)
    tuned = bench.search(bench.settings)
    size = sum(bench.recipe.budget.counts(bench.part))
    full = training_steps(bench.full.recipe, size)
    assert full is not None
    trials = max(2, round(tuned.cost.steps / full))
    candidates = spaced(bench.range, GUESSES)
    guesses = bench.guessed(candidates)
    found = {
        "tune": (tuned.stages[0].best[0], tuned.cost.steps),
        "random": (drawn(bench, optuna.samplers.RandomSampler(seed=seed), trials), trials * full),
        "tpe": (drawn(bench, optuna.samplers.TPESampler(seed=seed), trials), trials * full),
        "kernel ridge": (candidates[guesses.index(max(guesses))], 0),
    }
    return [
        setting.row | {"search": name, "seed": seed, "beta": beta, "steps": steps}
        for name, (beta, steps) in found.items()
    ]


def bench_of(setting: Setting, seed: int) -> Bench:
    """The validation part of a setting, divided by ``seed``."""
    request = Request(
        "window",
        data=f"npz:{setting.path}",
        fraction=setting.fraction,
        seed=seed,
        assignments=tuple(map(parse_assignment, PLAIN)),
    )
    recipe = resolve(build_host(external=False), request)
    return Bench(recipe, Settings(key=KEY), torch.device("cpu"))


def drawn(bench: Bench, sampler: optuna.samplers.BaseSampler, trials: int) -> float:
    """The best of ``trials`` places of ``sampler``, each trained once at full length."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    low, high = bench.range
    study.optimize(
        lambda trial: bench.full((trial.suggest_float("beta", low, high),), trial.number),
        n_trials=trials,
    )
    return float(study.best_params["beta"])
