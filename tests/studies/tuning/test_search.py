"""Golden section under noise: against the textbook's, and on concave curves whose top is known."""

import math
import random

import pytest

from condense.studies.tuning.search import (
    DONE,
    LIMIT,
    NARROW,
    NOISE,
    climb,
    golden_section,
    spaced,
    sweep,
)


def recorded(curve, noise=0.0, run=0):
    """``curve`` under seeded noise, and the list of what was asked."""
    asked = []

    def evaluate(at, number):
        asked.append((at, number))
        return curve(at) + noise * random.Random(f"{run}/{at}/{number}").gauss(0, 1)

    return evaluate, asked


def textbook(curve, low, high, tolerance):
    """The bracket of golden section as it is printed in textbooks; no evaluation is re-used."""
    ratio = (math.sqrt(5) - 1) / 2
    while high - low > tolerance:
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        if curve(left) > curve(right):
            high = right
        else:
            low = left
    return low, high


def skewed(at):
    """Concave, top at 0.37, falling steeper to the right."""
    return -((at - 0.37) ** 2) if at < 0.37 else -3 * (at - 0.37) ** 2


def test_without_noise_it_is_the_textbooks():
    evaluate, asked = recorded(skewed)
    found = golden_section(evaluate, 0, 1, tolerance=0.01)
    assert found.bracket == pytest.approx(textbook(skewed, 0, 1, 0.01), abs=1e-12)
    assert found.stop == NARROW
    # two places, then one for each of the ⌈log 0.01 / log 0.618⌉ = 10 narrowings but the last
    assert len(asked) == found.evaluations == 2 + 9
    assert abs(found.best.at - 0.37) < 0.01


def test_nothing_is_asked_twice_or_outside():
    evaluate, asked = recorded(skewed, noise=0.01)
    found = golden_section(evaluate, 0.2, 0.9, tolerance=0.05, seeds=3, most=6, places=3)
    assert len(asked) == len(set(asked)) == found.evaluations
    assert all(0.2 <= at <= 0.9 and round(at, 3) == at for at, _ in asked)
    seeds = {at: [n for a, n in asked if a == at] for at, _ in asked}
    assert all(numbers == list(range(len(numbers))) for numbers in seeds.values())
    assert {len(numbers) for numbers in seeds.values()} <= {3, 4, 5, 6}
    assert [p.at for p in found.points] == sorted(seeds)
    assert found.best in found.points


@pytest.mark.parametrize("noise", [0.002, 0.01, 0.03])
def test_noise_costs_less_than_it_hides_and_takes_less_than_a_grid(noise):
    """Concave curve, top 0: on average the place found loses less than the standard error of one
    place under 5 seeds, at 60 % of the evaluations of 10 places under 5."""

    def curve(at):
        return -0.3 * (at - 0.37) ** 2

    lost, spent = [], []
    for run in range(60):
        evaluate, asked = recorded(curve, noise, run)
        found = golden_section(evaluate, 0, 0.95, tolerance=0.05, seeds=3, most=6, places=3)
        lost.append(-curve(found.best.at))
        spent.append(len(asked))
    assert sum(lost) / len(lost) < noise / math.sqrt(5)
    assert sum(spent) / len(spent) < 0.7 * 50


def test_a_flat_curve_stops_at_once_and_is_one_plateau():
    # seed noise that is common to all places, as on a curve without any effect
    found = golden_section(lambda at, n: n / 10, 0, 1, tolerance=0.01, seeds=3, most=4)
    assert found.stop == NOISE
    assert found.bracket == (0, 1)
    assert found.plateau == (0, 1)
    assert all(len(p.values) == 4 for p in found.points)


def test_inner_places_of_equal_height_have_the_top_between_them():
    def curve(at):
        return -abs(at - 0.5)

    found = golden_section(lambda at, n: curve(at), 0, 1, tolerance=0.3, seeds=2, most=2, places=3)
    assert found.bracket == pytest.approx((0.382, 0.618), abs=1e-3)
    assert found.best.at == 0.5


