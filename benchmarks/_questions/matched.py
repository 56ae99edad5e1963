"""Questions 5 to 7: where a set starts from, how much of it is updated, how it is augmented.

The sets of questions 6 and 7 are the same, SelMatch's at 100 iterations.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from _questions.commands import Piece, Row, condense
from _questions.settings import IMAGES, MATCHED, Setting, Sources

FRACTIONS = (0.05, 0.2)
ITERATIONS = 100
SNAPSHOTS = [25, 50]
OPTIONS = ("-o", f"matcher.iterations={ITERATIONS}", "-o", "evaluator.repeats=1")
STARTS = ("window", "random", "easiest", "hardest")
START_SEEDS = 5
ALPHAS = (0.2, 0.4, 0.6, 0.8, 1.0)
SEEDS = 8
AUGMENTATIONS = ("combined", "dsa", "simple")


def starts(sources: Sources) -> Iterator[Piece]:
    """Question 5: every start, matched and as it is, under one augmentation."""
    for setting in sources.settings(MATCHED, FRACTIONS):
        yield Piece(f"{setting} starts", partial(started, setting))


def started(setting: Setting) -> list[Row]:
    """Test accuracies by start and matcher, a row each."""
    vary = ("--vary", f"selector={','.join(STARTS)}", "--vary", "matcher=trajectory,none")
    augmented = ("-o", "augmentation=dsa") if setting.data in IMAGES else ()
    flags = (*setting.sized, *vary, "--seeds", str(START_SEEDS), *OPTIONS, *augmented)
    return [
        setting.row
        | {"start": cell["values"]["selector"], "matcher": cell["values"]["matcher"]}
        | {"accuracies": cell["accuracies"]}
        for cell in condense("ablate", "selmatch", *flags)["cells"]
        if cell["in_grid"]
    ]


def updates(sources: Sources) -> Iterator[Piece]:
    """Questions 6 and 7: a set for every α and seed, its coverage, its accuracy by difficulty."""
    for setting in sources.settings(MATCHED, FRACTIONS):
        for seed in range(SEEDS):
            for alpha in ALPHAS:
                name = f"{setting} alpha {alpha:g} seed {seed}"
                yield Piece(name, partial(updated, sources, setting, alpha, seed))


def updated(sources: Sources, setting: Setting, alpha: float, seed: int) -> list[Row]:
    """One row: coverage by iteration, accuracy by augmentation, each of all, easy and hard."""
    made = sources.work / "sets" / f"{setting.path.stem}-{setting.fraction:g}-{alpha:g}-{seed}"
    options = (*OPTIONS, "-o", f"policy.alpha={alpha:g}", "-o", f"matcher.snapshots={SNAPSHOTS}")
    seeded = ("--seed", str(seed), "--no-baselines", "--out", made, "--force")
    condense("run", "--method", "selmatch", *setting.sized, *options, *seeded)
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
