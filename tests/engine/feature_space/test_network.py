"""The fixed feature network: what its features are, that it stays the same."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from condense.data import TrainingSet
from condense.engine.feature_space.features import penultimate
from condense.engine.feature_space.network import FeatureNetworks, FeatureOptions
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
    network = FeatureNetworks(training, test, context, options()).trained().network
    found = penultimate(network, Batcher(test, CPU), batch_size=7)
    logits = found @ network.classifier.weight.T + network.classifier.bias
    assert torch.allclose(logits, predict(network, Batcher(test, CPU)), atol=1e-4)


def test_rows_have_length_one(context, sets):
    features = FeatureNetworks(*sets, context, options()).trained().features(sets[1], CPU)
    assert features.shape[0] == len(sets[1])
    assert torch.allclose(features.norm(dim=1), torch.ones(len(features)))


def test_the_network_keeps_its_mode_and_no_hook_is_left(context, sets):
    network = FeatureNetworks(*sets, context, options()).trained().network
    before = network.training
    penultimate(network, Batcher(sets[1], CPU))
    assert network.training is before
    assert not network.classifier._forward_pre_hooks


def test_a_network_without_a_linear_layer_is_an_error(sets):
    bare = nn.Sequential(nn.Flatten())
    with pytest.raises(OptionError, match=r"Sequential has no torch\.nn\.Linear"):
        penultimate(bare, Batcher(sets[1], CPU))


def test_it_is_trained_once_and_read_the_same(context, sets):
    first = FeatureNetworks(*sets, context, options()).trained()
    misses = context.cache.misses
    again = FeatureNetworks(*sets, context, options()).trained()
    assert context.cache.misses == misses
    for name, value in first.network.state_dict().items():
        assert torch.equal(value, again.network.state_dict()[name]), name
    assert torch.equal(first.features(sets[1], CPU), again.features(sets[1], CPU))


def test_the_test_split_leaves_the_network_as_it_is(context, sets):
    """Rated on other test samples, the same network comes out."""
    training, test = sets
    other = replace(test, inputs=255 - test.inputs)
    one = FeatureNetworks(training, test, context, options()).trained()
    two = FeatureNetworks(training, other, context, options()).trained()
    assert torch.equal(one.features(test, CPU), two.features(test, CPU))
    assert not torch.equal(one.error_norm, two.error_norm)


def test_it_rates_the_test_samples_after_the_last_epoch_as_the_network_does(context, sets):
    one = FeatureNetworks(*sets, context, options(feature_epochs=1)).trained()
    logits = predict(one.network, Batcher(sets[1], CPU))
    error = (logits.softmax(1) - torch.eye(3)[sets[1].labels]).norm(dim=1)
    assert torch.equal(one.wrong[0].bool(), logits.argmax(1) != sets[1].labels)
    assert torch.allclose(one.error_norm, error, atol=1e-5)


def test_the_key_follows_data_and_options_but_not_the_number_of_networks(context, sets):
    def key(training=sets[0], index=0, **changes):
        return FeatureNetworks(training, sets[1], context, options(**changes)).key(index)

    assert key() == key(networks=7)
    changed = [
        key(training=replace(sets[0], labels=sets[0].labels.roll(1))),
        key(index=1),
        key(feature_epochs=4),
        key(feature_seed=1),
        key(feature_precision="bf16"),
        key(feature_network={"component": "convnet", "width": 9}),
        key(feature_augmentation="none"),
    ]
    assert all(other != key() for other in changed)
