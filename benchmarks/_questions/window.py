"""Question 1, how to find β: the curve on the test split, and what each search finds.

Every seed has scores, selections and a network of its own. Every search sees a validation part of
the training split only, and random search and TPE (Optuna's samplers) may take as many optimiser
steps as ``condense tune`` took. What is found is then tested under the seeds of the curve.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import optuna
import torch
from tuning import GUESSES, Bench, spaced

from _questions.commands import Piece, Row, accuracies, condense, scanned
from _questions.settings import SEARCHED, Setting, Sources
from condense.options import parse_assignment
from condense.plugin.host import build_host
from condense.resolve import Request, resolve
from condense.studies.tuning.objective import training_steps
from condense.studies.tuning.settings import Settings

FRACTIONS = (0.01, 0.05, 0.2)
PLACES, SEEDS = 21, 5  # of the curve
SEARCHES = 3  # of every kind, each under a seed of its own
DEAR = dict.fromkeys(("mnist", "cifar10"), (11, 3, 1))  # instead: places, seeds, searches
KEY = "selector.beta"
PLAIN = ("selector.width=null", "evaluator.repeats=1")  # the window as the paper has it


def pieces(sources: Sources) -> Iterator[Piece]:
    """The curve of every setting, then the searches."""
    for setting in sources.settings(SEARCHED, FRACTIONS):
        yield Piece(f"{setting} curve", partial(curve, setting))
        for seed in range(DEAR.get(setting.data, (PLACES, SEEDS, SEARCHES))[2]):
            yield Piece(f"{setting} search {seed}", partial(searches, setting, seed))


def places(fraction: float, count: int) -> list[float]:
    """Values of β from the hardest window to the easiest that fits."""
    return [round(0.99 * (1 - fraction) * i / (count - 1), 4) for i in range(count)]


def plain(setting: Setting) -> tuple[str, ...]:
    """The flags of :data:`PLAIN`, one augmentation of images, and the setting's networks.

    Where none is asked for, real images have the better of two by their test accuracy.
    """
    flags = tuple(word for option in PLAIN for word in ("-o", option))
    return (*flags, *setting.augmented, *setting.networks("scorer", "evaluator"))


def curve(setting: Setting) -> list[Row]:
    """Test accuracies of a window at every place, a row each, a value a seed."""
    count, seeds, _ = DEAR.get(setting.data, (PLACES, SEEDS, SEARCHES))
    values = ",".join(f"{beta:g}" for beta in places(setting.fraction, count))
    each = [scan(setting, seed, values) for seed in range(seeds)]
    return [
        setting.row | {"beta": beta, "accuracies": [one[beta] for one in each]} for beta in each[0]
    ]


def scan(setting: Setting, seed: int, values: str, *more: str) -> dict[float, float]:
    """Accuracy by β of windows by one seed's scores, a network each."""
    one = ("--seed", str(seed), "--seeds", "1", *more)
    flags = (*setting.sized, "--vary", f"{KEY}={values}", *one, *plain(setting))
    return {
        beta: value for beta, (value,) in scanned(condense("ablate", "window", *flags), KEY).items()
    }


def tested(setting: Setting, beta: float, seeds: int, *more: str) -> list[float]:
    """Test accuracies of the window at ``beta``, a value a seed, as :func:`curve` has them."""
    out = setting.path.parent / "sets" / f"{setting} {beta:g}".replace(" ", "-")
    flags = (*setting.sized, *plain(setting), *more, "-o", f"{KEY}={beta:g}", "--seeds", str(seeds))
    return accuracies(
        condense("run", "--method", "window", *flags, "--no-baselines", "--out", out, "--force")
    )


def searches(setting: Setting, seed: int) -> list[Row]:
    """What each search finds under ``seed``, its optimiser steps, and what it is worth."""
    bench = bench_of(setting, seed)
    tuned = bench.search(bench.settings)
    size = sum(bench.recipe.budget.counts(bench.part))
    full = training_steps(bench.full.recipe, size)
    assert full is not None
    trials = max(2, round(tuned.cost.steps / full))
    candidates = spaced(bench.range, GUESSES)
    guesses = bench.guessed(candidates)
    # the two samplers begin with the same draws under the same seed
    samplers = (
        optuna.samplers.RandomSampler(seed=2 * seed),
        optuna.samplers.TPESampler(seed=2 * seed + 1),
    )
    random, tpe = (drawn(bench, sampler, trials) for sampler in samplers)
    found = {
        "tune": (tuned.stages[0].best[0], tuned.cost.steps),
        "random": (random, trials * full),
        "tpe": (tpe, trials * full),
        "kernel ridge": (candidates[guesses.index(max(guesses))], 0),
    }
    count, seeds, _ = DEAR.get(setting.data, (PLACES, SEEDS, SEARCHES))
    last = places(setting.fraction, count)[-1]  # fits the whole split, which is a little larger
    return [
        setting.row
        | {"search": name, "seed": seed, "found": min(beta, last), "steps": steps}
        | {"tested": tested(setting, min(beta, last), seeds)}
        for name, (beta, steps) in found.items()
    ]


def bench_of(setting: Setting, seed: int) -> Bench:
    """The validation part of a setting, divided by ``seed``."""
    request = Request(
        "window",
        data=f"npz:{setting.path}",
        fraction=setting.fraction,
        seed=seed,
        assignments=tuple(parse_assignment(word) for word in plain(setting) if word != "-o"),
    )
    recipe = resolve(build_host(external=False), request)
    return Bench(recipe, Settings(key=KEY), torch.device("cpu"))


def drawn(bench: Bench, sampler: optuna.samplers.BaseSampler, trials: int) -> float:
    """The best of ``trials`` places of ``sampler``, each trained once at full length, all alike."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    low, high = bench.range
    study.optimize(
        lambda trial: bench.full((trial.suggest_float("beta", low, high),), 0),
        n_trials=trials,
    )
    return float(study.best_params["beta"])
