"""What the data say of themselves, by hand-made data and a distribution's own figures."""

import numpy as np
import pytest

from condense import labeled_data
from condense.engine.feature_space.scales import Scale, widest_scale
from condense.report.diagnosis.source import check_class_count, check_scale
from condense.report.diagnosis.tested import check_whole
from condense.results import Evaluation


def test_a_number_to_be_predicted_is_no_class():
    assert check_class_count([1] * 100 + [5] * 90).code == "many-classes"
    assert check_class_count([4] * 300) is None
    assert check_class_count([1] * 20) is None


def features(values, columns=3):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(len(values), columns))
    X[:, 1] = values
    return labeled_data(X, np.arange(len(X)) % 2)


def test_a_normal_feature_has_the_scale_of_its_middle():
    found = widest_scale(features(np.random.default_rng(1).normal(50, 7, 4000)))
    assert found.times == pytest.approx(1, abs=0.05)
    assert check_scale(found) is None


def test_a_code_for_missing_values_sets_the_scale():
    values = np.random.default_rng(1).normal(5, 1, 1000)
    values[::20] = -999
    found = widest_scale(features(values))
    # 5 % lie 1 004 off: √(0.05 · 0.95) · 1 004 = 219; the deciles are those of the other 95 %
    assert found.times == pytest.approx(219, rel=0.1)
    assert (found.feature, found.value) == ("1", -999)
    told = check_scale(found)
    assert (told.code, told.severity) == ("wide-scale", "problem")
    assert "feature 1 is" in told.seen
    assert "-999" in told.seen


@pytest.mark.parametrize("every", [20, 9, 5])
def test_features_that_are_mostly_equal_have_none(every):
    rare = np.zeros((100, 2))
    rare[::every] = np.linspace(1, 1e6, len(rare[::every]))[:, None]
    assert widest_scale(labeled_data(rare, np.arange(100) % 2)) is None


def test_constants_but_for_rounding_and_images_have_none():
    ones = 1 + 6e-8 * np.random.default_rng(0).normal(size=(100, 2)).astype("f4")
    assert widest_scale(labeled_data(ones.astype("f4"), np.arange(100) % 2)) is None
    images = np.zeros((4, 3, 3), np.uint8)
    assert widest_scale(labeled_data(images, [0, 1, 0, 1])) is None


@pytest.mark.parametrize(("times", "severity"), [(9.9, None), (10, "look"), (100, "problem")])
def test_how_wide_is_a_problem(times, severity):
    found = check_scale(Scale("'age'", 1e9, times))
    assert (None if found is None else found.severity) == severity


@pytest.mark.parametrize(
    ("rates", "sizes", "expected"),
    [
        # guesses are right about 0.5 of 100, with a standard error of 0.05
        ((0.59, 0.59), (50, 50), True),
        ((0.61, 0.61), (50, 50), False),
        ((1.0, 0.0), (1990, 10), True),  # always the largest class
        ((1.0, 1.0), (97, 3), False),
        ((0.999, 0.2), (9900, 100), False),  # no more right than a guess, but it knows something
        ((1.0, 1.0), (2, 2), False),  # too few to say
        ((1.0,), (6,), False),
        ((0.5, 0.5), (), False),  # nobody knows
    ],
)
def test_whether_the_whole_teaches_anything(rates, sizes, expected):
    counts = sizes or (1,) * len(rates)
    mean = sum(r * n for r, n in zip(rates, counts, strict=True)) / sum(counts)
    whole = Evaluation((mean,), per_class=rates, class_sizes=sizes)
    found = check_whole(whole, {"whole": whole})
    assert (found is not None) == expected
    if expected:
        assert found.code == "whole-at-chance"
        assert f"makes {max(sizes) / sum(sizes):.1%}" in found.seen
        assert "any set is as good as another" in found.means
        better = Evaluation((1.0,), per_class=(1.0, 1.0), class_sizes=sizes)
        found = check_whole(better, {"random": whole, "whole": whole})
        assert found.means == "those trained on this set know more, so it is no measure of them"
