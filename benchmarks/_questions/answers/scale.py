"""Question 3: what more images and classes take and give."""

from __future__ import annotations

from collections.abc import Sequence

from results_table import table

from _questions.answers.common import NOTHING, Rows
from _questions.commands import Row
from _questions.scale import SIZES


def scale_table(rows: Rows, sizes: Sequence[tuple[int, int]] = SIZES) -> str:
    """Seconds of the stages, memory and gain by size; what was not run is forecast."""
    done = {(row["samples"], row["classes"]): row for row in rows}
    lines = []
    for size in sizes:
        if size in done:
            lines.append(_measured(done[size]))
        elif (found := forecast(rows, *size)) is not None:
            lines.append((*_first(*size, found[0]), f"{found[1]:,.0f}", "forecast", "forecast"))
    head = ("images", "classes", "seconds", "of which", "MB", "SelMatch, %", "random, %")
    return table(head, lines) if rows else NOTHING


def forecast(rows: Rows, samples: int, classes: int) -> tuple[dict[str, float], float] | None:
    """Seconds of the stages and memory (MB): each on the line through the two largest runs with
    so many classes, no less than at the larger; None where there are not two."""
    known = sorted((r for r in rows if r["classes"] == classes), key=lambda r: r["samples"])[-2:]
    if len(known) < 2:
        return None
    (few, less), (many, more) = ((row["samples"], seconds_of(row)) for row in known)
    along = (samples - few) / (many - few)

    def line(low: float, high: float) -> float:
        return max(high, low + along * (high - low))

    memory = (row["peak_memory_mb"] for row in known)
    return {stage: line(less[stage], more[stage]) for stage in more}, line(*memory)


def seconds_of(row: Row) -> dict[str, float]:
    """Of each stage."""
    return {stage: lap["seconds"] for stage, lap in row["stages"].items()}


def _measured(row: Row) -> tuple[str, ...]:
    told = (row["accuracy"], row["baselines"]["random"])
    shown = (f"{100 * one['mean']:.1f}" for one in told)
    first = _first(row["samples"], row["classes"], seconds_of(row))
    return (*first, f"{row['peak_memory_mb']:,.0f}", *shown)


def _first(samples: int, classes: int, stages: dict[str, float]) -> tuple[str, ...]:
    each = ", ".join(f"{stage} {seconds:,.0f}" for stage, seconds in stages.items() if seconds >= 1)
    return f"{samples:,}", str(classes), f"{sum(stages.values()):,.0f}", each
