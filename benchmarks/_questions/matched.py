"""Questions 5 to 7: where a set starts from, how much of it is updated, how it is augmented.

The window is the paper's, with the β that it has for the same share of CIFAR-10. Every seed has
scores, experts and a network of its own. The sets of questions 6 and 7 are the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from _questions.commands import Piece, Row, accuracies, condense
from _questions.settings import IMAGES, MATCHED, ONE_SIZE, Setting, Sources

BETAS = {0.05: 0.5, 0.2: 0.2}  # by fraction; arXiv 2406.18561 at 250 and 1 000 of 5 000 a class
ITERATIONS = 100
SNAPSHOTS = [25, 50]
MATCHER = ("-o", f"matcher.iterations={ITERATIONS}")
OPTIONS = ("-o", "evaluator.repeats=1", "--no-baselines")
STARTS = ("window", "random", "easiest", "hardest")
START_SEEDS = 5
ALPHAS = (0.2, 0.4, 0.6, 0.8, 1.0)
SEEDS = 8
AUGMENTATIONS = ("combined", "dsa", "simple")


def settings(sources: Sources) -> Iterator[Setting]:
    """Data and sizes that sets are matched of."""
    for setting in sources.settings(MATCHED, tuple(BETAS)):
        if setting.data not in ONE_SIZE or setting.fraction == min(BETAS):
            yield setting


def window(setting: Setting) -> tuple[str, ...]:
    """The paper's, at its published place."""
    return ("-o", "selector.width=null", "-o", f"selector.beta={BETAS[setting.fraction]:g}")


def starts(sources: Sources) -> Iterator[Piece]:
    """Question 5: every start, matched and as it is, under one augmentation."""
    for setting in settings(sources):
        for start in STARTS:
            yield Piece(f"{setting} from {start}", partial(started, sources, setting, start))


def started(sources: Sources, setting: Setting, start: str) -> list[Row]:
    """Test accuracies, all samples matched and none, a row each.

    All are updated, as which of them a partial update leaves goes by the order of the selection,
    which has no meaning in a random one.
    """
    chosen = window(setting) if start == "window" else ("-o", f"selector={start}")
    out = sources.work / "sets" / f"{setting.path.stem}-{setting.fraction:g}-{start}"
    common = (*setting.sized, *OPTIONS, *chosen, *setting.augmented, "--seeds", str(START_SEEDS))
    common += setting.networks("scorer", "evaluator")
    matching = (*MATCHER, *setting.networks("matcher"))
    found = []
    for matcher, swapped in (("trajectory", matching), ("none", ("-o", "matcher=none"))):
        flags = (*common, "-o", "policy=full", *swapped, "--out", f"{out}-{matcher}", "--force")
        told = condense("run", "--method", "selmatch", *flags)
        found.append(
            setting.row | {"start": start, "matcher": matcher} | {"accuracies": accuracies(told)}
        )
    return found


def updates(sources: Sources) -> Iterator[Piece]:
    """Questions 6 and 7: a set for every α and seed, its coverage, its accuracy by difficulty."""
    for setting in settings(sources):
        for seed in range(SEEDS):
            for alpha in ALPHAS:
                name = f"{setting} alpha {alpha:g} seed {seed}"
                yield Piece(name, partial(updated, sources, setting, alpha, seed))


def updated(sources: Sources, setting: Setting, alpha: float, seed: int) -> list[Row]:
    """One row: coverage by iteration, accuracy by augmentation, each of all, easy and hard."""
    made = sources.work / "sets" / f"{setting.path.stem}-{setting.fraction:g}-{alpha:g}-{seed}"
    options = ("-o", f"policy.alpha={alpha:g}", "-o", f"matcher.snapshots={SNAPSHOTS}")
    options += setting.networks("scorer", "matcher", "evaluator")
    seeded = ("--seed", str(seed), "--out", made, "--force")
    condense(
        *("run", "--method", "selmatch", *setting.sized),
        *(*OPTIONS, *MATCHER, *window(setting), *options, *seeded),
    )
    covered = condense("coverage", made, *setting.flags, "--out", sources.work / "covered")
    run = covered["runs"][0]
    halves = ("iteration", "all", "easy", "hard")
    names = AUGMENTATIONS if setting.data in IMAGES else ("none",)
    return [
        setting.row
        | {"alpha": alpha, "seed": seed}
        | {"coverage": [{key: at[key] for key in halves} for at in run["iterations"]]}
        | {"accuracy": {name: by_difficulty(made, setting, name) for name in names}}
    ]


def by_difficulty(made: Path, setting: Setting, augmentation: str) -> dict[str, float]:
    """Accuracy on all, easy and hard test samples."""
    options = ("--by-difficulty", "-o", f"augmentation={augmentation}")
    found: dict[str, float] = condense("evaluate", made, *setting.flags, *options)["by_difficulty"]
    return found
