"""``context.features``: what goes into the last linear layer of a network trained once."""

import pytest
import torch

from condense.data import TrainingSet
from condense.engine.context import EngineContext
from condense.engine.runtime.progress import SilentProgress
from condense.engine.runtime.rng import Seed
from condense.engine.runtime.store import Store
from condense.engine.training.batches import Batcher, network_inputs
from condense.engine.training.dynamics import DynamicsOptions
from condense.engine.training.loop import Training
from condense.engine.training.sgd import SgdOptions
from condense.errors import CondenseError, DataError
from condense.options import NetworkSpec, part_of
from condense.testing.toys import WatchedContext, reads_test, toy_data, toy_features

CPU = torch.device("cpu")
SMALL = SgdOptions(epochs=2, batch_size=15, network=NetworkSpec.of("convnet", width=8))


def stream(seed=0):
    return torch.Generator().manual_seed(seed)


def test_they_are_what_a_hook_sees_of_a_network_trained_by_hand(context, tiny_images):
    found = context.features(tiny_images, stream(3), SMALL)
    seed = Seed(3).fork("features")
    network = context.network(SMALL.network, tiny_images.geometry, seed.fork("init", 0).generator())
    Training(
        network,
        Batcher(TrainingSet.of(tiny_images), CPU),
        SMALL.schedule(len(tiny_images), CPU),
        context.augmentation(SMALL.augmentation),
        seed.fork("batches", 0).generator(),
    ).run()
    seen = []
    network.classifier.register_forward_hook(lambda module, given, logits: seen.append(given[0]))
    with torch.no_grad():
        network.eval()(network_inputs(tiny_images, torch.arange(len(tiny_images))))
    assert found.dtype == torch.float32
    assert found.device == CPU
    torch.testing.assert_close(found, seen[0].flatten(1), rtol=1e-4, atol=1e-5)


def test_they_are_made_once(context, tiny_images):
    first = context.features(tiny_images, stream(), SMALL)
    misses = context.cache.misses
    rng = stream()
    torch.rand(5, generator=rng)  # only its seed is read
    assert torch.equal(context.features(tiny_images, rng, SMALL), first)
    assert context.cache.misses == misses
    assert [entry.kind for entry in context.cache.entries()] == ["features"]
    other_seed = context.features(tiny_images, stream(1), SMALL)
    other_network = SMALL.model_copy(update={"epochs": 1})
    assert not torch.equal(other_seed, first)
    assert not torch.equal(context.features(tiny_images, stream(), other_network), first)


def test_equal_in_equal_out(host, tmp_path, tiny_images):
    def features(name):
        context = EngineContext(host, Store(tmp_path / name), CPU, SilentProgress())
        return context.features(tiny_images, stream(), SMALL)

    assert torch.equal(features("a"), features("b"))


def test_of_feature_data_they_are_the_inputs(context):
    data = toy_features()
    assert torch.equal(context.features(data, stream()), data.inputs)
    assert context.cache.misses == 0


def test_the_test_split_is_not_looked_at(host):
    context = WatchedContext(host)
    assert not reads_test(lambda data: context.features(data, stream(), SMALL), toy_data())


def test_defaults_are_those_of_the_dynamics_pass_whose_options_serve_too(context, tiny_images):
    assert part_of(SgdOptions, DynamicsOptions()) == SgdOptions() == part_of(SgdOptions, None)
    given = DynamicsOptions(**{name: getattr(SMALL, name) for name in SgdOptions.model_fields})
    context.features(tiny_images, stream(), given)
    misses = context.cache.misses
    context.features(tiny_images, stream(), SMALL)
    assert context.cache.misses == misses


def test_training_that_diverges_is_an_error(context, tiny_images):
    wild = SMALL.model_copy(update={"lr": 1e30})
    with pytest.raises(CondenseError, match=r"'convnet' diverged: .* lower its lr=1e\+30"):
        context.features(tiny_images, stream(), wild)
    assert not context.cache.entries()


def test_features_that_are_not_finite_are_an_error(context, tiny_images, monkeypatch):
    from condense.engine.feature_space import features

    plain = features.penultimate
    monkeypatch.setattr(features, "penultimate", lambda *given: plain(*given) / 0)
    with pytest.raises(DataError, match="not finite"):
        context.features(tiny_images, stream(), SMALL)
