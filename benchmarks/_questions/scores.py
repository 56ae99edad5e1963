"""Question 2, which score: each with its own best window, under label noise.

The window is chosen on a validation part of the (noisy) training split; the test split is clean.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from functools import partial

from _questions.commands import Piece, Row, condense
from _questions.settings import TABLES, Setting, Sources
from _questions.window import KEY, places, plain

SCORERS = (
    "cscore", "forgetting", "el2n", "aum", "grand", "entropy", "loss", "dual", "tdds", "knn",
)  # fmt: skip
FEW = ("cscore", "forgetting", "el2n", "aum", "knn")
WINDOWS = 8
SEEDS = 3
# sets, sizes, shares of flipped labels, scores: what two cores do in some hours
PLAN = (
    ((*TABLES, "digits"), (0.05, 0.2), (0.0, 0.1, 0.2, 0.4), SCORERS),
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
    """Validation accuracies of every window, and test accuracies of the best of them."""
    values = ",".join(f"{beta:g}" for beta in places(setting.fraction, WINDOWS))
    common = (*setting.sized, "-o", f"scorer={scorer}", *plain(), "--seeds", str(SEEDS))
    scan = condense("ablate", "window", *common, "--vary", f"{KEY}={values}", "--validation", "0.2")
    curve = {
        float(cell["values"][KEY]): cell["accuracies"] for cell in scan["cells"] if cell["in_grid"]
    }
    best = max(curve, key=lambda beta: statistics.fmean(curve[beta]))
    out = setting.path.parent / "sets" / f"{setting}-{scorer}".replace(" ", "-")
    last = ("-o", f"{KEY}={best:g}", "--no-baselines", "--out", out, "--force")
    runs = condense("run", "--method", "window", *common, *last)["runs"]
    return [
        setting.row
        | {"scorer": scorer, "beta": best, "curve": curve}
        | {"accuracies": [run["accuracy"]["mean"] for run in runs]}
    ]


def agreement(setting: Setting, scorers: Sequence[str]) -> list[Row]:
    """What ``condense score --compare`` says of all scores."""
    out = setting.path.with_name(f"scores-{setting.path.stem}")
    found = condense("score", *setting.flags, "--compare", ",".join(scorers), "--out", out)
    return [setting.row | {"comparison": found}]
