"""Scores from training: formulas by hand, planted label noise, no side effects."""

import dataclasses
import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch

from condense.engine.checked import run_scorer
from condense.engine.training.dynamics import Extras, dynamics_pass
from condense.engine.training.statistics import SampleStatistics, sample_figures
from condense.results import Dynamics
from condense.testing.toys import generator
from condense_plugins.scorers.aum import AumScorer
from condense_plugins.scorers.cscore import CScorer
from condense_plugins.scorers.el2n import El2nScorer
from condense_plugins.scorers.forgetting import ForgettingScorer, forgetting_events
from condense_plugins.scorers.grand import GrandScorer
from condense_plugins.scorers.loss import LossScorer
from condense_plugins.scorers.random import RandomScorer

TRAINED = {"cscore": CScorer, "el2n": El2nScorer, "forgetting": ForgettingScorer}
MORE = {"aum": AumScorer, "grand": GrandScorer, "loss": LossScorer}
QUICK = {
    "networks": 2,
    "epochs": 10,
    "eval_epoch": 5,
    "network": {"component": "convnet", "width": 16},
}
TINY = {
    "networks": 1,
    "epochs": 2,
    "eval_epoch": 1,
    "network": {"component": "convnet", "width": 2},
}


def scorer_of(name, **options):
    scorer = (TRAINED | MORE)[name]
    return scorer(scorer.Options(**options))


def bits(*rows):
    """bool [E, N] from one string per sample, an epoch a character."""
    return torch.tensor([[c == "1" for c in row] for row in rows]).T


class Recorded:
    """A context whose training pass is already known."""

    def __init__(self, dynamics):
        self.known = dynamics

    def dynamics(self, data, rng, options=None, **extras):
        return self.known


def recorded(**known):
    """What is not ``known`` is blank: 0 in one epoch of one network, for one sample."""
    blank = torch.zeros(1, 1, 1)
    fields = dataclasses.fields(Dynamics)
    figures = {f.name: blank for f in fields if f.default is dataclasses.MISSING}
    return Recorded(Dynamics(**{**figures, "eval_epoch": 1, **known}))


# formulas by hand


def test_forgetting_events_by_hand():
    events = forgetting_events(
        bits("11111", "01111", "00001", "10000", "10101", "11010", "00000").unsqueeze(0)
    )
    # never learned: five presentations, more than any number of events
    assert events.tolist() == [[0, 0, 0, 1, 2, 2, 5]]


def test_forgetting_is_per_network():
    correct = torch.stack([bits("101", "000", "111"), bits("111", "010", "000")])
    assert forgetting_events(correct).tolist() == [[1, 3, 0], [0, 1, 3]]


def test_what_was_never_learned_ranks_hardest_however_forgetful_the_others(tiny_images):
    data = tiny_images.subset(torch.arange(3))
    correct = torch.stack([bits("1010101010", "0000000000", "0000000001")] * 2)
    scores = scorer_of("forgetting").score(data, recorded(correct=correct), generator())
    assert scores.values.tolist() == [5.0, 10.0, 0.0]
    assert scores.standard_error.tolist() == [0.0, 0.0, 0.0]


def test_forgetting_needs_one_epoch_at_least():
    assert forgetting_events(bits("1", "0").unsqueeze(0)).tolist() == [[0, 1]]


def test_cscore_by_hand(tiny_images):
    data = tiny_images.subset(torch.arange(3))
    correct = torch.stack([bits("1111", "0001", "0000"), bits("1111", "0111", "0000")])
    scores = scorer_of("cscore").score(data, recorded(correct=correct), generator())
    assert scores.values.tolist() == pytest.approx([0.0, 0.5, 1.0])
    # of .75 and .25: standard deviation .3536 (ddof 1), over √2
    assert scores.standard_error.tolist() == pytest.approx([0.0, 0.25, 0.0])


def test_error_norm_by_hand():
    # softmax of (0, ln 3) is (¼, ¾); of (ln 2, ln 3, ln 5) it is (.2, .3, .5)
    logits = torch.tensor([[1.0, 3.0], [1.0, 3.0], [1.0, 1.0]]).log()
    margin, probability, error = sample_figures(logits, torch.tensor([0, 1, 1]))
    assert probability.tolist() == pytest.approx([0.25, 0.75, 0.5])
    assert error.tolist() == pytest.approx([0.75 * 2**0.5, 0.25 * 2**0.5, 0.5 * 2**0.5])
    assert margin.tolist() == pytest.approx([-np.log(3), np.log(3), 0.0])
    margin, probability, error = sample_figures(
        torch.tensor([[2.0, 3.0, 5.0]]).log(), torch.tensor([1])
    )
    assert float(margin) == pytest.approx(np.log(3 / 5))
    assert float(probability) == pytest.approx(0.3)
    assert float(error) == pytest.approx((0.04 + 0.49 + 0.25) ** 0.5)


