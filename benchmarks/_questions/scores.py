"""Question 2, which score: each with its own best window, under label noise.

The window is chosen on a validation part of the (noisy) training split; the test split is clean.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterator, Sequence
from functools import partial

from safetensors.torch import load_file

from _questions.commands import Piece, Row, condense
from _questions.settings import HELD_OUT, TABLES, Setting, Sources
from _questions.window import places, scan, tested
from condense.engine.training.ranking import rank_correlation

SCORERS = (
    "cscore", "forgetting", "el2n", "aum", "grand", "entropy", "loss", "dual", "tdds", "knn",
)  # fmt: skip
FEW = ("cscore", "forgetting", "el2n", "aum", "knn")
WINDOWS = 8
SEEDS = 3
# sets, sizes, shares of flipped labels, scores; how scores agree is asked at the last size
PLAN = (
    (TABLES, (0.01, 0.05, 0.2), (0.0, 0.1, 0.2, 0.4), SCORERS),
    (("digits",), (0.2, 0.05), (0.0, 0.1, 0.2, 0.4), SCORERS),
    (("mnist", "cifar10"), (0.05,), (0.0, 0.2), FEW),
)


def pieces(sources: Sources) -> Iterator[Piece]:
    """The choice of each score's window and what it is worth; how scores agree."""
    for sets, fractions, noises, scorers in PLAN:
        for setting in sources.settings(sets, fractions, noises):
            for scorer in scorers:
                yield Piece(f"{setting} {scorer}", partial(chosen, setting, scorer))
        for setting in sources.settings(sets, fractions[-1:], noises):
            yield Piece(f"{setting} agreement", partial(agreement, setting, scorers))


def chosen(setting: Setting, scorer: str) -> list[Row]:
    """Validation accuracies of every window, and test accuracies of the best of them; every seed
    has scores of its own."""
    values = ",".join(f"{beta:g}" for beta in places(setting.fraction, WINDOWS))
    by = ("-o", f"scorer={scorer}")
    part = ("--validation", f"{HELD_OUT:g}", *by)
    each = [scan(setting, seed, values, *part) for seed in range(SEEDS)]
    curve = {beta: [one[beta] for one in each] for beta in each[0]}
    best = max(curve, key=lambda beta: statistics.fmean(curve[beta]))
    found = {"scorer": scorer, "beta": best, "curve": curve}
    return [setting.row | found | {"accuracies": tested(setting, best, SEEDS, *by)}]


def agreement(setting: Setting, scorers: Sequence[str]) -> list[Row]:
    """What ``condense score --compare`` says of all scores, and how far the scores of one seed
    rank the samples as those of another do."""
    out = setting.path.with_name(f"scores-{setting.path.stem}")
    narrow = setting.networks("scorer")
    compared = ("--compare", ",".join(scorers), "--out", out / "compared")
    found = condense("score", *setting.flags, *compared, *narrow)
    stable = {}
    for scorer in scorers:
        each = []
        for seed in range(SEEDS):
            place = out / f"{scorer}-{seed}"
            by = ("-o", f"scorer={scorer}", "--seed", str(seed), "--out", place)
            condense("score", *setting.flags, *by, *narrow)
            each.append(load_file(place / "scores.safetensors")["scores"])
        pairs = itertools.combinations(each, 2)
        stable[scorer] = statistics.fmean(rank_correlation(a, b) for a, b in pairs)
    return [setting.row | {"comparison": found, "stable": stable}]
