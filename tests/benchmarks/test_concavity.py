"""The verdict on a curve's shape, against figures worked out by hand."""

import pytest

from condense.studies.tuning.result import Place


@pytest.fixture
def concavity(load):
    return load("_concavity")


def curve(*rows):
    return [Place(values=(at,), accuracies=values) for at, values in rows]


def test_second_differences_by_hand(concavity):
    # x² at 0, 1, 3 has the second divided difference 1 whatever a seed adds to all three
    places = curve((0, (0, 5)), (1, (1, 6)), (3, (9, 14)))
    assert concavity.second_differences(*places) == [1.0, 1.0]


@pytest.mark.parametrize(
    ("middle", "verdict"),
    [
        ((0.9, 0.92, 0.9), "concave"),
        ((0.5, 0.7, 0.6), "concave within noise"),
        ((0.1, 0.12, 0.1), "not concave"),
    ],
)
def test_whether_a_curve_is_concave(concavity, middle, verdict):
    low = (0.6, 0.61, 0.6)
    found = concavity.shape(curve((1.0, low), (0.5, middle), (0.0, low)))
    assert (found.verdict, found.triples) == (verdict, 1)
    assert found.dents == ((0.5,) if verdict == "not concave" else ())


def test_a_dent_among_many_triples_must_survive_the_correction_for_their_number(concavity):
    # second differences 0.05, 0.06, 0.08 at 1: t = 7.18 of 2 degrees of freedom, p = 0.019
    flat = (0.5, 0.5, 0.5)
    places = curve(
        (0, (0.6, 0.62, 0.66)), (1, flat), (2, flat), (3, (0.51, 0.49, 0.502)), (4, flat)
    )
    assert concavity.shape(places[:3]) == concavity.Shape("not concave", (1,), 1)
    assert concavity.shape(places) == concavity.Shape("concave within noise", (), 3)


def test_one_seed_or_two_places_say_nothing_of_the_shape(concavity):
    single = curve((0, (0.5,)), (1, (0.6,)), (2, (0.5,)))
    assert concavity.shape(single).verdict == concavity.UNKNOWN
    pair = curve((0, (0.5, 0.6)), (1, (0.6, 0.5)))
    assert concavity.shape(pair).verdict == concavity.UNKNOWN
