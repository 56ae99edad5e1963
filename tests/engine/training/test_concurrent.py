"""Trainings side by side: each as if alone, in whatever order, at the width that pays."""

import pytest
import torch

from condense.data import TrainingSet
from condense.engine.training import concurrent as active
from condense.engine.training.batches import Batcher
from condense.engine.training.concurrent import Width, train_concurrently
from condense.engine.training.loop import Training, train
from condense.engine.training.schedule import Schedule
from condense.options import AugmentationSpec, NetworkSpec

CPU = torch.device("cpu")


@pytest.fixture
def make(context, tiny_images):
    """A function that makes training ``number``, of as many steps as asked for."""
    batcher = Batcher(TrainingSet.of(tiny_images), CPU)
    augmentation = context.augmentation(AugmentationSpec.of("simple"))

    def make(number, steps=7):
        rng = torch.Generator().manual_seed(number)
        spec = NetworkSpec.of("convnet", width=4, depth=2)
        network = context.network(spec, tiny_images.geometry, rng)
        schedule = Schedule(steps, 20, 0.05, momentum=0.9, cosine_to=0.01)
        return Training(network, batcher, schedule, augmentation, rng)

    return make


def weights(training):
    return torch.cat([v.flatten().double() for v in training.network.state_dict().values()])


@pytest.mark.parametrize("max_concurrent", [None, 1, 2, 3, 9])
def test_each_is_trained_as_it_would_be_alone(make, max_concurrent):
    alone = [make(k) for k in range(4)]
    for t in alone:
        train(t.network, t.data, t.schedule, t.augmentation, t.rng)
    done = dict(train_concurrently((make(k) for k in range(4)), max_concurrent))
    assert sorted(done) == [0, 1, 2, 3]
    for k, training in done.items():
        assert torch.equal(weights(training), weights(alone[k]))


def test_the_shortest_is_done_first_and_the_next_takes_its_place(make):
    steps = [9, 2, 4]
    begun = []

    def trainings():
        for number, count in enumerate(steps):
            begun.append(number)
            yield make(number, count)

    each = train_concurrently(trainings(), 2)
    first, _ = next(each)
    assert (first, begun) == (1, [0, 1])  # the third is not made before there is room
    assert [position for position, _ in each] == [2, 0]
    assert begun == [0, 1, 2]


def test_nothing_to_train_is_no_error():
    assert list(train_concurrently([], None)) == []


def test_the_callers_numerics_are_its_own_between_two_trainings(make):
    bf16 = [make(0), make(1)]
    for training in bf16:
        object.__setattr__(training.schedule, "precision", "bf16")
    for _ in train_concurrently(bf16, 2):
        assert not torch.is_autocast_enabled("cpu")


def widths(rates, most=8, room=lambda now: True):
    """Widths settled on, one after the other, where ``rates[width]`` is what is measured."""
    width, seen = Width(most), []
    while width.now < width.most:
        width.timed(rates[width.now], room(width.now))
        seen.append(width.now)
    return seen


@pytest.mark.parametrize(
    ("rates", "expected"),
    [
        ({1: 10, 2: 20, 4: 40}, [2, 4, 8]),  # grows to the limit
        ({1: 10, 2: 19, 4: 20}, [2, 4, 2]),  # 5 % more is not worth it: taken back
        ({1: 10, 2: 9}, [2, 1]),
    ],
)
def test_width_doubles_while_that_pays(rates, expected):
    assert widths(rates) == expected


def test_width_does_not_grow_beyond_memory():
    assert widths({1: 10, 2: 20, 4: 40}, room=lambda now: now < 2) == [2, 2]


def test_the_clock_is_not_looked_at_when_too_few_are_left(make, monkeypatch):
    monkeypatch.setattr(active, "_clock", None)  # to look would be an error
    monkeypatch.setattr(Width, "of", staticmethod(lambda max_concurrent, device: Width(8, now=4)))
    assert len(list(train_concurrently((make(k, 90) for k in range(3)), None))) == 3


@pytest.mark.parametrize(
    ("max_concurrent", "device", "most", "now"),
    [(None, "cuda", active.MOST, 1), (None, "cpu", 1, 1), (3, "cuda", 3, 3), (3, "cpu", 3, 3)],
)
def test_what_at_once_means(max_concurrent, device, most, now):
    width = Width.of(max_concurrent, torch.device(device))
    assert (width.most, width.now) == (most, now)


def test_a_width_found_while_training_changes_no_result(make, monkeypatch):
    """As on a GPU: doubled twice, then taken back, with trainings paused meanwhile."""
    ticks = iter([0.0, 1.0, 1.0, 1.5, 1.5, 2.6])  # 1 at 5/s, 2 at 20/s, 4 at 18.2/s
    monkeypatch.setattr(active, "_clock", lambda device: next(ticks))
    monkeypatch.setattr(active, "SETTLING", 2)
    monkeypatch.setattr(active, "WINDOW", 5)
    seen = []
    real = Width.timed

    def timed(self, rate, room):
        seen.append((self.now, round(rate, 1)))
        real(self, rate, room)

    monkeypatch.setattr(Width, "timed", timed)
    monkeypatch.setattr(Width, "of", staticmethod(lambda max_concurrent, device: Width(8)))
    done = dict(train_concurrently((make(k, 60) for k in range(5)), None))
    assert seen == [(1, 5.0), (2, 20.0), (4, 18.2)]
    for k, training in done.items():
        alone = make(k, 60)
        train(alone.network, alone.data, alone.schedule, alone.augmentation, alone.rng)
        assert torch.equal(weights(training), weights(alone))
