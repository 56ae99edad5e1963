"""What is asked of a shrinking: how much is to be kept, of what, by which methods."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from condense.data import LabeledData
from condense.errors import CondenseError, OptionError, closest
from condense.kinds import RANDOM
from condense.plugin.host import Host
from condense.recipe import Recipe
from condense.resolve import Request
from condense.results import Budget
from condense.studies.binding import Bind
from condense.studies.methods.design import Comparison, make_comparison
from condense.studies.shrinking.sizes import METRICS
from condense.traits import AugmentationTraits, traits_of

FOLDS = 5  # parts of the training split; a seed holds one of them out
LEFT = 1 - 1 / FOLDS  # share of the training split that a seed has to make sets of
METHODS = ("window", "ccs", "facility-location")  # quick, of real samples only
ALL = 1.0  # fraction
STEP = math.sqrt(2)  # between neighbouring sizes, at the closest


@dataclass(frozen=True)
class Shrinking:
    """Everything that is to be done.

    Attributes:
        keep: share of the whole's metric that is to be kept.
        metric: one of :data:`~condense.studies.shrinking.sizes.METRICS`.
        max_fraction: the largest part of the training split that is tried.
        asked: the methods as they were asked for, at ``max_fraction``.
        measured: the same as they are measured on the held-out part: with one network a seed; where
            no method distils, real samples and the whole are trained under one augmentation, the
            recipe's or, where that goes by role, the evaluator's first.
    """

    keep: float
    metric: str
    max_fraction: float
    asked: Comparison
    measured: Comparison

    @property
    def base(self) -> Recipe:
        """That of random subsets."""
        return self.measured.base

    @property
    def methods(self) -> tuple[str, ...]:
        """All that sizes are measured of, random subsets last."""
        return (*self.measured.methods, RANDOM)

    def recipe(self, method: str, fraction: float, seed: int, final: bool = False) -> Recipe:
        """That of ``method`` keeping ``fraction``, as it is measured or, at the end, as asked.

        Raises:
            CondenseError: if that has none.
        """
        entries = (self.asked if final else self.measured).entries
        (entry,) = (one for one in entries if one.method == method)
        if entry.recipe is None:
            raise CondenseError(entry.error)
        return replace(entry.recipe, seed=seed, budget=Budget(fraction=fraction))


def make_shrinking(
    host: Host,
    request: Request,
    bind: Bind,
    methods: Sequence[str] = (),
    *,
    keep: float,
    metric: str,
    max_fraction: float,
    seeds: int,
) -> Shrinking:
    """What ``request`` asks of all ``methods``; the quick ones by default.

    Raises:
        OptionError: for a value that is not allowed, or methods that cannot be compared.
    """
    if not 0 < keep < 1:
        raise OptionError(f"`keep` must be in (0, 1), got {keep:g}; try `keep=0.95`")
    if metric not in METRICS:
        raise OptionError(
            f"unknown `metric={metric}`{closest(metric, METRICS)} (known: {', '.join(METRICS)})"
        )
    if not 0 < max_fraction < LEFT:
        raise OptionError(
            f"`max-fraction` must be in (0, {LEFT:g}), as each seed holds the rest out, got "
            f"{max_fraction:g}; try `max-fraction=0.5`"
        )
    if seeds < 2:
        raise OptionError(
            f"`seeds={seeds}` says nothing of how trainings differ, which the interval is made of; "
            "give 2 or more, `seeds=5`"
        )
    registered = host.registry("method")
    names = list(methods) or [name for name in METHODS if name in registered]

    def compared(asked: Request) -> Comparison:
        budgets = [Budget(fraction=max_fraction)]
        return make_comparison(host, asked, names, budgets=budgets, seeds=seeds)

    asked = compared(request)
    distils = any(e.recipe is not None and _distils(bind, e.recipe) for e in asked.entries)
    fewer = _one_network(asked.base) | ({} if distils else _one_augmentation(asked.base))
    more = tuple((("evaluator", key), value) for key, value in fewer.items())
    last = () if distils else tuple(g for g in more if g[0][1] != "repeats")
    return Shrinking(
        keep,
        metric,
        max_fraction,
        compared(replace(request, assignments=(*request.assignments, *last))),
        compared(replace(request, assignments=(*request.assignments, *more))),
    )


def _distils(bind: Bind, recipe: Recipe) -> bool:
    try:
        return bind(recipe).matching.needed
    except CondenseError:  # said when the method's turn comes
        return False


def _one_network(recipe: Recipe) -> dict[str, Any]:
    repeats = _option(recipe, "repeats")
    return {"repeats": 1} if isinstance(repeats, int) and repeats > 1 else {}


def _one_augmentation(recipe: Recipe) -> dict[str, Any]:
    """That of sets and the whole alike: the recipe's, unless it goes by role.

    Raises:
        OptionError: where the whole's could not be the same.
    """
    names, own = _option(recipe, "baseline_augmentations"), recipe["augmentation"]
    if not isinstance(names, (list, tuple)):
        return {}
    if traits_of(own.cls, AugmentationTraits).by_role:
        return {"baseline_augmentations": [names[0]]}
    if own.options != own.cls.Options():
        raise OptionError(
            f"`augmentation={own.name}` with options of its own: the whole would be trained "
            "without them; leave them out"
        )
    return {"baseline_augmentations": [own.name]}


def _option(recipe: Recipe, key: str) -> Any:
    return recipe["evaluator"].table.get(key)


def sizes_of(data: LabeledData, most: float) -> list[float]:
    """Fractions that may be tried, from one sample a class up to ``most``, by :data:`STEP`."""
    found, last, fraction = [], len(data) + 1, most
    while True:
        counts = Budget(fraction=fraction).counts(data)
        if sum(counts) < last:
            found.append(fraction)
            last = sum(counts)
        if max(counts) <= 1:
            return found[::-1]
        fraction /= STEP


def fraction_of(data: LabeledData, samples: float) -> float:
    """The least fraction of every class, in five digits, that keeps at least ``samples``."""
    digits = 10.0 ** (5 - math.ceil(math.log10(max(samples / len(data), 1e-9))))
    low, high = 0, math.ceil(digits)
    while high - low > 1:
        middle = (low + high) // 2
        kept = sum(Budget(fraction=min(1.0, middle / digits)).counts(data))
        low, high = (low, middle) if kept >= samples else (middle, high)
    return min(1.0, high / digits)
