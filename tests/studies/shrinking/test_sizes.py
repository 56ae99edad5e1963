"""Fits and intervals against brute force, scikit-learn, hand-worked numbers and simulation."""

import itertools

import numpy as np
import pytest
from scipy.optimize import brentq

from condense.studies.shrinking.search import Bar, Curve, sizes_found, wanted
from condense.studies.shrinking.sizes import (
    Draws,
    monotone,
    reached,
    score,
    training_spread,
    upper_ends,
)


def best_blocks(values):
    """The least-squares fit that never falls, of all cuts into blocks with a mean each."""
    size, best = len(values), (np.inf, None)
    for cuts in itertools.product((False, True), repeat=size - 1):
        edges = [0, *(i + 1 for i, cut in enumerate(cuts) if cut), size]
        fit = np.concatenate(
            [np.full(b - a, values[a:b].mean()) for a, b in itertools.pairwise(edges)]
        )
        if (np.diff(fit) >= 0).all():
            best = min(best, (((fit - values) ** 2).sum(), tuple(fit)))
    return np.array(best[1])


def test_the_monotone_fit_is_the_best_of_all_and_scikit_learns():
    from sklearn.isotonic import isotonic_regression

    values = np.random.default_rng(0).normal(size=(40, 7)) + np.linspace(0, 1, 7)
    fits = monotone(values)
    for one, fit in zip(values, fits, strict=True):
        assert fit == pytest.approx(best_blocks(one))
        assert fit == pytest.approx(isotonic_regression(one))
    assert (np.diff(fits) > -1e-12).all()


def test_a_size_lies_on_the_line_over_the_logarithm():
    gaps = np.array([[-1.0, 1.0, 2.0], [-3.0, -1.0, 0.0], [0.5, 1.0, 2.0], [-3.0, -2.0, -1.0]])
    # half way from 10 to 40 by factors; exactly the last; the first at once; nowhere
    assert reached(np.array([10.0, 40.0, 90.0]), gaps) == pytest.approx([20, 90, 10, np.inf])
    sizes = np.arange(1.0, 2000)[:, None]  # rounding must not take any for a larger one
    assert all(reached(np.array([n[0], 3000.0]), np.ones((1, 2)))[0] == n[0] for n in sizes)


def test_one_column_has_its_own_quantile():
    sizes = np.random.default_rng(1).permutation(np.arange(1.0, 101))[:, None]
    assert upper_ends(sizes, 0.9) == [90]


def test_ends_hold_for_all_columns_at_once():
    rng = np.random.default_rng(2)
    sizes = rng.random((4000, 2))
    ends = upper_ends(sizes, 0.9)
    assert (sizes <= ends).all(1).mean() == pytest.approx(0.9, abs=1e-3)
    assert ends == pytest.approx([0.9**0.5] * 2, abs=0.01)  # independent ones
    assert upper_ends(sizes[:, [0, 0]], 0.9) == pytest.approx([0.9] * 2, abs=0.01)  # equal ones
    with_none = np.where(sizes > 0.5, np.inf, sizes)
    assert upper_ends(with_none, 0.9) == pytest.approx([np.inf] * 2)


def test_metrics_by_hand():
    rates, counts = np.array([[1.0, 0.5], [0.2, 0.4], [0.0, 0.0]]), np.array([3, 1, 0])
    assert score(rates, counts, "accuracy") == pytest.approx([0.8, 0.475])
    assert score(rates, counts, "balanced-accuracy") == pytest.approx([0.6, 0.45])
    assert score(rates, counts, "worst-class") == pytest.approx([0.2, 0.4])


def parts_of(rows, seeds, rng):
    """Each seed's own fifth."""
    order = rng.permutation(rows)
    return [np.sort(order[seed % 5 :: 5]) for seed in range(seeds)]


@pytest.mark.parametrize("metric", ["accuracy", "balanced-accuracy", "worst-class"])
def test_the_first_draw_is_the_samples_as_they_are(metric):
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 3, 100)
    draws = Draws.of(labels, parts_of(100, 2, rng), metric, rng, 10)
    assert draws.more[0] == 0
    for seed, part in enumerate(draws.parts):
        right = (rng.random(len(part)) < 0.7).astype(float)
        own = [right[labels[part] == c].mean() for c in range(3)]
        by_hand = {
            "accuracy": right.mean(),
            "balanced-accuracy": np.mean(own),
            "worst-class": np.min(own),
        }[metric]
        assert draws.accuracies(seed, right)[0] == pytest.approx(by_hand)


def test_draws_are_of_samples_within_their_class():
    rng = np.random.default_rng(4)
    labels = np.array([0] * 30 + [1] * 10)
    draws = Draws.of(labels, [np.arange(40)], "accuracy", rng, 50)
    assert (draws.counts[labels == 0].sum(0) == 30).all()
    assert (draws.counts[labels == 1].sum(0) == 10).all()
    assert draws.counts[:, 1:].max() > 2
    right = rng.integers(0, 2, 40).astype(float)
    by_hand = (right[:, None] * draws.counts).sum(0) / 40
    assert draws.accuracies(0, right) == pytest.approx(by_hand)


def test_a_class_that_is_not_drawn_counts_as_it_is():
    rng = np.random.default_rng(5)
    labels = np.array([0, 0, 0, 1, 1])  # of class 1 but one is in the part
    draws = Draws.of(labels, [np.array([0, 1, 3])], "worst-class", rng, 200)
    found = draws.accuracies(0, np.array([1.0, 1.0, 0.0]))
    assert (draws.counts[3] == 0).any()
    assert (found == 0).all()


# ---- a whole search where the truth is known -----------------------------------------------------

