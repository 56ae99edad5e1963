"""Curves under common seeds, against figures worked out by hand."""

import pytest

from condense.studies.tuning.curve import (
    CONCAVE,
    NOT_CONCAVE,
    UNKNOWN,
    WITHIN,
    Point,
    ahead,
    apart,
    difference,
    plateau,
    second_difference,
    shape,
)


def curve(*rows):
    return [Point(at, tuple(values)) for at, values in rows]


def test_mean_and_standard_error_by_hand():
    # deviations -0.03, -0.01, 0.01, 0.03: variance 0.002 / 3, over 4
    point = Point(0.5, (0.90, 0.92, 0.94, 0.96))
    assert point.mean == pytest.approx(0.93)
    assert point.standard_error == pytest.approx((0.002 / 12) ** 0.5)
    assert Point(0.5, (0.9,)).standard_error is None


def test_places_are_compared_seed_by_seed_over_the_seeds_both_have():
    one, other = Point(0, (0.51, 0.73, 0.1)), Point(1, (0.50, 0.70))
    mean, error = difference(one, other)  # 0.01 and 0.03: deviations ±0.01
    assert mean == pytest.approx(0.02)
    assert error == pytest.approx(0.01)
    assert (ahead(one, other), ahead(other, one)) == (1, -1)
    assert ahead(Point(0, (0.51, 0.70)), Point(1, (0.50, 0.72))) == 0
    assert ahead(Point(0, (0.5,)), Point(1, (0.4,))) == 1  # one seed is trusted


def test_the_plateau_ends_at_the_first_place_that_is_told_apart():
    points = curve(
        (0.0, (0.80, 0.82)),  # as good as told apart: it lies behind the next
        (0.2, (0.70, 0.71)),
        (0.4, (0.81, 0.80)),
        (0.6, (0.80, 0.83)),
        (0.8, (0.83, 0.79)),
        (1.0, (0.60, 0.60)),
    )
    assert plateau(points, points[3]) == (0.4, 0.8)
    assert plateau(points[:1], points[0]) == (0.0, 0.0)


def test_the_highest_places_that_keep_a_distance():
    points = curve((0.1, (5,)), (0.15, (9,)), (0.2, (7,)), (0.5, (6,)), (0.9, (1,)))
    assert [p.at for p in apart(points, 3, 0.05)] == [0.15, 0.2, 0.5]
    assert [p.at for p in apart(points, 3, 0.1)] == [0.15, 0.5, 0.9]
    assert [p.at for p in apart(points, 1, 0.1)] == [0.15]


def test_second_differences_by_hand():
    # x² at 0, 1, 3 has the second divided difference 1 whatever a seed adds to all three
    points = curve((0, (0, 5)), (1, (1, 6)), (3, (9, 14)))
    found = second_difference(*points)
    assert (found.mean, found.half, found.n) == (1.0, 0.0, 2)


@pytest.mark.parametrize(
    ("middle", "verdict"),
    [
        ((0.9, 0.91, 0.9), CONCAVE),
        ((0.5, 0.7, 0.6), WITHIN),
        ((0.1, 0.11, 0.1), NOT_CONCAVE),
    ],
)
def test_whether_a_curve_is_concave(middle, verdict):
    low = (0.6, 0.61, 0.6)
    found = shape(curve((1.0, low), (0.5, middle), (0.0, low)))
    assert (found.verdict, found.triples) == (verdict, 1)
    assert found.dents == ((0.5,) if verdict == NOT_CONCAVE else ())


def test_one_seed_or_two_places_say_nothing_of_the_shape():
    assert shape(curve((0, (0.5,)), (1, (0.6,)), (2, (0.5,)))).verdict == UNKNOWN
    assert shape(curve((0, (0.5, 0.6)), (1, (0.6, 0.5)))).verdict == UNKNOWN