def test_el2n_is_the_mean_over_networks(tiny_images):
    data = tiny_images.subset(torch.arange(2))
    context = recorded(eval_error_norm=torch.tensor([[0.2, 1.4], [0.4, 1.0]]))
    scores = scorer_of("el2n").score(data, context, generator())
    assert scores.values.tolist() == pytest.approx([0.3, 1.2])
    assert scores.standard_error.tolist() == pytest.approx([0.1, 0.2])


def test_el2n_online_sums_the_first_epochs(tiny_images):
    data = tiny_images.subset(torch.arange(2))
    norms = torch.tensor([[[1.0, 0.5], [0.5, 0.25], [9.0, 9.0]]])  # one network, three epochs
    context = recorded(error_norm=norms, margin=norms, eval_epoch=2)
    scores = scorer_of("el2n", mode="online", eval_epoch=2).score(data, context, generator())
    assert scores.values.tolist() == [1.5, 0.75]
    assert scores.standard_error is None
    # of a recording whose last look in evaluation mode was earlier, or whose training was shorter
    for asked, sums in ((1, [1.0, 0.5]), (3, [10.5, 9.75]), (7, [10.5, 9.75])):
        scorer = scorer_of("el2n", mode="online", eval_epoch=asked)
        scores = scorer.score(data, context, generator())
        assert scores.values.tolist() == sums
        assert scores.estimator == f"el2n (online, epoch {min(asked, 3)})"


# on data


