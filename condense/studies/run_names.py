"""What to call several runs beside one another: by what sets them apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from condense.kinds import STAGES
from condense.options import format_value
from condense.recipe import flatten

Table = Mapping[str, Any]


def run_names(runs: Sequence[tuple[str, Table]]) -> list[str]:
    """One label a run: its method, and what tells it from the other runs of that method.

    ``selmatch policy=full`` beside ``selmatch policy=partial``; a stage whose component differs
    is named by that alone. Runs of equal recipes are numbered.

    Args:
        runs: (method, recipe as in ``recipe.toml``) each.
    """
    flat = [{k: v for k, v in flatten(table).items() if k != "method"} for _, table in runs]
    labels = []
    for (method, _), own in zip(runs, flat, strict=True):
        peers = [other for (name, _), other in zip(runs, flat, strict=True) if name == method]
        labels.append(" ".join([method, *_differences(own, peers)]))
    total, seen = Counter(labels), Counter[str]()
    for place, label in enumerate(labels):
        seen[label] += 1
        if total[label] > 1:
            labels[place] = f"{label} ({seen[label]})"
    return labels


def _differences(own: Table, peers: Sequence[Table]) -> list[str]:
    """``key=value`` of whatever is not the same in all ``peers``."""
    keys = sorted({key for peer in peers for key in peer}, key=_order)
    differing = [key for key in keys if any(peer.get(key) != own.get(key) for peer in peers)]
    swapped = [key for key in differing if key in STAGES or f"{key}." in _prefixes(keys)]
    return [
        f"{key}={format_value(own[key])}"
        for key in differing
        if key in own and not any(key.startswith(f"{other}.") for other in swapped)
    ]


def _prefixes(keys: Sequence[str]) -> set[str]:
    """What stands before a dot in ``keys``, dot included."""
    return {key[: place + 1] for key in keys for place, sign in enumerate(key) if sign == "."}


def _order(key: str) -> tuple[int, str]:
    """Scalars of the recipe first, then its stages in order."""
    stages = list(STAGES)
    head = key.partition(".")[0]
    return (stages.index(head) + 1 if head in stages else 0, key)
