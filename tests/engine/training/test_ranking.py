"""Rank statistics of difficulty scores, by hand."""

import pytest
import torch
from scipy.stats import spearmanr

from condense.engine.training.ranking import end_overlap, end_weights, rank_correlation, split_half


def draw(*shape, seed=0, levels=None):
    rng = torch.Generator().manual_seed(seed)
    values = torch.rand(*shape, generator=rng)
    return values if levels is None else (values * levels).floor()


def test_correlation_by_hand_with_ties_at_their_mean_rank():
    # ranks 3.5 1 3.5 2 and 4 1 2 3: deviations 1 -1.5 1 -0.5 and 1.5 -1.5 -0.5 0.5
    one, other = torch.tensor([3.0, 1.0, 3.0, 2.0]), torch.tensor([9.0, 1.0, 2.0, 5.0])
    assert rank_correlation(one, other) == pytest.approx(3.0 / (4.5 * 5) ** 0.5, abs=1e-12)
    assert rank_correlation(one, -one) == pytest.approx(-1, abs=1e-12)


def test_a_constant_correlates_with_nothing():
    assert rank_correlation(torch.zeros(5), torch.arange(5.0)) == 0.0


def test_overlap_by_hand():
    a = torch.arange(20.0)
    b = a.clone()
    b[[19, 0]] = b[[0, 19]]
    # hardest tenth: {18, 19} and {0, 18}
    assert end_overlap(a, b, 0.1) == 0.5
    assert end_overlap(a, a, 0.1) == 1.0
    assert end_overlap(a, -a, 0.1) == 0.0
    assert end_overlap(a, b, 0.1, hardest=False) == 0.5


def test_ties_at_the_border_share_the_places_left():
    scores = torch.tensor([0.0, 0, 0, 1, 1, 1, 1, 2, 2, 3])
    assert end_weights(scores, 0.5).tolist() == [0, 0, 0, 0.5, 0.5, 0.5, 0.5, 1, 1, 1]
    assert end_weights(scores, 0.1, hardest=False).tolist() == pytest.approx([1 / 3] * 3 + [0] * 7)
    assert end_overlap(torch.zeros(100), torch.arange(100.0), 0.1) == pytest.approx(0.1)


def test_expected_overlap_is_the_mean_over_orders_of_ties():
    a, b = draw(40, seed=3, levels=4), draw(40, seed=4, levels=5)
    found = []
    for seed in range(2000):
        noise = draw(2, 40, seed=seed) * 0.5
        one, two = (a + noise[0]).topk(10).indices, (b + noise[1]).topk(10).indices
        found.append(len(set(one.tolist()) & set(two.tolist())) / 10)
    assert end_overlap(a, b, 0.25) == pytest.approx(sum(found) / 2000, abs=0.02)


def test_split_half_of_two_is_their_correlation():
    pair = draw(2, 60)
    assert split_half(pair) == pytest.approx(spearmanr(*pair).statistic)


def test_split_half_rises_with_the_replicates_as_theory_says():
    truth = torch.randn(4000, generator=torch.Generator().manual_seed(0))
    noise = torch.randn(16, 4000, generator=torch.Generator().manual_seed(1))
    replicates = truth + 2 * noise
    for size in (2, 4, 8, 16):
        reliability = 1 / (1 + 4 / (size // 2))  # of a mean of size/2: var 1 signal, 4/(size/2)
        # Spearman's of a bivariate normal: 6/π · asin(ρ/2)
        expected = 6 / torch.pi * torch.tensor(reliability / 2).asin()
        assert split_half(replicates, size) == pytest.approx(float(expected), abs=0.03)


def test_split_half_draws_from_no_global_generator():
    before = torch.get_rng_state()
    assert split_half(draw(6, 30)) == split_half(draw(6, 30))
    assert torch.equal(torch.get_rng_state(), before)
