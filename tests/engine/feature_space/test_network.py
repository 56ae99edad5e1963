"""The fixed feature network: what its features are, that it stays the same, what it finds hard."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from condense.data import TrainingSet
from condense.engine.feature_space.network import (
    FeatureOptions,
    by_difficulty,
    difficulty_of_test,
    halves,
    network_key,
    penultimate,
    trained_network,
)
from condense.engine.training.batches import Batcher
from condense.engine.training.loop import predict
from condense.errors import OptionError

CPU = torch.device("cpu")
SMALL = {"component": "convnet", "width": 8}


def options(**changes):
    values = {"feature_network": SMALL, "feature_epochs": 3, "feature_batch_size": 15} | changes
    return FeatureOptions(**values)


@pytest.fixture
def sets(tiny_images):
    return TrainingSet.of(tiny_images), TrainingSet.of(tiny_images.test)


def test_features_are_what_the_last_linear_layer_turns_into_logits(context, sets):
    training, test = sets
    network = trained_network(training, test, context, options()).network
    found = penultimate(network, Batcher(test, CPU), batch_size=7)
    logits = found @ network.classifier.weight.T + network.classifier.bias
    assert torch.allclose(logits, predict(network, Batcher(test, CPU)), atol=1e-4)


def test_rows_have_length_one(context, sets):
    features = trained_network(*sets, context, options()).features(sets[1], CPU)
    assert features.shape[0] == len(sets[1])
    assert torch.allclose(features.norm(dim=1), torch.ones(len(features)))


def test_the_network_keeps_its_mode_and_no_hook_is_left(context, sets):
    network = trained_network(*sets, context, options()).network
    before = network.training
    penultimate(network, Batcher(sets[1], CPU))
    assert network.training is before
    assert not network.classifier._forward_pre_hooks


def test_a_network_without_a_linear_layer_is_an_error(sets):
    bare = nn.Sequential(nn.Flatten())
    with pytest.raises(OptionError, match=r"Sequential has no torch\.nn\.Linear"):
        penultimate(bare, Batcher(sets[1], CPU))


def test_it_is_trained_once_and_read_the_same(context, sets):
    first = trained_network(*sets, context, options())
    misses = context.cache.misses
    again = trained_network(*sets, context, options())
    assert context.cache.misses == misses
    for name, value in first.network.state_dict().items():
        assert torch.equal(value, again.network.state_dict()[name]), name
    assert torch.equal(first.features(sets[1], CPU), again.features(sets[1], CPU))


def test_the_test_split_leaves_the_network_as_it_is(context, sets):
    """Rated on other test samples, the same network comes out."""
    training, test = sets
    other = replace(test, inputs=255 - test.inputs)
    one = trained_network(training, test, context, options())
    two = trained_network(training, other, context, options())
    assert torch.equal(one.features(test, CPU), two.features(test, CPU))
    assert not torch.equal(one.error_norm, two.error_norm)


def test_it_rates_the_test_samples_after_the_last_epoch_as_the_network_does(context, sets):
    one = trained_network(*sets, context, options(feature_epochs=1))
    logits = predict(one.network, Batcher(sets[1], CPU))
    error = (logits.softmax(1) - torch.eye(3)[sets[1].labels]).norm(dim=1)
    assert torch.equal(one.wrong[0].bool(), logits.argmax(1) != sets[1].labels)
    assert torch.allclose(one.error_norm, error, atol=1e-5)


def test_the_key_follows_data_and_options_but_not_the_number_of_networks(context, sets):
    def key(training=sets[0], index=0, **changes):
        return network_key(training, sets[1], context, options(**changes), index)

    assert key() == key(networks=7)
    changed = [
        key(training=replace(sets[0], labels=sets[0].labels.roll(1))),
        key(index=1),
        key(feature_epochs=4),
        key(feature_seed=1),
        key(feature_network={"component": "convnet", "width": 9}),
        key(feature_augmentation="none"),
    ]
    assert all(other != key() for other in changed)


def test_difficulty_counts_epochs_and_breaks_ties_by_the_error(context, sets):
    o = options(networks=2)
    found = difficulty_of_test(*sets, context, o)
    passes = [trained_network(*sets, context, o, k) for k in range(2)]
    wrong = sum(p.wrong.sum(0).int() for p in passes)
    error = sum(p.error_norm for p in passes)
    assert found.dtype == torch.float32
    assert float(found.min()) >= 0
    assert float(found.max()) <= 1
    order = sorted(range(len(found)), key=lambda i: (int(wrong[i]), float(error[i])))
    assert found.argsort(stable=True).tolist() == order
    assert 0 < int(wrong.max())  # else only ties would have been compared


def test_halves_split_every_class_in_the_middle():
    labels = torch.tensor([0] * 5 + [1] * 4 + [2] * 3)
    difficulty = torch.tensor([5.0, 1, 4, 2, 3, 10, 40, 30, 20, 7, 7, 7])
    parts = halves(difficulty, labels)
    # class 0: two easy of five; class 1: two of four; class 2: two of three (the turn), by place
    assert parts.easy.tolist() == [1, 3, 5, 8, 9, 10]
    assert parts.hard.tolist() == [0, 2, 4, 6, 7, 11]


@pytest.mark.parametrize("sizes", [(1,), (3, 5, 7), (4, 4), (9, 2, 1, 1)])
def test_halves_differ_in_size_by_one_at_most(sizes):
    labels = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
    difficulty = torch.rand(len(labels), generator=torch.Generator().manual_seed(0))
    parts = halves(difficulty, labels)
    assert abs(len(parts.easy) - len(parts.hard)) <= 1
    assert sorted([*parts.easy.tolist(), *parts.hard.tolist()]) == list(range(len(labels)))
    for label in range(len(sizes)):
        easy = difficulty[parts.easy][labels[parts.easy] == label]
        hard = difficulty[parts.hard][labels[parts.hard] == label]
        assert abs(len(easy) - len(hard)) <= 1
        assert easy[:, None].le(hard).all()


def test_by_difficulty_by_hand():
    parts = halves(torch.tensor([0.1, 0.2, 0.3, 0.4]), torch.zeros(4, dtype=torch.long))
    shares = by_difficulty(torch.tensor([1.0, 0.5, 0.5, 0.0]), parts)
    assert shares == {"all": 0.5, "easy": 0.75, "hard": 0.25}
