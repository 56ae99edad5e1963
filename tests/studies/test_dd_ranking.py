"""DD-Ranking's four measures against figures worked by hand."""

import math

import pytest

from condense.errors import OptionError
from condense.studies.dd_ranking import AugmentationRobustness, LabelRobustness


def test_label_robustness_by_hand():
    found = LabelRobustness.of(whole_hard=0.80, own_hard=0.70, own=0.75, random=0.60)
    assert found.hlr == pytest.approx(0.10)
    assert found.ior == pytest.approx(0.15)
    # α = 0.5·0.15 − 0.5·0.10 = 0.025; e^0.025 = 1.025315, e⁻¹ = 0.367879, e = 2.718282
    assert found.lrs == pytest.approx((1.025315 - 0.367879) / (2.718282 - 0.367879), abs=1e-6)
    assert found.lrs == pytest.approx(0.279712, abs=1e-5)


def test_augmentation_robustness_by_hand():
    found = AugmentationRobustness.of(
        own_augmented=0.70, random_augmented=0.60, own_plain=0.50, random_plain=0.52, weight=0.25
    )
    assert (found.augmented, found.plain) == (pytest.approx(0.10), pytest.approx(-0.02))
    # β = 0.25·0.10 − 0.75·0.02 = 0.01; e^0.01 = 1.010050
    assert found.ars == pytest.approx((1.010050 - 0.367879) / 2.350402, abs=1e-6)


def test_both_scores_lie_in_0_to_1_and_reach_the_ends():
    worst = {"whole_hard": 1.0, "own_hard": 0.0, "own": 0.0, "random": 1.0}
    best = {"whole_hard": 0.0, "own_hard": 1.0, "own": 1.0, "random": 0.0}
    assert LabelRobustness.of(**worst).lrs == pytest.approx(0.0, abs=1e-12)
    assert LabelRobustness.of(**best).lrs == pytest.approx(1.0)
    names = ("own_augmented", "random_augmented", "own_plain", "random_plain")
    ends = ((0.0, 1.0, 0.0, 1.0), (1.0, 0.0, 1.0, 0.0))
    found = [AugmentationRobustness.of(**dict(zip(names, e, strict=True))).ars for e in ends]
    assert found == [pytest.approx(0.0, abs=1e-12), pytest.approx(1.0)]
    nothing = (1 - math.exp(-1)) / (math.exp(1) - math.exp(-1))
    assert LabelRobustness(0.0, 0.0).lrs == AugmentationRobustness(0.0, 0.0).ars == nothing
    assert nothing == pytest.approx(0.27, abs=0.005)


def test_only_one_of_the_two_counts_at_the_ends_of_the_weight():
    accuracies = {"whole_hard": 0.8, "own_hard": 0.5, "own": 0.7, "random": 0.6}
    by_weight = [LabelRobustness.of(**accuracies, weight=w).lrs for w in (0.0, 1.0)]
    alone = [LabelRobustness(0.3, 0.0, 0.0).lrs, LabelRobustness(0.0, 0.1, 1.0).lrs]
    assert by_weight == pytest.approx(alone)


def test_per_cent_are_refused():
    with pytest.raises(OptionError, match="in 0–1, not in per cent, got 80"):
        LabelRobustness.of(whole_hard=80, own_hard=0.7, own=0.7, random=0.6)
    with pytest.raises(OptionError, match=r"got -0\.1"):
        AugmentationRobustness.of(
            own_augmented=-0.1, random_augmented=0.6, own_plain=0.5, random_plain=0.5
        )
