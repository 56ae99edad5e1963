"""Successive halving over seeds, the same for all; pure functions of what is measured."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import fmean, stdev

from condense.errors import message_of
from condense.places import without_home
from condense.studies.choosing.design import Rung
from condense.studies.statistics import LEVEL, Estimate, difference, t_quantile

Measure = Callable[[str, int], float]  # (name, number of the seed) → accuracy, 0–1
Prepare = Callable[[Sequence[tuple[str, int]]], None]  # of what is to be measured next


@dataclass
class Halved:
    """What came of it.

    Attributes:
        accuracies: by name, one a seed, as far as each got.
        rungs: the last rung of each, from 1.
        errors: of those that failed.
        best: the one of the last rung; None if all of its rung failed.
    """

    accuracies: dict[str, list[float]]
    rungs: dict[str, int] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    best: str | None = None


def unprepared(pairs: Sequence[tuple[str, int]]) -> None:
    """Nothing is done beforehand."""


def halve(
    measure: Measure, names: Sequence[str], rungs: Sequence[Rung], prepare: Prepare = unprepared
) -> Halved:
    """Measure ``names`` under the seeds of a rung, keep the best as many as the next one has.

    Args:
        measure: called once a name and seed.
        names: cheap to dear; of equal means the cheaper goes first.
        rungs: the first takes all.
        prepare: called before a rung, with all that it measures.
    """
    found = Halved({name: [] for name in names})
    alive = list(names)
    for number, rung in enumerate(rungs, 1):
        alive = alive[: rung.candidates]
        seen = {name: len(found.accuracies[name]) for name in alive}
        prepare([(name, seed) for name in alive for seed in range(seen[name], rung.seeds)])
        for name in alive:
            found.rungs[name] = number
            try:
                for seed in range(len(found.accuracies[name]), rung.seeds):
                    found.accuracies[name].append(measure(name, seed))
            except Exception as error:  # noqa: BLE001 – whatever it is, the others go on
                found.errors[name] = without_home(message_of(error))
        alive = [name for name in alive if name not in found.errors]
        alive.sort(key=lambda name: -fmean(found.accuracies[name]))
    found.best = alive[0] if alive else None
    return found


def to_random(
    accuracies: Sequence[float], random: Sequence[float], after: int = 0
) -> Estimate | None:
    """The difference to random subsets, seed by seed, over the seeds of ``accuracies``.

    Args:
        accuracies, random: one a seed, 0–1.
        after: seeds at the start that are left out, as those that the best was chosen on.
    """
    return difference(accuracies[after:], random[after : len(accuracies)])


def with_rows(gain: Estimate, rows: Sequence[float], looks: int) -> Estimate:
    """``gain`` with an interval that is for other held-out samples, too.

    Seeds say how far the mean would move under other seeds, the samples how far on others. The half
    widths of the two, which are as good as independent, add up by their squares. That of the
    samples holds for all candidates at once (Bonferroni), as the best was chosen on them as well.

    Args:
        gain: over seeds, all on the same held-out samples.
        rows: the gain on each of these, mean over the seeds.
        looks: candidates that were compared on them.
    """
    if gain.half is None or len(rows) < 2:
        return gain
    level = 1 - (1 - LEVEL) / looks
    half = t_quantile(len(rows) - 1, level) * stdev(rows) / math.sqrt(len(rows))
    return gain.model_copy(update={"half": math.hypot(gain.half, half)})


def chosen_on(rungs: Sequence[Rung]) -> int:
    """How many seeds had been seen when one candidate was left."""
    return max((rung.seeds for rung in rungs if rung.candidates > 1), default=0)


def is_better(gain: Estimate | None) -> bool:
    """Whether the interval of a difference lies above 0; one seed has none and tells nothing."""
    return gain is not None and gain.low is not None and gain.low > 0
