"""Rows, tests and tables of a comparison against hand-worked figures and scipy."""

import pytest
from scipy.stats import ttest_rel

from condense.studies.statistics import holm, paired_p


def test_p_of_pairs_is_scipys():
    values, base = [0.91, 0.88, 0.93, 0.90], [0.90, 0.85, 0.91, 0.91]
    assert paired_p(values, base) == pytest.approx(ttest_rel(values, base).pvalue, rel=1e-12)


def test_p_needs_two_pairs():
    assert paired_p([0.9], [0.8]) is None
    assert paired_p([0.9, None], [0.8, 0.7]) is None


@pytest.mark.parametrize(("values", "p"), [([0.5, 0.75], 1.0), ([0.75, 1.0], None)])
def test_p_of_equal_differences(values, p):
    assert paired_p(values, [0.5, 0.75]) == p


def test_holm_by_hand():
    # sorted .01 .02 .03 .5: × 4, × 3, × 2, × 1 = .04 .06 .06 .5
    assert holm([0.03, 0.01, None, 0.5, 0.02]) == pytest.approx([0.06, 0.04, None, 0.5, 0.06])


def test_holm_stays_below_one_and_keeps_the_order():
    assert holm([0.6, 0.4]) == [0.8, 0.8]
    assert holm([]) == []