WHOLE, SEEDS, ROWS, KEEP, SPREAD = 1200, 5, 1450, 0.95, 0.25
SIZES = sorted({round(WHOLE / 2 * 2 ** (-step / 2)) for step in range(12)})


def chance(size, easier, hard, able):
    """That a network trained on ``size`` samples is right, by difficulty and ability."""
    return 1 / (1 + np.exp(-(np.log(size) + easier - 1.2) + hard - able))


def population(seed=0, size=100_000):
    rng = np.random.default_rng(seed)
    return rng.normal(0, 1.5, size), rng.normal(0, SPREAD, size)


def target():
    hard, able = population()
    return KEEP * chance(WHOLE / 0.8, 0, hard, able).mean()  # of all there is


def measuring(seed):
    """Draws, and what gives the accuracies of a size of a method of so much ease, [S, B + 1]."""
    rng = np.random.default_rng(seed)
    parts = parts_of(ROWS, SEEDS, rng)
    draws = Draws.of(np.arange(ROWS) % 10, parts, "accuracy", rng, 200)
    hard = rng.normal(0, 1.5, ROWS)

    def measured(size, easier):
        found = []
        for number, part in enumerate(parts):
            likely = chance(size, easier, hard[part], rng.normal(0, SPREAD))
            found.append(draws.accuracies(number, (rng.random(len(part)) < likely).astype(float)))
        return np.stack(found)

    return draws, measured


def test_the_spread_of_a_training_is_found_under_that_of_the_samples():
    spreads = []
    for seed in range(30):
        _, measured = measuring(seed)
        spreads.append(training_spread(np.stack([measured(60, 0), measured(90, 0)] * 4)))
    hard, _ = population(size=4000)
    truth = np.std([chance(75, 0, hard, able).mean() for able in population(1, 500)[1]])
    assert np.mean(np.square(spreads)) ** 0.5 == pytest.approx(truth, rel=0.2)
    assert training_spread(np.ones((3, 1, 5))) == 0  # one seed says nothing of it


def search(seed, methods):
    """What is found for methods of so much ease, and how many sizes it took."""
    draws, measured = measuring(seed)
    bar = Bar(KEEP, measured(WHOLE, 0).mean(0), measured(0.8 * WHOLE, 0).mean(0))
    known, asked = {}, {name: [5, 7] for name in methods}
    while asked:
        for name, places in asked.items():
            known |= {(name, p): measured(SIZES[p], methods[name]) for p in places}
        more = training_spread(np.stack(list(known.values()))) * (1 + 1 / SEEDS) ** 0.5
        curves = {}
        for name in methods:
            places = tuple(sorted(p for n, p in known if n == name))
            means = np.stack([known[name, p].mean(0) for p in places], 1)
            curves[name] = Curve(places, means + more * draws.more[:, None])
        found = sizes_found(curves, SIZES, WHOLE, bar)
        asked = wanted(curves, SIZES, found)
    return found, len(known)


@pytest.mark.parametrize("methods", ["a", "abc"])
def test_one_more_training_keeps_enough_in_nine_of_ten_though_the_best_is_picked(methods):
    hard, able = population(size=4000)
    reach = target()
    held, sizes = [], []
    for seed in range(80):
        found, cells = search(seed, dict.fromkeys(methods, 0.0))
        assert cells <= len(methods) * len(SIZES)
        size = found.high[found.best]
        again = [chance(size, 0, hard, one).mean() for one in able[:100]]
        held.append(np.mean(np.array(again) >= reach))
        sizes.append(size)
    smallest = brentq(lambda n: chance(n, 0, hard, able).mean() - reach, 2, WHOLE)
    assert 0.86 <= np.mean(held) <= 0.98
    assert np.median(sizes) < 1.8 * smallest  # in a world where doubling adds but 7 points


def test_of_unlike_methods_the_better_one_is_found():
    picked = [search(seed, {"poor": -0.7, "good": 0.5}) for seed in range(20)]
    assert [found.methods[found.best] for found, _ in picked] == ["good"] * 20


def test_what_the_held_out_part_would_add_raises_the_target():
    found = Bar(0.9, np.array([0.8, 0.8]), np.array([0.7, 0.85]))
    assert found.target == pytest.approx([0.81, 0.72])  # 0.9 · (0.8 + 0.1), 0.9 · 0.8


def test_sizes_are_asked_for_around_an_end_until_neighbours_are_known():
    totals, flat = [10, 14, 20, 28, 40, 56], np.zeros((50, 1))

    def asked(places, accuracies, closed=()):
        values = np.array([accuracies] * 50) + flat
        curves = {"one": Curve(tuple(places), values)}
        bar = Bar(0.5, np.ones(50), np.ones(50))
        found = sizes_found(curves, totals, 100, bar)
        return wanted(curves, totals, found, {"one": closed}).get("one", [])

    assert asked([2, 4], [0.1, 0.2]) == [5]  # nothing is enough yet, and but one size is left
    assert asked([1, 3], [0.1, 0.2]) == [5]
    assert asked([2, 4], [0.6, 0.7]) == [0]  # all are
    assert asked([0, 4], [0.4, 0.6]) == [2]  # in between
    assert asked([2, 3], [0.4, 0.6]) == []
    assert asked([0, 1], [0.5, 0.6]) == []  # the smallest there is
    assert asked([4, 5], [0.1, 0.2]) == []  # the largest is not enough
    # those that cannot be measured are passed over
    assert asked([0, 4], [0.4, 0.6], {2}) == [1]
    assert asked([0, 4], [0.4, 0.6], {1, 2, 3}) == []
    assert asked([1, 3], [0.1, 0.2], {5}) == [4]
