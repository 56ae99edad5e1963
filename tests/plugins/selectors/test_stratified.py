"""CCS against every way to share a budget out, and against strata worked out by hand."""

import itertools

import pytest
import torch

from condense.engine.checked import run_selector
from condense.errors import DataError, OptionError
from condense.results import Budget
from condense.testing.toys import data_of, scores_of
from condense_plugins.selectors.stratified import StratifiedSelector, stratum_budgets


def select(data, scores, seed=0, *, cutoff=0.0, strata=50, **budget):
    selector = StratifiedSelector(StratifiedSelector.Options(cutoff=cutoff, strata=strata))
    rng = torch.Generator().manual_seed(seed)
    return run_selector(selector, data, scores, Budget(**budget), None, rng)


@pytest.mark.parametrize("sizes", [[3], [1, 4], [2, 2, 2], [1, 1, 5, 6], [1, 3, 3, 7], [2, 5, 9]])
def test_budgets_by_brute_force(sizes):
    """The algorithm gives the most to the stratum with the least, then to the next, and so on."""
    for count in range(sum(sizes) + 1):
        every = itertools.product(*(range(size + 1) for size in sizes))
        fairest = max(sorted(shares) for shares in every if sum(shares) == count)
        found = stratum_budgets(sizes, count)
        assert sum(found) == count
        assert all(share <= size for share, size in zip(found, sizes, strict=True))
        assert sorted(found) == fairest


# one class; width of a stratum 1: 0-1 has 6, 1-2 has 3, 2-3 has 1, 3-4 has none, 4-5 has 2
VALUES = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 1.1, 1.2, 1.3, 2.5, 4.5, 5.0]
STRATA = [{0, 1, 2, 3, 4, 5}, {6, 7, 8}, {9}, {10, 11}]


@pytest.mark.parametrize(
    ("count", "each"),
    [
        # the one of 2-3, then ⌊(count - 1) / 3⌋ of the other three, and so on
        (4, [1, 1, 1, 1]),
        (5, [2, 1, 1, 1]),  # 4 for three: 1, 1, and 2 for the largest
        (7, [2, 2, 1, 2]),
        (9, [3, 3, 1, 2]),
        (12, [6, 3, 1, 2]),  # the highest score too, which other code loses
    ],
)
@pytest.mark.parametrize("shift", [0, -100])
def test_strata_by_hand(count, each, shift):
    scores = scores_of([v + shift for v in VALUES])
    seen = set()
    for seed in range(20):
        chosen = select(data_of([0] * 12), scores, seed, strata=5, ipc=count).indices.tolist()
        assert [len(group & set(chosen)) for group in STRATA] == each
        assert chosen == sorted(chosen, key=lambda i: -VALUES[i])  # hardest first
        seen.add(tuple(chosen))
    assert (len(seen) > 1) == (count < 12)  # drawn at random where there is a choice


def test_every_sample_of_a_stratum_is_drawn_equally_often():
    times = torch.zeros(12)
    for seed in range(1500):
        times[select(data_of([0] * 12), scores_of(VALUES), seed, strata=5, ipc=5).indices] += 1
    # 2 of 6, 1 of 3, the one, 1 of 2: binomial, five standard deviations
    for group, share in zip(STRATA, (1 / 3, 1 / 3, 1, 1 / 2), strict=True):
        room = 5 * (1500 * share * (1 - share)) ** 0.5
        assert bool(((times[list(group)] - 1500 * share).abs() <= room).all())


def test_the_cutoff_is_by_margin_where_there_is_one_and_else_by_score():
    data = data_of([0] * 10 + [1] * 10)
    values = torch.arange(20.0)
    by_score = select(data, scores_of(values), cutoff=0.3, ipc=7)
    assert sorted(by_score.indices.tolist()) == [*range(7), *range(10, 17)]
    # the lowest margins are those of the easiest scores
    by_margin = select(data, scores_of(values, aum=values), cutoff=0.3, ipc=7)
    assert sorted(by_margin.indices.tolist()) == [*range(3, 10), *range(13, 20)]
    # ⌊0.29 · 10⌋ = 2
    assert len(select(data, scores_of(values), cutoff=0.29, ipc=8).indices) == 16


def test_strata_are_those_of_what_is_left():
    """Without the outlier the rest falls into two strata of three, not into one of six."""
    values = [0.0, 0.1, 0.2, 1.0, 1.1, 1.2, 100.0]
    for seed in range(10):
        chosen = select(
            data_of([0] * 7), scores_of(values), seed, cutoff=0.15, strata=2, ipc=4
        ).indices.tolist()
        assert 6 not in chosen
        assert len({0, 1, 2} & set(chosen)) == 2


def test_scores_that_are_all_alike_are_one_stratum():
    chosen = select(data_of([0] * 6), scores_of([2.0] * 6), ipc=3)
    assert chosen.counts == (3,)


def test_a_class_without_samples_gives_none():
    chosen = select(data_of([0] * 6 + [2] * 6), scores_of(range(12)), cutoff=0.3, fraction=0.5)
    assert chosen.counts == (3, 0, 3)


def test_a_cutoff_that_leaves_too_few_names_class_counts_and_cutoff():
    data, scores = data_of([0] * 20 + [1] * 10), scores_of(range(30))
    with pytest.raises(DataError) as caught:
        select(data, scores, cutoff=0.5, ipc=6)
    message = str(caught.value)
    for part in ("class bee", "10 samples", "cutoff=0.5", "leaves 5", "are 6", "at most 0.4"):
        assert part in message
    selector = StratifiedSelector(StratifiedSelector.Options())
    ranges = selector.option_ranges(data, Budget(ipc=6))
    assert ranges == {"cutoff": (0.0, pytest.approx(0.4))}
    select(data, scores, cutoff=ranges["cutoff"][1], ipc=6)


def test_no_scores_is_an_error():
    with pytest.raises(OptionError, match="'stratified' needs scores"):
        select(data_of([0, 0]), None, ipc=1)
