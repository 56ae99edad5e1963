"""Question 3: what more images and classes take and give."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from results_table import table

from _questions.answers.common import NOTHING, Rows
from _questions.commands import Row
from _questions.scale import SIZES


@dataclass(frozen=True)
class Cost:
    """What a run takes.

    Attributes:
        stages: seconds of each.
        memory: at its peak, MB.
    """

    stages: dict[str, float]
    memory: float

    @property
    def seconds(self) -> float:
        return sum(self.stages.values())


def scale_table(rows: Rows, sizes: Sequence[tuple[int, int]] = SIZES) -> str:
    """Seconds of the stages, memory and gain by size; what was not run is forecast."""
    done = {(row["samples"], row["classes"]): row for row in rows}
    lines = []
    for samples, classes in sizes:
        row = done.get((samples, classes))
        cost = forecast(rows, samples, classes) if row is None else cost_of(row)
        if cost is not None:
            stages = (f"{stage} {spent:,.0f}" for stage, spent in cost.stages.items() if spent >= 1)
            took = (f"{cost.seconds:,.0f}", ", ".join(stages), f"{cost.memory:,.0f}")
            arms = ("forecast", "forecast") if row is None else map(_percent, arms_of(row))
            lines.append((f"{samples:,}", str(classes), *took, *arms))
    head = ("images", "classes", "seconds", "of which", "MB", "SelMatch, %", "random, %")
    return table(head, lines) if rows else NOTHING


def forecast(rows: Rows, samples: int, classes: int) -> Cost | None:
    """Each stage's seconds and the memory on the line through the two largest runs with so many
    classes, no less than at the larger; None where there are not two."""
    known = sorted((r for r in rows if r["classes"] == classes), key=lambda r: r["samples"])[-2:]
    if len(known) < 2:
        return None
    few, many = (row["samples"] for row in known)
    less, more = map(cost_of, known)
    along = (samples - few) / (many - few)

    def line(low: float, high: float) -> float:
        return max(high, low + along * (high - low))

    stages = {stage: line(less.stages[stage], spent) for stage, spent in more.stages.items()}
    return Cost(stages, line(less.memory, more.memory))


def cost_of(row: Row) -> Cost:
    """Of a run."""
    stages = {stage: lap["seconds"] for stage, lap in row["stages"].items()}
    return Cost(stages, row["peak_memory_mb"])


def arms_of(row: Row) -> tuple[float, float]:
    """Accuracy of SelMatch and of random samples."""
    return row["accuracy"]["mean"], row["baselines"]["random"]["mean"]


def _percent(accuracy: float) -> str:
    return f"{100 * accuracy:.1f}"
