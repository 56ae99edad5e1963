"""DUAL's sampling against its formula, scipy's Beta density and inclusion by enumeration."""

import itertools

import pytest
import torch
from scipy import stats

from condense.engine.checked import run_scorer, run_selector
from condense.errors import DataError, OptionError
from condense.results import Budget
from condense.testing.toys import data_of, scores_of
from condense_plugins.selectors.dual_beta import DualBetaSelector, beta_shape, log_beta_density


def select(data, scores, seed=0, *, complexity=4.0, **budget):
    selector = DualBetaSelector(DualBetaSelector.Options(complexity=complexity))
    rng = torch.Generator().manual_seed(seed)
    return run_selector(selector, data, scores, Budget(**budget), None, rng)


def test_shape_by_hand():
    # 15 · 0.6 · (1 - 0.5^4) = 9 · 15/16
    alpha, beta = beta_shape(0.5, 0.4, 4)
    assert (alpha, beta) == (pytest.approx(16 - 8.4375), pytest.approx(8.4375))
    # 15 · 0.7 · (1 - 0.6561) and 15 · 0.7 · (1 - 0.81450625): c is the whole exponent, as of the
    # `--c_d 4` of the released code
    assert beta_shape(0.9, 0.3, 4) == (pytest.approx(12.38905), pytest.approx(3.61095))
    assert beta_shape(0.95, 0.3, 4) == (
        pytest.approx(14.052316, rel=1e-6),
        pytest.approx(1.947684, rel=1e-6),
    )
    assert beta_shape(0.0, 0.2, 4) == (pytest.approx(4), pytest.approx(12))
    # the more is pruned the easier is the mode, and α + β stay
    modes = [(a - 1) / (a + b - 2) for a, b in (beta_shape(r / 10, 0.3, 4) for r in range(10))]
    assert modes == sorted(modes)
    assert all(b > 0 for _, b in (beta_shape(r, 1.0, 4) for r in (0, 0.5, 0.99)))


@pytest.mark.parametrize(("alpha", "beta"), [(7.0, 9.0), (15.5, 0.5), (2.0, 14.0)])
def test_density_is_that_of_scipy_but_for_a_constant(alpha, beta):
    at = torch.linspace(0.01, 0.99, 50, dtype=torch.float64)
    off = log_beta_density(at, alpha, beta).numpy() - stats.beta.logpdf(at.numpy(), alpha, beta)
    assert off.max() - off.min() < 1e-9
    ends = log_beta_density(torch.tensor([0.0, 1.0], dtype=torch.float64), alpha, beta)
    assert bool(torch.isfinite(ends).all())


def inclusion(weights, count):
    """Probability that each is among ``count`` drawn one after another without replacement."""
    total = torch.zeros(len(weights))
    for order in itertools.permutations(range(len(weights)), count):
        chance, left = 1.0, sum(weights)
        for i in order:
            chance, left = chance * weights[i] / left, left - weights[i]
        total[list(order)] += chance
    return total


def test_samples_are_drawn_by_score_times_density():
    values, probability = [0.1, 0.2, 0.3, 0.25, 0.15], [0.9, 0.7, 0.5, 0.3, 0.6]
    data, times, draws = data_of([0] * 5), torch.zeros(5), 2000
    # μ_D is the mean of all five, as there are fewer than ten
    alpha, beta = beta_shape(1 - 2 / 5, 0.6, 4)
    weights = [s * stats.beta.pdf(p, alpha, beta) for s, p in zip(values, probability, strict=True)]
    expected = inclusion(weights, 2)
    assert expected.max() > 2 * expected.min()
    for seed in range(draws):
        times[select(data, scores_of(values, probability=probability), seed, ipc=2).indices] += 1
    room = 5 * (draws * expected * (1 - expected)).sqrt()
    assert bool(((times - draws * expected).abs() < room).all()), (times / draws, expected)


def test_the_anchor_is_the_mean_probability_of_the_ten_highest_scores():
    values = torch.arange(40.0) / 40
    probability = torch.where(torch.arange(40) >= 30, 0.2, 0.8)
    found, scores = [], scores_of(values, probability=probability)
    for seed in range(200):
        found += select(data_of([0] * 40), scores, seed, ipc=4).indices
    # r = 0.9: μ_D = 0.2 gives β = 4.1, α = 11.9; with another anchor the shares would be others
    alpha, beta = beta_shape(0.9, 0.2, 4)
    easy, hard = (stats.beta.pdf(p, alpha, beta) for p in (0.8, 0.2))
    weights = values * torch.where(torch.arange(40) >= 30, hard, easy)
    share = float(weights[30:].sum() / weights.sum())
    assert share < 0.01
    assert sum(int(i) >= 30 for i in found) < 0.03 * len(found)


def test_the_fewer_are_kept_the_easier_they_are():
    rng = torch.Generator().manual_seed(1)
    probability = torch.rand(400, generator=rng)
    scores = scores_of((1 - probability) * 0.3, probability=probability)
    means = [
        float(probability[select(data_of([0] * 400), scores, fraction=share).indices].mean())
        for share in (0.5, 0.2, 0.05)
    ]
    assert means == sorted(means)


def test_samples_of_score_0_come_last_and_still_fill_the_budget():
    data, scores = data_of([0] * 5), scores_of([0.0, 0.0, 0.0, 0.4, 0.2], probability=[0.5] * 5)
    for seed in range(20):
        chosen = select(data, scores, seed, ipc=3).indices
        assert chosen[:2].tolist() == [3, 4]  # hardest first
    every = {int(select(data, scores, seed, ipc=3).indices[2]) for seed in range(60)}
    assert every == {0, 1, 2}


def test_a_class_without_samples_and_whole_classes():
    labels = [0] * 6 + [2] * 6
    values = torch.arange(12.0)
    chosen = select(data_of(labels), scores_of(values, probability=[0.5] * 12), fraction=1.0)
    assert chosen.counts == (6, 0, 6)
    assert chosen.indices.tolist() == [5, 4, 3, 2, 1, 0, 11, 10, 9, 8, 7, 6]


def test_without_the_probability_a_scorer_that_gives_it_is_named():
    with pytest.raises(OptionError) as caught:
        select(data_of([0, 0]), scores_of([1, 2]), ipc=1)
    told = str(caught.value)
    for part in ("'dual-beta'", "'probability'", "toy has not", "`scorer=NAME`: dual, or"):
        assert part in told


def test_every_scorer_that_reads_the_dynamics_gives_the_probability(host, context, tiny_images):
    small = {"networks": 1, "epochs": 4, "network": {"component": "convnet", "width": 4}}
    for name, entry in host.registry("scorer").items():
        if name not in ("random", "file", "knn"):
            scorer = entry.component(entry.component.Options(**small))
            rng = torch.Generator().manual_seed(0)
            found = run_scorer(scorer, tiny_images.without_test(), context, rng).companions
            assert float(found["probability"].min()) >= 0
            assert float(found["probability"].max()) <= 1


def test_a_score_below_0_is_refused_with_sample_and_value():
    with pytest.raises(DataError, match=r"at least 0.*toy rates sample 1 -0\.5.*scorer=dual"):
        select(data_of([0, 0]), scores_of([1, -0.5], probability=[0.5, 0.5]), ipc=1)


def test_no_scores_is_an_error():
    with pytest.raises(OptionError, match="'dual-beta' needs scores"):
        select(data_of([0, 0]), None, ipc=1)
