"""The four measures of DD-Ranking (github.com/NUS-HPC-AI-Lab/DD-Ranking), in fractions.

They part what a set is worth from what its labels and its augmentation are worth. The released code
puts accuracies in per cent into formulas that are normalised for 0–1, so that its LRS of an HLR of
10 and an IOR of 20 points is 63, and picks the best epoch on the test set; here every accuracy is
one of the last epoch, in 0–1, and the two scores lie in 0–1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from condense.errors import OptionError


@dataclass(frozen=True)
class LabelRobustness:
    """How much of a set's worth is not its labels'.

    Attributes:
        hlr: hard label recovery, accuracy of the whole split under hard labels minus the set's;
            lower is better.
        ior: improvement over random, accuracy of the set under its own labels minus that of a
            random subset of its size under the same; higher is better.
        weight: of ``ior`` against ``hlr``, in 0–1.
    """

    hlr: float
    ior: float
    weight: float = 0.5

    @staticmethod
    def of(
        *, whole_hard: float, own_hard: float, own: float, random: float, weight: float = 0.5
    ) -> LabelRobustness:
        """Of accuracies in 0–1: under hard labels, and under those that the set is meant for.

        Raises:
            OptionError: for one outside 0–1.
        """
        _check_shares(whole_hard, own_hard, own, random, weight)
        return LabelRobustness(whole_hard - own_hard, own - random, weight)

    @property
    def lrs(self) -> float:
        """Label robust score, 0–1, higher is better; 0.27 where nothing is gained and lost."""
        return _normalised(self.weight * self.ior - (1 - self.weight) * self.hlr)


@dataclass(frozen=True)
class AugmentationRobustness:
    """How much of a set's gain over random subsets is left without augmentation.

    Attributes:
        augmented: accuracy of the set minus that of a random subset, both augmented.
        plain: likewise, neither augmented.
        weight: of ``augmented`` against ``plain``, in 0–1.
    """

    augmented: float
    plain: float
    weight: float = 0.5

    @staticmethod
    def of(
        *,
        own_augmented: float,
        random_augmented: float,
        own_plain: float,
        random_plain: float,
        weight: float = 0.5,
    ) -> AugmentationRobustness:
        """Of accuracies in 0–1.

        Raises:
            OptionError: for one outside 0–1.
        """
        _check_shares(own_augmented, random_augmented, own_plain, random_plain, weight)
        return AugmentationRobustness(
            own_augmented - random_augmented, own_plain - random_plain, weight
        )

    @property
    def ars(self) -> float:
        """Augmentation robust score, 0–1, higher is better; 0.27 where nothing is gained."""
        return _normalised(self.weight * self.augmented + (1 - self.weight) * self.plain)


def _normalised(gain: float) -> float:
    """(e^gain − e⁻¹)/(e − e⁻¹): 0 at −1 and 1 at 1."""
    return (math.exp(gain) - math.exp(-1)) / (math.exp(1) - math.exp(-1))


def _check_shares(*values: float) -> None:
    for value in values:
        if not 0 <= value <= 1:
            raise OptionError(
                f"accuracies and weights must be in 0–1, not in per cent, got {value:g}; divide "
                "by 100"
            )
