"""What the answers have in common: verdicts, figures with their intervals, rows by setting.

A setting – a data set at a size – is the unit: a difference is taken seed by seed within it, its
mean counts once, and the interval is over the settings. Accuracies are 0–1 in rows, % in tables.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from _questions.commands import Row
from condense.studies.statistics import Estimate, difference, estimate

SUPPORTED, REFUTED, OPEN = "supported", "not supported", "not resolved"
NOTHING = "Not run yet."
Rows = Sequence[Row]
Key = tuple[Any, ...]


def verdict(found: Estimate | None, least: float = 0.0) -> str:
    """Of "it is above ``least``": supported where the interval is, refuted where it lies below."""
    if found is None or found.low is None or found.high is None:
        return OPEN
    return SUPPORTED if found.low > least else REFUTED if found.high < least else OPEN


def points(found: Estimate | None, digits: int = 1) -> str:
    """ "+1.2 ± 0.4 (n = 8)": points."""
    if found is None:
        return "–"
    half = "–" if found.half is None else f"{100 * found.half:.{digits}f}"
    return f"{100 * found.mean:+.{digits}f} ± {half} (n = {found.n})"


def answer(found: Estimate | None, what: str, least: float = 0.0) -> str:
    """A line: verdict, effect and its interval, number of settings."""
    return f"**{verdict(found, least).capitalize()}**: {what} {points(found)} points."


def grouped(rows: Iterable[Row], *keys: str) -> dict[Key, list[Row]]:
    """Rows by the values of ``keys``, in order."""
    found: dict[Key, list[Row]] = defaultdict(list)
    for row in rows:
        found[tuple(row[key] for key in keys)].append(row)
    return dict(found)


def over_settings(pairs: Mapping[Key, tuple[Sequence[float], Sequence[float]]]) -> Estimate | None:
    """The paired difference of each setting, then its mean over the settings."""
    each = [difference(own, base) for own, base in pairs.values()]
    return estimate([one.mean for one in each if one is not None])


def name(key: Key) -> str:
    """ "digits, 5 %"."""
    return f"{key[0]}, {100 * key[1]:g} %"