@pytest.fixture(scope="module")
def noisy_digits(digits):
    """A third of the digits with a tenth of the labels flipped, and which ones."""
    digits, rng = digits.subset(torch.arange(0, len(digits), 3)), generator(0)
    flipped = torch.randperm(len(digits), generator=rng)[: len(digits) // 10]
    labels = digits.labels.clone()
    labels[flipped] = (labels[flipped] + torch.randint(1, 10, flipped.shape, generator=rng)) % 10
    wrong = torch.zeros(len(digits), dtype=torch.int64)
    wrong[flipped] = 1
    return replace(digits, labels=labels, test=None), wrong


@pytest.mark.parametrize("options", [{}, QUICK], ids=["default", "quick"])
def test_planted_label_noise_ranks_hardest(options, noisy_digits, context):
    from sklearn.metrics import roc_auc_score

    data, wrong = noisy_digits
    for name, least in (
        *(("cscore", 0.95), ("el2n", 0.95), ("forgetting", 0.90)),
        *(("aum", 0.95), ("grand", 0.95), ("loss", 0.95)),
    ):
        scores = run_scorer(scorer_of(name, **options), data, context, generator(1))
        assert roc_auc_score(wrong, scores.values) >= least, name
    scores = run_scorer(RandomScorer(RandomScorer.Options()), data, context, generator(1))
    assert roc_auc_score(wrong, scores.values) < 0.6  # the measure itself can fail


def test_scorers_of_equal_options_share_one_pass(tiny_images, context, monkeypatch):
    from condense.engine.training import passes

    trained = []
    real = passes.sgd_training
    monkeypatch.setattr(passes, "sgd_training", lambda *a, **k: trained.append(1) or real(*a, **k))
    for name in TRAINED:
        scorer_of(name, **TINY).score(tiny_images, context, generator())
    assert len(trained) == 1
    scorer_of("cscore", **{**TINY, "networks": 3}).score(tiny_images, context, generator())
    assert len(trained) == 3  # the first network is re-used
    scorer_of("cscore", **TINY).score(tiny_images, context, generator(1))
    assert len(trained) == 4


def test_scores_go_with_the_sample_not_its_place(digits, context):
    from scipy.stats import spearmanr

    data = digits.subset(torch.arange(600))
    order = torch.randperm(600, generator=generator(2))
    options = {**QUICK, "networks": 4}
    for name, least in (("cscore", 0.7), ("el2n", 0.7), ("forgetting", 0.3)):
        straight = run_scorer(scorer_of(name, **options), data, context, generator()).values
        mixed = run_scorer(
            scorer_of(name, **options), data.subset(order), context, generator()
        ).values
        assert spearmanr(straight[order], mixed).statistic > least, name
        assert abs(spearmanr(straight, mixed).statistic) < 0.2, name


@pytest.mark.parametrize("name", TRAINED)
def test_same_seed_same_scores_other_seed_other_scores(name, tiny_images, context):
    values = []
    for seed in (0, 0, 1):
        scores = scorer_of(name, **QUICK).score(tiny_images, context, generator(seed))
        values.append(scores.values)
        context.cache.clean()
    assert torch.equal(values[0], values[1])
    assert not torch.equal(values[0], values[2])


def test_the_pass_sees_every_sample_once_an_epoch(tiny_images, context):
    """Shapes, ranges and consistency of what all three read."""
    dynamics = dynamics_pass(tiny_images, context, generator(), CScorer.Options(**QUICK)).run()
    assert dynamics.correct.shape == dynamics.margin.shape == (2, 10, 90)
    assert dynamics.eval_error_norm.shape == (2, 90)
    assert torch.equal(dynamics.correct, dynamics.margin > 0)
    assert bool(((dynamics.probability >= 0) & (dynamics.probability <= 1)).all())
    # being wrong with probability p costs at least (1 − p) and at most √2·(1 − p)
    miss = 1 - dynamics.probability
    assert bool((dynamics.error_norm >= miss - 2e-3).all())
    assert bool((dynamics.error_norm <= miss * 2**0.5 + 2e-3).all())
    assert float(dynamics.correct[:, -1].float().mean()) > float(
        dynamics.correct[:, 0].float().mean()
    )


def test_logits_are_averages_in_which_late_epochs_weigh_most():
    epochs = torch.tensor([[[1.0, 0.0], [0.0, 2.0]], [[2.0, 0.0], [0.0, 0.0]], [[3.0, 1], [4, 0]]])
    statistics = SampleStatistics(2, 2, torch.device("cpu"))
    for logits in epochs:
        statistics.log(torch.tensor([1, 0]), logits.flip(0))
        statistics.end_epoch(torch.tensor([0, 1]))
    # .8 · (.8 · first + .2 · second) + .2 · third: 1.56 for the first sample, .64·2 for the second
    expected = torch.tensor([[0.64 + 0.32 + 0.6, 0.2], [0.8, 1.28]])
    torch.testing.assert_close(statistics.tensors()["logits"].float(), expected, atol=1e-3, rtol=0)


def test_scores_have_the_logits_of_their_networks(tiny_images, context):
    scorer = scorer_of("cscore", **{**TINY, "networks": 2})
    one, both = (
        dynamics_pass(tiny_images, context, generator(), scorer.options).run(numbers)
        for numbers in ([0], None)
    )
    other = dynamics_pass(tiny_images, context, generator(), scorer.options).run([1])
    torch.testing.assert_close(both.logits, (one.logits + other.logits) / 2)
    scores = scorer.score(tiny_images, context, generator())
    assert torch.equal(scores.logits, both.logits)
    # they know the classes about as well as the networks did in their last epochs
    right = (scores.logits.argmax(1) == tiny_images.labels).float().mean()
    assert float(right) >= float(both.correct[:, 0].float().mean())


def test_random_scores_are_uniform_and_follow_the_generator(digits):
    scorer = RandomScorer(RandomScorer.Options())
    values = scorer.score(digits, None, generator(3)).values
    assert torch.equal(values, scorer.score(digits, None, generator(3)).values)
    assert not torch.equal(values, scorer.score(digits, None, generator(4)).values)
    from scipy.stats import kstest

    assert kstest(values.numpy(), "uniform").pvalue > 0.01


def test_forgetting_counts_epochs_or_presentations(context, tiny_images):
    data = tiny_images.without_test()
    small = {"networks": 2, "epochs": 4, "network": {"component": "convnet", "width": 4}}

    def scores(count):
        options = ForgettingScorer.Options.model_validate({**small, "count": count})
        return ForgettingScorer(options).score(data, context, torch.Generator().manual_seed(1))

    by_epoch = scores("epoch")
    options = ForgettingScorer.Options.model_validate(small)
    rng = torch.Generator().manual_seed(1)
    dynamics = context.dynamics(data, rng, options, epoch_eval=True)
    assert dynamics.eval_correct.shape == dynamics.correct.shape == (2, 4, len(data))
    assert not torch.equal(dynamics.eval_correct, dynamics.correct)
    expected = torch.zeros(len(data))
    for right in dynamics.eval_correct.tolist():
        for n in range(len(data)):
            seen = [epoch[n] for epoch in right]
            events = sum(a and not b for a, b in itertools.pairwise(seen))
            expected[n] += (events if any(seen) else 4) / 2
    assert torch.allclose(by_epoch.values, expected)
    assert by_epoch.estimator == "forgetting (per epoch)"
    # the pass with evaluations serves the one without, to the bit
    again = context.dynamics(data, torch.Generator().manual_seed(1), options)
    assert torch.equal(again.correct, dynamics.correct)
    assert torch.equal(scores("presentation").values, forgetting_events(again.correct).mean(0))


def test_the_pass_takes_at_most_16_bytes_a_sample_and_epoch_and_two_a_class(tiny_images, context):
    dynamics_pass(
        tiny_images, context, generator(), CScorer.Options(**QUICK), Extras(True, False)
    ).run()
    files = list(context.cache.root.glob("dynamics/*/tensors.safetensors"))
    classes = len(tiny_images.classes)
    assert len(files) == QUICK["networks"]
    assert all(f.stat().st_size <= 90 * (16 * QUICK["epochs"] + 2 * classes) for f in files)


def test_replicates_average_to_the_scores(tiny_images, context):
    options = {**TINY, "networks": 3}
    for scorer in (
        scorer_of("cscore", **options),
        scorer_of("forgetting", **options),
        scorer_of("forgetting", count="epoch", **options),
        scorer_of("el2n", **options),
        scorer_of("el2n", mode="online", **options),
    ):
        scores = scorer.score(tiny_images, context, generator())
        replicates = scorer.replicates(tiny_images, context, generator())
        assert replicates.shape == (3, 90)
        torch.testing.assert_close(replicates.mean(0), scores.values)
        torch.testing.assert_close(replicates.std(0) / 3**0.5, scores.standard_error)


def test_el2n_is_the_norm_of_a_network_in_eval_mode_after_so_many_epochs(tiny_images, context):
    """Against a network trained here, by the paper's formula: no augmentation, running norms."""
    from condense.data import TrainingSet
    from condense.engine.runtime.rng import Seed
    from condense.engine.training.batches import Batcher
    from condense.engine.training.loop import Training
    from condense.engine.training.sgd import SgdOptions
    from condense.options import part_of

    options = El2nScorer.Options(**{**TINY, "networks": 1, "epochs": 2, "eval_epoch": 2})
    values = El2nScorer(options).replicates(tiny_images, context, generator(6))[0]
    seed = Seed(6).fork("dynamics").value
    init = Seed(seed).fork("init", 0).generator()
    network = context.network(options.network, tiny_images.geometry, init)
    batcher = Batcher(TrainingSet.of(tiny_images), context.device)
    schedule = part_of(SgdOptions, options).schedule(len(tiny_images), context.device)
    augmentation = context.augmentation(options.augmentation)
    Training(
        network, batcher, schedule, augmentation, Seed(seed).fork("batches", 0).generator()
    ).run()
    network.eval()
    with torch.no_grad():
        probabilities = network(batcher.batch(torch.arange(90))[0]).softmax(1)
    onehot = torch.eye(3)[tiny_images.labels]
    torch.testing.assert_close(values, (probabilities - onehot).square().sum(1).sqrt())


def test_a_colon_names_the_form(host):
    from condense.resolve import Request, resolve

    for text, option, value in (
        ("cscore:holdout", "estimator", "holdout"),
        ("forgetting:epoch", "count", "epoch"),
        ("el2n:online", "mode", "online"),
    ):
        recipe = resolve(host, Request(assignments=((("scorer",), text),)))
        assert getattr(recipe["scorer"].options, option) == value


def test_companions_by_hand_in_every_form(tiny_images):
    """Two networks, two epochs, two samples."""
    margin = torch.tensor([[[1.0, 2.0], [-3.0, 1.0]], [[2.0, 1.0], [4.0, 1.0]]])
    probability = torch.tensor([[[0.5, 1.0], [0.1, 0.5]], [[0.6, 0.5], [0.8, 0.5]]])
    known = recorded(
        margin=margin,
        probability=probability,
        correct=margin > 0,
        eval_correct=margin > 0,
        eval_error_norm=probability[0],
    )
    for name, form in itertools.chain(
        zip(TRAINED, itertools.repeat({})), (("forgetting", {"count": "epoch"}),)
    ):
        scores = scorer_of(name, **form).score(
            tiny_images.subset(torch.arange(2)), known, generator()
        )
        assert scores.companions.keys() == {"aum", "probability"}
        # (1 − 3 + 2 + 4)/4, (2 + 1 + 1 + 1)/4
        assert scores.companions["aum"].tolist() == [1.0, 1.25]
        assert scores.companions["probability"].tolist() == pytest.approx([0.5, 0.625])


def test_companions_are_those_of_the_pass(tiny_images, context):
    data = tiny_images.without_test()
    scores = run_scorer(scorer_of("el2n", **TINY), data, context, generator(2))
    dynamics = context.dynamics(data, generator(2), El2nScorer.Options(**TINY))
    assert torch.equal(scores.companions["probability"], dynamics.probability.mean((0, 1)))
    torch.testing.assert_close(scores.companions["aum"], dynamics.margin.mean((0, 1)))
