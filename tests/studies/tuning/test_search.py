"""Scan, zoom and finals: on curves whose top is known, against rules worked out by hand."""

import math
import random

import pytest

from condense.studies.tuning.result import Place
from condense.studies.tuning.search import (
    NARROW,
    NOISE,
    SCAN,
    Evaluations,
    Paired,
    ahead,
    finalists,
    plateau,
    rounded,
    scan_and_zoom,
    search,
)
from condense.studies.tuning.settings import Settings

ENDS = (0.0, 0.9)


def place(at, *accuracies):
    return Place(values=(at,), accuracies=accuracies)


def recorded(curve, noise=0.0, run=0):
    """``curve`` under seeded noise, and the list of what was asked."""
    asked = []

    def evaluate(values, number):
        asked.append((values[0], number))
        draw = random.Random(f"{run}/{values[0]}/{number}").gauss(0, 1)
        return curve(values[0]) + noise * draw

    return evaluate, asked


def zoomed(evaluate, seeds=1, most=1, ends=ENDS):
    table = Paired(evaluate)
    return table, scan_and_zoom(table, ends, seeds, most)


def searched(short, full=None, ranges=(ENDS,), **settings):
    chosen = Settings(**{"key": "selector.beta", "seeds": 2, "max_seeds": 2, **settings})
    return search(short, full, ranges, (0.5,) * len(ranges), chosen, 0)


def test_mean_and_standard_error_by_hand():
    # deviations -0.03, -0.01, 0.01, 0.03: variance 0.002 / 3, over 4
    found = place(0.5, 0.90, 0.92, 0.94, 0.96).accuracy
    assert found.mean == pytest.approx(0.93)
    assert found.standard_error == pytest.approx((0.002 / 12) ** 0.5)
    assert place(0.5, 0.9).accuracy.standard_error is None


def test_places_are_compared_seed_by_seed_over_the_seeds_both_have():
    # 0.01 and 0.03 ahead: mean 0.02, standard error 0.01; the third seed has no partner
    one, other = place(0, 0.51, 0.73, 0.1), place(1, 0.50, 0.70)
    assert (ahead(one, other), ahead(other, one)) == (True, False)
    # 0.01 and -0.02
    assert not ahead(place(0, 0.51, 0.70), place(1, 0.50, 0.72))
    assert not ahead(place(1, 0.50, 0.72), place(0, 0.51, 0.70))
    assert ahead(place(0, 0.5), place(1, 0.4))  # one seed is trusted
    assert not ahead(place(0, 0.5), place(1, 0.5))


def test_the_plateau_ends_at_the_first_place_that_is_told_apart():
    places = [
        place(0.0, 0.80, 0.82),  # as good as told apart: it lies behind the next
        place(0.2, 0.70, 0.71),
        place(0.4, 0.81, 0.80),
        place(0.6, 0.80, 0.83),
        place(0.8, 0.83, 0.79),
        place(1.0, 0.60, 0.60),
    ]
    assert plateau(places, places[3]) == (2, 4)
    assert plateau(places[:1], places[0]) == (0, 0)


def test_finalists_are_the_highest_that_keep_a_distance():
    places = [place(0.1, 5), place(0.14, 9), place(0.2, 7), place(0.5, 6), place(0.9, 1)]
    # a twentieth of 0..1 is 0.05
    assert [p.values[0] for p in finalists(places, [(0, 1)], 3)] == [0.14, 0.2, 0.5]
    # a twentieth of 0..2 is 0.1
    assert [p.values[0] for p in finalists(places, [(0, 2)], 3)] == [0.14, 0.5, 0.9]
    pair = [
        Place(values=(0.1, 0.5), accuracies=(9,)),
        Place(values=(0.1, 0.52), accuracies=(8,)),
        Place(values=(0.1, 0.6), accuracies=(7,)),
    ]
    kept = finalists(pair, [(0, 1), (0, 1)], 2)
    assert [p.values for p in kept] == [(0.1, 0.5), (0.1, 0.6)]


def test_the_scan_holds_both_ends_at_equal_distances():
    evaluate, asked = recorded(lambda at: -((at - 0.42) ** 2))
    zoomed(evaluate)
    assert [at for at, _ in asked[:SCAN]] == pytest.approx([i / 10 for i in range(10)])


def test_the_intervals_that_touch_the_top_are_halved_twice():
    evaluate, asked = recorded(lambda at: -abs(at - 0.42))
    table, stop = zoomed(evaluate)
    assert stop == NARROW
    # 0.4 is the highest of the scan, 0.45 is not of the next, 0.425 is of the last
    assert [at for at, _ in asked[SCAN:]] == [0.35, 0.45, 0.375, 0.425]
    assert max(table.places, key=lambda p: p.mean).values == (0.425,)


@pytest.mark.parametrize(("slope", "end"), [(1, 0.9), (-1, 0.0)])
def test_a_top_at_the_end_of_the_range_is_found_there(slope, end):
    evaluate, asked = recorded(lambda at: slope * at)
    found = searched(evaluate)
    assert found.best == (end,)
    assert found.edge == ("highest" if slope > 0 else "lowest")
    assert len(asked) == 2 * (SCAN + 2)


def test_the_highest_of_several_tops_is_found():
    def curve(at):  # a broad top at 0.7, a narrow and higher one at 0.21
        return max(-((at - 0.7) ** 2), 0.1 - 5 * abs(at - 0.21))

    assert searched(lambda values, n: curve(values[0])).best[0] == pytest.approx(0.21, abs=0.0126)