@pytest.mark.parametrize(("slope", "end"), [(1, 1.0), (-1, 0.0)])
def test_a_top_at_the_end_of_the_range_is_found_there(slope, end):
    found = golden_section(lambda at, n: slope * at, 0.0, 1.0, tolerance=0.1)
    assert found.best.at == end
    assert end in found.bracket


def test_seeds_are_added_only_where_they_are_needed():
    evaluate, asked = recorded(lambda at: 0)
    flat = golden_section(evaluate, 0, 1, tolerance=0.5, seeds=2, most=5)
    assert {len(p.values) for p in flat.points} == {5}
    evaluate, asked = recorded(skewed)
    steep = golden_section(evaluate, 0, 1, tolerance=0.3, seeds=2, most=5)
    assert {n for _, n in asked} == {0, 1}
    assert {len(p.values) for p in steep.points} == {2}


def test_after_a_scan_the_highest_of_several_tops_is_found():
    def curve(at):  # a broad top at 0.7, a narrow and higher one at 0.21
        return max(-((at - 0.7) ** 2), 0.1 - 5 * abs(at - 0.21))

    plain = golden_section(lambda at, n: curve(at), 0, 0.9, tolerance=0.02, places=3)
    assert plain.best.at == pytest.approx(0.7, abs=0.02)
    evaluate, asked = recorded(curve)
    found = golden_section(evaluate, 0, 0.9, tolerance=0.02, scan=10, places=3)
    assert found.best.at == pytest.approx(0.21, abs=0.02)
    assert {at for at, _ in asked[:10]} == {i / 10 for i in range(10)}
    assert all(0.1 <= at <= 0.3 for at, _ in asked[10:])


def test_narrowing_starts_wider_where_noise_hides_the_top_of_the_scan():
    # 0.4 and 0.6 differ by less than their paired standard error, which more seeds do not mend
    heights = {0.0: 0.0, 0.2: 0.5, 0.4: 0.9, 0.6: 0.9, 0.8: 0.5, 1.0: 0.0}

    asked = []

    def evaluate(at, number):
        asked.append(at)
        if at in heights:
            return heights[at] + (0.01 * (-1) ** number if at == 0.4 else 0.0)
        return 0.95 - abs(at - 0.5)

    golden_section(evaluate, 0.0, 1.0, tolerance=0.3, seeds=2, most=4, scan=6, places=3)
    first = next(at for at in asked if at not in heights)
    assert first == pytest.approx(0.8 - (math.sqrt(5) - 1) / 2 * 0.6, abs=1e-3)  # of (0.2, 0.8)


def test_the_limit_of_evaluations_holds():
    evaluate, asked = recorded(skewed)
    found = golden_section(evaluate, 0, 1, tolerance=1e-9, seeds=2, most=2, limit=9)
    assert len(asked) == 9
    assert found.stop == LIMIT
    assert all(len(p.values) == 2 for p in found.points)


def test_climbing_goes_uphill_until_the_top_is_inside():
    found = climb(lambda at, n: -((at - 0.85) ** 2), 0.2, 0.2, 0, 1)
    assert [p.at for p in found.points] == [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert found.best.at == 0.8
    inner = climb(lambda at, n: -((at - 0.5) ** 2), 0.5, 0.2, 0, 1)
    assert [p.at for p in inner.points] == [0.3, 0.5, 0.7]
    assert inner.best.at == 0.5
    edge = climb(lambda at, n: at, 0.95, 0.2, 0, 1)
    assert [p.at for p in edge.points] == [0.75, 0.95, 1.0]


def test_a_sweep_asks_what_it_is_told():
    evaluate, asked = recorded(skewed)
    found = sweep(evaluate, [0.5, 0.25], seeds=2)
    assert sorted(asked) == [(0.25, 0), (0.25, 1), (0.5, 0), (0.5, 1)]
    assert (found.best.at, found.stop) == (0.25, DONE)


def test_spaced_places_hold_both_ends():
    assert spaced(0, 0.9, 4) == pytest.approx([0, 0.3, 0.6, 0.9])
    assert spaced(0, 1 / 3, 3, places=2) == [0, 0.17, 0.33]
