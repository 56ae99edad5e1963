"""The C-score's held-out estimator against a naive loop, by hand, and its side effects."""

import math
import statistics
from dataclasses import replace

import pytest
import torch

from condense.data import TrainingSet
from condense.engine.checked import run_scorer
from condense.engine.runtime.rng import Seed
from condense.engine.training.batches import Batcher
from condense.engine.training.loop import Training, predict
from condense.engine.training.sgd import SgdOptions
from condense.errors import DataError, OptionError
from condense.options import build_options, part_of
from condense.results import Cost
from condense.testing.toys import generator, reads_test
from condense_plugins.scorers import _holdout
from condense_plugins.scorers._holdout import (
    Holdout,
    RunningMean,
    blocks_of,
    holdout_cost,
    subsets_of,
)
from condense_plugins.scorers.cscore import CScorer

TINY = {
    "estimator": "holdout",
    "ratios": (0.5, 0.75),
    "repeats": 2,
    "epochs": 2,
    "batch_size": 16,
    "network": {"component": "convnet", "width": 2},
}


def options_of(**changes):
    return CScorer.Options(**{**TINY, **changes})


def holdout(data, context, rng, options):
    return Holdout(data, context, Seed.of(rng).fork("holdout"), options)


def scorer_of(**changes):
    return CScorer(options_of(**changes))


@pytest.fixture
def trained(monkeypatch):
    """Sizes of the sets that networks were trained on."""
    sizes = []
    real = Holdout.training

    def counted(*args):
        training = real(*args)
        sizes.append(len(training.data))
        return training

    monkeypatch.setattr(Holdout, "training", counted)
    return sizes


@pytest.fixture
def few(tiny_images):
    """24 of the tiny images, 8 of each class."""
    return tiny_images.subset(torch.arange(90)[torch.arange(90) % 30 < 8])


def naive(data, context, options, rng):
    """Score and standard error of every sample, with nothing but loops over samples.

    Only drawing subsets and training a network on one are the engine's.
    """
    seed = Seed.of(rng).fork("holdout")
    device = torch.device("cpu")
    estimates = [[] for _ in range(len(data))]
    for repeat in range(options.repeats):
        hits = [{ratio: [] for ratio in options.ratios} for _ in range(len(data))]
        for ratio in options.ratios:
            for subset in subsets_of(len(data), ratio, repeat, seed):
                out = set(subset.left_out.tolist())
                seen = data.subset(torch.tensor([i for i in range(len(data)) if i not in out]))
                place = (repr(ratio), repeat, subset.block)
                init = seed.fork("init", *place).generator()
                network = context.network(options.network, data.geometry, init)
                Training(
                    network,
                    Batcher(TrainingSet.of(seen), device),
                    part_of(SgdOptions, options).schedule(len(seen), device),
                    context.augmentation(options.augmentation),
                    seed.fork("batches", *place).generator(),
                ).run()
                everything = predict(network, Batcher(TrainingSet.of(data), device))
                for i in out:
                    right = int(everything[i].argmax()) == int(data.labels[i])
                    hits[i][ratio].append(right)
        for i, by_ratio in enumerate(hits):
            means = [sum(h) / len(h) for h in by_ratio.values()]
            estimates[i].append(1 - sum(means) / len(means))
    means = [statistics.fmean(e) for e in estimates]
    errors = [statistics.stdev(e) / math.sqrt(len(e)) for e in estimates]
    return means, errors


def test_it_is_what_a_naive_loop_gives(few, context):
    options = options_of(repeats=3, stable_at=1.0)
    scores = run_scorer(CScorer(options), few, context, generator(4))
    means, errors = naive(few, context, options, generator(4))
    assert scores.values.tolist() == pytest.approx(means, abs=1e-6)
    assert scores.standard_error.tolist() == pytest.approx(errors, abs=1e-6)
    assert len(set(means)) > 3  # the comparison is not of constants
    assert scores.estimator == (
        "cscore (holdout, ratios 0.5, 0.75, 3 of at most 3 repeats, 18 trainings)"
    )