def test_nothing_is_asked_twice_or_outside():
    evaluate, asked = recorded(lambda at: -abs(at - 0.6), noise=0.02)
    table, _ = zoomed(evaluate, seeds=3, most=6, ends=(0.2, 0.875))
    assert len(asked) == len(set(asked)) == sum(len(p.accuracies) for p in table.places)
    assert all(0.2 <= at <= 0.875 and rounded(at, (0.2, 0.875)) == at for at, _ in asked)
    seeds = {at: [n for a, n in asked if a == at] for at, _ in asked}
    assert all(numbers == list(range(len(numbers))) for numbers in seeds.values())
    assert {len(numbers) for numbers in seeds.values()} <= {3, 6}


def test_a_flat_curve_is_one_plateau_and_not_zoomed_into():
    # seed noise that is common to all places, as on a curve without any effect
    found = searched(lambda values, n: n / 10, seeds=3, max_seeds=4)
    assert found.stop == NOISE
    assert found.plateau == ENDS
    assert len(found.points) == SCAN
    assert all(len(p.accuracies) == 4 for p in found.points)


def test_seeds_are_added_only_where_they_are_needed():
    evaluate, asked = recorded(lambda at: -abs(at - 0.42))
    table, _ = zoomed(evaluate, seeds=2, most=5)
    assert {n for _, n in asked} == {0, 1}

    def twins(values, n):  # 0.3 and 0.7 differ by less than their paired standard error
        lead = 0.01 * (-1) ** n if values[0] == 0.3 else 0.0
        return lead - min(abs(values[0] - 0.3), abs(values[0] - 0.7))

    table, _ = zoomed(twins, seeds=2, most=5)
    found = {p.values[0]: len(p.accuracies) for p in table.places}
    assert (found[0.3], found[0.7], found[0.0], found[0.5]) == (5, 5, 2, 2)


@pytest.mark.parametrize("noise", [0.002, 0.01, 0.03])
def test_noise_costs_less_than_it_hides_and_takes_less_than_a_grid(noise):
    """Concave curve, top 0: on average the place found loses less than the standard error of one
    place under 5 seeds, for at most the evaluations of 14 places under 5 seeds."""

    def curve(at):
        return -0.3 * (at - 0.37) ** 2

    lost, spent = [], []
    for run in range(60):
        evaluate, asked = recorded(curve, noise, run)
        found = searched(evaluate, ranges=((0, 0.95),), seeds=3, max_seeds=6)
        lost.append(-curve(found.best[0]))
        spent.append(len(asked))
    assert sum(lost) / len(lost) < noise / math.sqrt(5)
    assert sum(spent) / len(spent) < 14 * 5


def test_finals_overtake_only_beyond_noise():
    def short(values, n):
        return -abs(values[0] - 0.2)

    def full(lead, jitter):
        return lambda values, n: lead * (values[0] - 0.2) + jitter * (-1) ** n * values[0]

    sure = searched(short, full(0.1, 0.0))
    assert sure.best == max(sure.finals, key=lambda p: p.mean).values != (0.2,)
    assert sure.top in sure.finals
    doubtful = searched(short, full(0.1, 1.0))
    assert doubtful.best == (0.2,)
    assert len(doubtful.finals) == 3
    assert searched(short, full(0.1, 0.0), finals=1).best == (0.2,)
    assert searched(short).finals == ()


def test_several_options_are_sampled_and_decided_by_finals():
    pytest.importorskip("optuna")
    asked = []

    def short(values, n):
        asked.append((values, n))
        return -((values[0] - 0.3) ** 2) - (values[1] - 0.8) ** 2

    found = searched(short, short, ((0, 0.9), (0, 1)), also=("policy.alpha",), trials=12)
    assert asked[:2] == [((0.5, 0.5), 0), ((0.5, 0.5), 1)]
    assert found.best == max(found.points, key=lambda p: p.mean).values
    assert (found.plateau, found.stop, len(found.finals)) == (None, "done", 3)
    assert found.found == dict(zip(("selector.beta", "policy.alpha"), found.best, strict=True))


def test_values_have_three_digits_and_stay_inside():
    assert rounded(0.12345, (0, 1)) == 0.123
    assert rounded(0.00012345, (0.0001, 0.001)) == 0.000123
    assert rounded(0.96449, (0, 0.9644)) == 0.964
    assert rounded(0.9999, (0.0, 0.9964)) == 0.9964


def test_a_search_makes_as_many_evaluations_as_it_is_planned_to():
    counts = set()
    for run in range(60):
        top, noise = 0.05 + 0.9 * run / 60, (0.0, 0.005, 0.05)[run % 3]
        s = Settings(key="selector.beta", seeds=2, max_seeds=4, finals=3)

        def curve(at, top=top):
            return 0.9 - abs(at - top)

        short, asked = recorded(curve, noise, run)
        full, asked_in_full = recorded(curve, noise, run)
        search(short, full, (ENDS,), (0.5,), s, 0)
        planned, finals = Evaluations.short(s), Evaluations.full(s)
        assert planned.least <= len(asked) <= planned.most
        assert finals.least <= len(asked_in_full) <= finals.most
        counts.add(len(asked))
    assert min(counts) < Evaluations.short(s).likely < max(counts)


def test_with_several_options_it_is_known_beforehand():
    s = Settings(key="selector.beta", also=("policy.alpha",), seeds=3, trials=7)
    assert Evaluations.short(s) == Evaluations(21, 21, 21)
    assert Evaluations.full(s.model_copy(update={"finals": 0})) == Evaluations(0, 0, 0)
