"""The training loop against a hand-written one, and what it promises about order and state."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from condense.data import Geometry, Role, TrainingSet
from condense.engine.runtime.rng import Seed
from condense.engine.training.batches import Batcher
from condense.engine.training.loop import BATCHES_DRAWN_AHEAD, Training, predict
from condense.engine.training.schedule import Schedule, batch_sizes, batches_per_epoch
from condense.options import AugmentationSpec, NetworkSpec
from condense.testing.toys import generator

CPU = torch.device("cpu")


class Recorder:
    """Keeps every batch, logit and epoch."""

    def __init__(self):
        self.batches, self.logits, self.ends = [], [], []

    def on_batch(self, indices, logits):
        assert not logits.requires_grad
        self.batches.append(indices.clone())
        self.logits.append(logits.clone())

    def on_epoch(self, done):
        self.ends.append((done, len(self.batches)))


class Scaling:
    """Multiplies each sample by a random number, and keeps what it was asked for."""

    name = "scaling"

    def __init__(self):
        self.applied = []

    def draw(self, role, geometry, rng):
        noise = torch.rand((*role.shape, 1), generator=rng, device=role.device)
        return 0.5 + noise + role[..., None]  # goes by role: distilled samples get more than 1.5

    def apply(self, inputs, draws):
        self.applied.append(draws.clone())
        return inputs * draws[:, :, None, None]


class Count:
    def __init__(self):
        self.done = 0

    def advance(self, n=1, **figures):
        self.done += n


@pytest.fixture
def none(context):
    return context.augmentation(AugmentationSpec.of("none"))


@pytest.fixture
def make_network(context, tiny_images):
    def make(kind="convnet", **options):
        spec = NetworkSpec.of(kind, **({"width": 4, "depth": 2} | options))
        return context.network(spec, tiny_images.geometry, generator(5))

    return make


def some(data, count):
    """The first ``count`` samples of a shuffle, every third of them called distilled."""
    part = data.subset(torch.randperm(len(data), generator=generator(9))[:count])
    whole = TrainingSet.of(part)
    role = (torch.arange(count) % 3 == 0).to(torch.uint8) * int(Role.DISTILLED)
    return Batcher(
        TrainingSet(whole.inputs, whole.labels, role, whole.normalization, whole.geometry), CPU
    )


def images_of(data, batcher):
    """Normalised images by the formula, whatever the batcher does."""
    mean, std = (
        torch.tensor(v)[:, None, None] for v in (data.normalization.mean, data.normalization.std)
    )
    return (batcher.inputs.permute(0, 3, 1, 2).float() / 255 - mean) / std


def weights(network):
    return torch.cat([p.detach().flatten() for p in network.parameters()])


@pytest.mark.parametrize("count", [40, 45, 7], ids=["whole", "partial", "smaller than a batch"])
@pytest.mark.parametrize("cosine", [None, 0.01])
def test_equal_to_a_plain_loop(count, cosine, tiny_images, make_network):
    schedule = Schedule(23, 10, lr=0.05, momentum=0.9, weight_decay=5e-3, cosine_to=cosine)
    data, augmentation, recorder = some(tiny_images, count), Scaling(), Recorder()
    network = make_network()
    Training(network, data, schedule, augmentation, generator(1), callback=recorder).run()

    plain = make_network().train()
    images, size = images_of(tiny_images, data), math.ceil(count / 10)
    epochs = math.ceil(23 / size)
    optimizer = torch.optim.SGD(
        plain.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-3, foreach=False, fused=False
    )
    for step in range(23):
        if cosine:
            turn = math.cos(math.pi * (step // size) / (epochs - 1))
            optimizer.param_groups[0]["lr"] = 0.0005 + 0.0495 * (1 + turn) / 2
        index, scale = recorder.batches[step], augmentation.applied[step]
        logits = plain(images[index] * scale[:, :, None, None])
        torch.testing.assert_close(recorder.logits[step], logits, rtol=1e-3, atol=1e-4)
        optimizer.zero_grad()
        F.cross_entropy(logits, data.labels[index]).backward()
        optimizer.step()
    torch.testing.assert_close(weights(network), weights(plain), rtol=0, atol=1e-5)
    for (name, buffer), other in zip(network.named_buffers(), plain.buffers(), strict=True):
        torch.testing.assert_close(buffer, other, rtol=1e-4, atol=1e-5, msg=name)


@pytest.mark.parametrize(
    ("samples", "batch_size", "sizes"),
    [
        (40, 10, [10, 10, 10, 10]), (45, 10, [10, 10, 10, 10, 5]), (7, 10, [7]), (1, 10, [1]),
        (42, 10, [10, 10, 10, 10, 2]), (3, 1, [1, 1, 1]), (3, 2, [2, 1]),
        # nobody is alone
        (41, 10, [10, 10, 10, 6, 5]), (11, 10, [6, 5]), (4, 3, [2, 2]), (65, 64, [33, 32]),
    ],
)  # fmt: skip
def test_sizes_of_batches(samples, batch_size, sizes):
    assert batch_sizes(samples, batch_size) == sizes
    assert batches_per_epoch(samples, batch_size) == len(sizes)


def test_a_sample_too_many_for_a_batch_does_no_harm(make_network, none):
    """Two features that tell two classes apart, 9 samples of them: a network learns all of them.

    In a batch of its own a sample is its own mean, and batch norm makes 0 of it.
    """
    labels = torch.arange(9) % 2
    inputs = torch.randn(9, 2, generator=generator()) + 3 * F.one_hot(labels, 2)
    role = torch.zeros(9, dtype=torch.uint8)
    data = Batcher(TrainingSet(inputs, labels, role, None, Geometry((2,), 2)), CPU)
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(2, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 2))
    recorder = Recorder()
    Training(network, data, Schedule(60, 8, 0.1), none, generator(), callback=recorder).run()
    assert {len(batch) for batch in recorder.batches} == {5, 4}
    assert (predict(network, data).argmax(1) == labels).all()


@pytest.mark.parametrize(
    ("count", "size"), [(40, 10), (45, 10), (7, 10), (90, 1), (3, 2), (41, 10), (11, 10)]
)
def test_every_epoch_is_a_permutation_with_its_partial_batch(
    count, size, tiny_images, make_network, none
):
    per_epoch, sizes = math.ceil(count / size), batch_sizes(count, size)
    epochs = (
        BATCHES_DRAWN_AHEAD // max(count // min(size, count), 1) + 2
    )  # more than are drawn at once
    recorder = Recorder()
    network = make_network("mlp", depth=0)
    data = some(tiny_images, count)
    Training(
        network,
        data,
        Schedule(epochs * per_epoch, size, 0.01),
        none,
        generator(),
        callback=recorder,
    ).run()
    assert batches_per_epoch(count, size) == per_epoch
    assert recorder.ends == [(e + 1, (e + 1) * per_epoch) for e in range(epochs)]
    orders = []
    for e in range(epochs):
        batches = recorder.batches[e * per_epoch : (e + 1) * per_epoch]
        assert [len(b) for b in batches] == sizes
        orders.append(torch.cat(batches))
        assert sorted(orders[-1].tolist()) == list(range(count))
    if count > 10:
        assert len({tuple(o.tolist()) for o in orders}) == epochs


def test_steps_may_end_within_an_epoch(tiny_images, make_network, none):
    recorder, task = Recorder(), Count()
    Training(
        make_network("mlp"), some(tiny_images, 45), Schedule(13, 10, 0.01), none, generator(),
        callback=recorder, task=task,
    ).run()  # fmt: skip
    assert len(recorder.batches) == task.done == 13
    assert recorder.ends == [(1, 5), (2, 10)]  # whole epochs only


def test_augmentation_is_told_the_roles_of_the_batch(tiny_images, make_network):
    data, augmentation, recorder = some(tiny_images, 45), Scaling(), Recorder()
    Training(
        make_network("mlp"),
        data,
        Schedule(10, 10, 0.01),
        augmentation,
        generator(),
        callback=recorder,
    ).run()
    for index, draws in zip(recorder.batches, augmentation.applied, strict=True):
        assert torch.equal(draws.flatten() > 1.5, data.role[index] == Role.DISTILLED)


# schedule


def test_cosine_starts_at_the_rate_and_ends_at_one_percent():
    schedule = Schedule(100, 10, lr=0.2, cosine_to=0.01)
    rates = [schedule.lr_at(e, 11) for e in range(11)]
    assert rates[0] == pytest.approx(0.2)
    assert rates[5] == pytest.approx((0.2 + 0.002) / 2)
    assert rates[-1] == pytest.approx(0.002)
    assert rates == sorted(rates, reverse=True)
    assert schedule.lr_at(0, 1) == pytest.approx(0.2)


def test_without_cosine_the_rate_is_constant():
    assert {Schedule(100, 10, lr=0.2).lr_at(e, 7) for e in range(7)} == {0.2}


# of 0.2 down to 0.002 by a cosine, by hand: after a quarter, half and three quarters of the way
QUARTERS = [0.2, 0.171003571, 0.101, 0.030996429, 0.002]


@pytest.mark.parametrize(
    ("epochs", "steps", "per_epoch", "at", "rates"),
    [
        (1, 5, 5, range(5), QUARTERS),
        (1, 1, 5, [0], [0.2]),
        (2, 5, 3, range(5), QUARTERS),
        (9, 17, 2, range(0, 17, 4), QUARTERS),
        # once an epoch: cos(3π/9) = ½, cos(6π/9) = −½
        (10, 19, 2, [0, 1, 6, 7, 12, 13, 18], [0.2, 0.2, 0.1505, 0.1505, 0.0515, 0.0515, 0.002]),
    ],
)
def test_rates_of_so_many_steps_by_hand(epochs, steps, per_epoch, at, rates):
    schedule = Schedule(steps, 10, lr=0.2, cosine_to=0.01, in_steps=True)
    assert math.ceil(steps / per_epoch) == epochs
    assert [schedule.lr_of(k, per_epoch) for k in at] == pytest.approx(rates)
    every = [schedule.lr_of(k, per_epoch) for k in range(steps)]
    assert every == sorted(every, reverse=True)
    assert len(set(every)) == (steps if epochs < 10 else epochs)


@pytest.mark.parametrize("epochs", [1, 2, 9, 10, 40])
def test_so_many_epochs_have_one_rate_each_however_they_are_given(epochs):
    given = {"batch_size": 10, "lr": 0.2, "cosine_to": 0.01}
    plain = Schedule(3 * epochs, **given)
    rates = [plain.lr_of(k, 3) for k in range(3 * epochs)]
    assert rates == [plain.lr_at(e, epochs) for e in range(epochs) for _ in range(3)]
    counted = Schedule(3 * epochs, **given, in_steps=True)
    assert ([counted.lr_of(k, 3) for k in range(3 * epochs)] == rates) == (epochs >= 10)


@pytest.mark.parametrize(("steps", "in_steps"), [(12, False), (10, False), (12, True), (4, True)])
def test_the_last_epoch_runs_at_one_percent(steps, in_steps, tiny_images, make_network, none):
    """Seen from outside, in how far the weights of a linear model without momentum move."""

    class Weights(Recorder):
        def __init__(self, network):
            super().__init__()
            self.network, self.kept = network, [weights(network)]

        def on_batch(self, indices, logits):
            super().on_batch(indices, logits)
            self.kept.append(weights(self.network))

    network = make_network("mlp", depth=0)
    seen, data = Weights(network), some(tiny_images, 20)
    schedule = Schedule(steps, 5, 0.1, cosine_to=0.01, in_steps=in_steps)
    Training(network, data, schedule, none, generator(), callback=seen).run()
    images, rates = images_of(tiny_images, data), []
    for index, before, after in zip(seen.batches, seen.kept, seen.kept[1:], strict=False):
        weight, bias = before[:-3].view(3, -1).clone().requires_grad_(), before[-3:]
        loss = F.cross_entropy(images[index].flatten(1) @ weight.T + bias, data.labels[index])
        (gradient,) = torch.autograd.grad(loss, weight)
        rates.append(float((before - after)[:-3].norm() / gradient.norm()))
    expected = [0.1] * 4 + [0.0505] * 4 + [0.001] * (steps - 8)
    if in_steps:  # in one epoch or three, the last step
        turns = [math.cos(math.pi * k / (steps - 1)) for k in range(steps)]
        expected = [0.001 + 0.099 * (1 + turn) / 2 for turn in turns]
    assert rates == pytest.approx(expected, rel=1e-2)


# determinism and state


def test_same_generator_same_bits(tiny_images, make_network, context):
    augmentation = context.augmentation(AugmentationSpec.of("combined"))
    state = torch.get_rng_state()
    results = []
    for seed in (1, 1, 2):
        network = make_network()
        schedule = Schedule(20, 10, 0.05, 0.9, 5e-4, 0.01)
        Training(network, some(tiny_images, 45), schedule, augmentation, generator(seed)).run()
        results.append(weights(network))
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])
    assert torch.equal(torch.get_rng_state(), state)


def test_training_does_not_touch_the_data(tiny_images, make_network, none):
    data = some(tiny_images, 45)
    before = [t.clone() for t in (data.inputs, data.labels, data.role)]
    Training(make_network(), data, Schedule(10, 10, 0.05), none, generator()).run()
    for tensor, copy in zip((data.inputs, data.labels, data.role), before, strict=True):
        assert torch.equal(tensor, copy)


def test_training_learns(tiny_images, make_network, none):
    test = Batcher(TrainingSet.of(tiny_images.test), CPU)
    network = make_network()
    data = Batcher(TrainingSet.of(tiny_images), CPU)
    Training(network, data, Schedule(60, 30, 0.1, 0.9), none, generator()).run()
    assert float((predict(network, test).argmax(1) == test.labels).float().mean()) > 0.9


def test_dropout_draws_from_a_stream_of_the_training(tiny_images, none):
    """As a plain loop whose global generator nobody else draws from."""
    geometry, data = tiny_images.geometry, some(tiny_images, 45)

    class Dropping(nn.Module):
        def __init__(self):
            super().__init__()
            self.last = nn.Linear(math.prod(geometry.shape), geometry.classes)
            nn.init.zeros_(self.last.weight)

        def forward(self, inputs):
            return self.last(F.dropout(inputs.flatten(1), 0.5, self.training))

    class Meddling(Recorder):
        def on_batch(self, indices, logits):
            super().on_batch(indices, logits)
            torch.rand(7)

    torch.manual_seed(3)
    recorder, network = Meddling(), Dropping()
    network.last.bias.data.zero_()
    Training(network, data, Schedule(9, 10, 0.1), none, generator(1), callback=recorder).run()
    outside = torch.get_rng_state()
    torch.manual_seed(3)
    plain = Dropping().train()
    torch.rand(9, 7)
    assert torch.equal(outside, torch.get_rng_state())

    plain.last.bias.data.zero_()
    images = images_of(tiny_images, data)
    torch.manual_seed(Seed(1).fork("dropout").value)
    for indices, logits in zip(recorder.batches, recorder.logits, strict=True):
        wanted = plain(images[indices])
        torch.testing.assert_close(logits, wanted, rtol=1e-3, atol=1e-4)
        loss = F.cross_entropy(wanted, data.labels[indices])
        moved = [*plain.parameters()]
        for p, g in zip(moved, torch.autograd.grad(loss, moved), strict=True):
            p.data -= 0.1 * g
    torch.testing.assert_close(weights(network), weights(plain), rtol=1e-3, atol=1e-4)


# prediction


@pytest.mark.parametrize("training", [True, False])
def test_predict_is_eval_mode_and_restores_the_mode(training, tiny_images, make_network):
    network = nn.Sequential(make_network(), nn.Dropout(0.5)).train(training)
    data = some(tiny_images, 45)
    buffers = [b.clone() for b in network.buffers()]
    logits = predict(network, data, batch_size=10)
    assert network.training is training
    assert all(m.training is training for m in network.modules())
    for buffer, before in zip(network.buffers(), buffers, strict=True):
        assert torch.equal(buffer, before)
    assert logits.shape == (45, 3)
    assert not logits.requires_grad
    network.eval()
    with torch.no_grad():
        expected = network(images_of(tiny_images, data))
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-5)


def test_predict_restores_the_mode_after_an_error(tiny_images):
    class Failing(nn.Module):
        def forward(self, inputs):
            raise RuntimeError("out of order")

    network = Failing().train()
    with pytest.raises(RuntimeError, match="out of order"):
        predict(network, some(tiny_images, 5))
    assert network.training


def test_predict_does_not_depend_on_the_batch_size(tiny_images, make_network):
    network, data = make_network(), some(tiny_images, 45)
    one, other = (predict(network, data, batch_size=b) for b in (1000, 7))
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