@pytest.mark.parametrize("ratio", [0.05, 0.3, 0.5, 0.75, 0.9])
def test_a_repeat_leaves_every_sample_out_and_trains_on_the_stated_part(ratio):
    for samples in (2, 3, 10, 37, 100):
        subsets = subsets_of(samples, ratio, 0, Seed(5))
        seen = max(1, math.floor(ratio * samples + 1e-9))
        assert {len(s.left_out) for s in subsets} == {samples - seen}
        for subset in subsets:
            assert len(set(subset.left_out.tolist())) == samples - seen
        times = torch.bincount(torch.cat([s.left_out for s in subsets]), minlength=samples)
        assert int(times.min()) >= 1
        assert int(times.max()) <= 2
        assert len(subsets) == len(blocks_of(samples, ratio)) == -(-samples // (samples - seen))


def test_blocks_by_hand():
    assert blocks_of(100, 0.75) == [(0, 25), (25, 25), (50, 25), (75, 25)]
    assert blocks_of(10, 0.3) == [(0, 7), (7, 7)]  # the second goes round the circle
    assert blocks_of(1437, 0.75) == [(0, 360), (360, 360), (720, 360), (1080, 360)]
    assert blocks_of(2, 0.01) == blocks_of(2, 0.99) == [(0, 1), (1, 1)]


def test_subsets_are_uniformly_random_and_differ_between_repeats_ratios_and_seeds():
    drawn = torch.zeros(20)
    for repeat in range(2000):
        drawn[subsets_of(20, 0.5, repeat, Seed(1))[0].left_out] += 1
    # binomial(2000, ½): standard deviation 22, five of them
    assert bool(((drawn - 1000).abs() < 112).all())
    base = subsets_of(50, 0.5, 0, Seed(1))[0].left_out
    for other in ((0.5, 1, Seed(1)), (0.5, 0, Seed(2))):
        assert not torch.equal(subsets_of(50, *other)[0].left_out, base)


def test_running_mean_and_standard_error_by_hand():
    running = RunningMean(2)
    assert running.standard_error is None
    for values in ([0.0, 1.0], [0.5, 1.0], [1.0, 1.0]):
        running.add(torch.tensor(values))
    assert running.mean.tolist() == [0.5, 1.0]
    # of 0, ½, 1: standard deviation ½ (ddof 1), over √3
    assert running.standard_error.tolist() == pytest.approx([0.5 / 3**0.5, 0.0])


def test_running_standard_error_is_the_formula_on_many_values():
    values = torch.rand(57, 9, generator=generator(), dtype=torch.float64) + 1e3
    running = RunningMean(9)
    for row in values:
        running.add(row)
    torch.testing.assert_close(running.mean, values.mean(0))
    torch.testing.assert_close(running.standard_error, values.std(0) / 57**0.5)


# stopping


def scripted(monkeypatch, *repeats):
    """The repeats' values are known beforehand."""
    monkeypatch.setattr(Holdout, "repeats", lambda self: (torch.tensor(r) for r in repeats))


def test_it_stops_once_two_halves_rank_alike(monkeypatch, few, context):
    data = few.subset(torch.arange(4))
    up, down = [0.1, 0.2, 0.3, 0.4], [0.4, 0.3, 0.2, 0.1]
    scripted(monkeypatch, up, up, down)
    found = holdout(data, context, generator(), options_of(repeats=3, stable_at=0.99)).estimate()
    assert (found.repeats, found.agreement) == (2, pytest.approx(1.0))
    # second: ρ −1; third: (up + up)/2 against down, ρ −1; fourth: up against (down + 2·up)/2
    steep = [0.2, 0.4, 0.6, 0.8]
    scripted(monkeypatch, up, down, up, steep, down)
    found = holdout(data, context, generator(), options_of(repeats=5, stable_at=0.9)).estimate()
    assert found.repeats == 4
    torch.testing.assert_close(found.mean, torch.tensor([0.2, 0.275, 0.35, 0.425]))
    assert found.trainings == 4 * (2 + 4)


def test_without_agreement_the_budget_is_spent(monkeypatch, few, context):
    data = few.subset(torch.arange(4))
    scripted(monkeypatch, [0.1, 0.2, 0.3, 0.4], [0.4, 0.3, 0.2, 0.1])
    found = holdout(data, context, generator(), options_of(stable_at=0.5)).estimate()
    assert (found.repeats, found.agreement) == (2, pytest.approx(-1.0))


def test_one_repeat_has_neither_agreement_nor_error(few, context):
    found = holdout(few, context, generator(), options_of(repeats=1)).estimate()
    assert (found.repeats, found.agreement, found.standard_error) == (1, None, None)


def test_the_user_reads_what_was_spent(few, context, monkeypatch):
    notes = []
    monkeypatch.setattr(context.progress, "note", notes.append, raising=False)
    scorer_of(stable_at=1.0).score(few, context, generator())
    assert len(notes) == 1
    assert "2 of at most 2 repeats, 12 trainings" in notes[0]
    assert "not yet stable at 1" in notes[0]


# the store


def test_an_interrupted_estimate_goes_on_where_it_stopped(few, context, trained, monkeypatch):
    counted, stop_at = Holdout.training, [5]

    def interrupted(*args):
        if len(trained) == stop_at[0]:
            raise KeyboardInterrupt
        return counted(*args)

    monkeypatch.setattr(Holdout, "training", interrupted)
    options = options_of(stable_at=1.0)
    with pytest.raises(KeyboardInterrupt):
        holdout(few, context, generator(), options).estimate()
    stop_at[0] = None
    resumed = holdout(few, context, generator(), options).estimate()
    assert len(trained) == 12  # 2 repeats × (2 + 4), none twice
    context.cache.clean()
    afresh = holdout(few, context, generator(), options).estimate()
    assert len(trained) == 24
    assert torch.equal(resumed.mean, afresh.mean)


def test_more_repeats_and_other_ratios_reuse_what_is_there(few, context, trained):
    holdout(few, context, generator(), options_of(ratios=(0.5,), stable_at=1.0)).estimate()
    assert trained == [12] * 4
    holdout(
        few, context, generator(), options_of(ratios=(0.5,), repeats=3, stable_at=1.0)
    ).estimate()
    assert trained == [12] * 6
    holdout(few, context, generator(), options_of(ratios=(0.75, 0.5), repeats=1)).estimate()
    assert trained == [12] * 6 + [18] * 4
    holdout(few, context, generator(), options_of(ratios=(0.5,), repeats=1, epochs=1)).estimate()
    assert trained == [12] * 6 + [18] * 4 + [12] * 2


def test_a_stored_training_takes_a_byte_a_sample(tiny_images, context):
    holdout(tiny_images, context, generator(), options_of(ratios=(0.5,), repeats=1)).estimate()
    files = list(context.cache.root.glob("holdout/*/tensors.safetensors"))
    assert len(files) == 2
    assert all(f.stat().st_size < 90 + 200 for f in files)


def test_replicates_are_the_repeats_that_were_made(few, context, trained):
    scorer = scorer_of(repeats=4, stable_at=0.01)
    scores = scorer.score(few, context, generator())
    made = len(trained)
    replicates = scorer.replicates(few, context, generator())
    assert len(trained) == made
    assert len(replicates) == made // 6
    torch.testing.assert_close(replicates.mean(0), scores.values)
    all_of_them = list(holdout(few, context, generator(), options_of(repeats=4)).repeats())
    assert len(all_of_them) == 4


def test_cost_by_hand(few, context, monkeypatch):
    monkeypatch.setattr(_holdout, "training_cost", lambda *args: Cost(0.5))  # a step
    # of 24 samples: 12 seen in 1 batch of 16, twice; 18 seen in 2 batches, four times
    cost = holdout_cost(few, context, options_of(repeats=3, epochs=5))
    assert cost.seconds == 3 * 5 * (2 * 1 + 4 * 2) * 0.5
    assert cost.disk == 3 * 6 * 24
    assert scorer_of(repeats=3, epochs=5).cost(few, len(few), context) == cost


# on data


def test_planted_label_noise_ranks_hardest(digits, context):
    from sklearn.metrics import roc_auc_score

    rng = generator(0)
    data = digits.subset(torch.randperm(len(digits), generator=rng)[:600])
    labels = data.labels.clone()
    labels[:60] = (labels[:60] + torch.randint(1, 10, (60,), generator=rng)) % 10
    noisy = replace(data, labels=labels)
    network = {"component": "convnet", "width": 16}
    scorer = scorer_of(ratios=(0.5,), repeats=3, epochs=10, network=network)
    scores = run_scorer(scorer, noisy, context, generator(1))
    assert roc_auc_score(torch.arange(600) < 60, scores.values) >= 0.95


def test_scores_go_with_the_sample_not_its_place(digits, context):
    from scipy.stats import spearmanr

    data = digits.subset(torch.arange(400))
    order = torch.randperm(400, generator=generator(2))
    network = {"component": "convnet", "width": 8}
    scorer = scorer_of(ratios=(0.5,), repeats=4, epochs=6, network=network, stable_at=1.0)
    straight = run_scorer(scorer, data, context, generator()).values
    mixed = run_scorer(scorer, data.subset(order), context, generator()).values
    noise = spearmanr(*scorer.replicates(data, context, generator()).reshape(2, 2, -1).mean(1))
    assert spearmanr(straight[order], mixed).statistic > noise.statistic - 0.05
    assert abs(spearmanr(straight, mixed).statistic) < 0.2


def test_same_seed_same_scores_and_nothing_else_is_touched(few, context):
    before = torch.get_rng_state(), few.inputs.clone(), few.labels.clone()
    first = scorer_of().score(few, context, generator(3)).values
    context.cache.clean()
    assert torch.equal(scorer_of().score(few, context, generator(3)).values, first)
    assert not torch.equal(scorer_of().score(few, context, generator(4)).values, first)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert torch.equal(few.inputs, before[1])
    assert torch.equal(few.labels, before[2])


def test_the_test_split_is_out_of_reach(few, context):
    assert not reads_test(lambda data: scorer_of().score(data, context, generator()), few)


# mistakes


@pytest.mark.parametrize(
    ("values", "part"),
    [
        ({"ratios": (0.5, 0.5)}, "twice"),
        ({"ratios": ()}, "scorer.ratios"),
        ({"ratios": (1.0,)}, "scorer.ratios.0=1.0"),
        ({"repeats": 0}, "scorer.repeats=0"),
        ({"stable_at": 1.5}, "scorer.stable_at=1.5"),
        ({"estimator": "guess"}, "scorer.estimator=guess"),
    ],
)
def test_wrong_values_are_named(values, part):
    with pytest.raises(OptionError, match="scorer") as error:
        build_options(CScorer.Options, values, "scorer")
    assert part in str(error.value)


def test_a_single_sample_cannot_be_left_out(few, context):
    with pytest.raises(DataError, match="at least 2 samples"):
        scorer_of().score(few.subset(torch.tensor([0])), context, generator())


def test_classes_of_one_sample_are_scored(few, context):
    data = few.subset(torch.tensor([0, 1, 2, 3, 8]))
    values = scorer_of(batch_size=2).score(data, context, generator()).values
    assert bool(((values >= 0) & (values <= 1)).all())
    assert float(values[4]) == 1.0  # its class is never seen when it is left out
