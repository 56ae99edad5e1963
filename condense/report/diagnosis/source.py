"""What the data say of themselves before anything is trained; a check returns None where all is
well, or where what it needs is not known."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from condense.engine.feature_space.scales import Scale
from condense.results import Finding

MANY, FEW = 20, 2  # classes; samples of the middle one of so many that are no classes
# of a Cauchy distribution some 100; of the tables of docs/domains.md 1 to 4, of one 31
WIDE, RUINED = 10.0, 100.0


def check_class_count(sizes: Sequence[int]) -> Finding | None:
    """Whether the labels are classes, and no number that is to be predicted.

    Args:
        sizes: samples of each class.
    """
    if len(sizes) <= MANY or median(sizes) > FEW:
        return None
    return Finding(
        "many-classes",
        "classes",
        "problem",
        f"there are {len(sizes)} classes for {sum(sizes)} samples, half of them with "
        f"{FEW} or fewer",
        "labels are classes here; of a number to be predicted each value would be one",
        "group such numbers into a few classes, or leave out classes with so few samples",
    )


def check_scale(scale: Scale) -> Finding | None:
    """Whether a few values set the scale that a feature is standardised by."""
    if scale.times < WIDE:
        return None
    return Finding(
        "wide-scale",
        "features",
        "problem" if scale.times >= RUINED else "look",
        f"the standard deviation of feature {scale.feature} is {scale.times:.3g} times that of its "
        f"middle 80 %; the value farthest out is {scale.value:.6g}",
        "a few values set the scale, by which the others hardly differ",
        "look at such values: impute codes for missing ones, clip long tails or take logarithms",
    )
