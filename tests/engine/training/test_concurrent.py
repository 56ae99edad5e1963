"""Trainings side by side: each as if alone, in whatever order, as many as there is room for."""

from types import SimpleNamespace

import pytest
import torch

from condense.data import TrainingSet
from condense.engine.training import concurrent as active
from condense.engine.training.batches import Batcher
from condense.engine.training.concurrent import MAX_ON_GPU, _has_room, train_concurrently
from condense.engine.training.loop import Training
from condense.engine.training.schedule import Schedule
from condense.options import AugmentationSpec, NetworkSpec

CPU = torch.device("cpu")


@pytest.fixture
def make(context, tiny_images):
    """A function that makes training ``number``, of as many steps as asked for."""
    batcher = Batcher(TrainingSet.of(tiny_images), CPU)
    augmentation = context.augmentation(AugmentationSpec.of("simple"))

    def make(number, steps=7, dropout=0.0):
        rng = torch.Generator().manual_seed(number)
        spec = NetworkSpec.of("convnet", width=4, depth=2)
        network = context.network(spec, tiny_images.geometry, rng)
        network = torch.nn.Sequential(network, torch.nn.Dropout(dropout))
        # two epochs, so that every step has a rate of its own
        schedule = Schedule(steps, 20, 0.05, momentum=0.9, cosine_to=0.01, in_steps=True)
        return Training(network, batcher, schedule, augmentation, rng)

    return make


def weights(training):
    return torch.cat([v.flatten().double() for v in training.network.state_dict().values()])


@pytest.mark.parametrize("max_concurrent", [None, 1, 2, 3, 9])
def test_each_is_trained_as_it_would_be_alone(make, max_concurrent):
    alone = [make(k) for k in range(4)]
    for t in alone:
        Training(t.network, t.data, t.schedule, t.augmentation, t.rng).run()
    done = dict(train_concurrently((make(k) for k in range(4)), max_concurrent))
    assert sorted(done) == [0, 1, 2, 3]
    for k, training in done.items():
        assert torch.equal(weights(training), weights(alone[k]))


def test_dropout_of_one_does_not_depend_on_the_others(make):
    """Every second one draws as it steps, between the steps of the others."""
    found = []
    for max_concurrent in (1, 4):
        torch.rand(max_concurrent)
        trainings = (make(k, dropout=k % 2 / 2) for k in range(4))
        done = dict(train_concurrently(trainings, max_concurrent))
        found.append([weights(done[k]) for k in range(4)])
    assert all(map(torch.equal, *found))
    plain = dict(train_concurrently(make(k) for k in range(4)))
    same = [torch.equal(weights(plain[k]), found[0][k]) for k in range(4)]
    assert same == [True, False, True, False]


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


class _Gpu:
    """A CUDA device by name, and its memory: so much for each training begun."""

    def __init__(self, monkeypatch, total, each):
        self.total, self.each, self.begun = total, each, 0
        monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: self.used)
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (total - self.used, total))

    @property
    def used(self):
        return self.begun * self.each


@pytest.mark.parametrize(
    ("total", "each", "asked", "expected"),
    [
        (1000, 1, None, MAX_ON_GPU),
        (100, 20, None, 3),  # three take 60 and leave 40, which is not more than twice 20
        (100, 60, None, 1),
        (100, 60, 4, 4),  # asked for
    ],
)
def test_a_gpu_takes_as_many_as_its_memory_has_room_for(monkeypatch, total, each, asked, expected):
    gpu = _Gpu(monkeypatch, total, each)
    device = torch.device("cuda")
    running = []
    while _has_room(running, asked):
        running.append(
            SimpleNamespace(training=SimpleNamespace(data=SimpleNamespace(device=device)))
        )
        gpu.begun += 1
    assert len(running) == expected


def test_one_has_made_a_step_before_room_is_looked_for(make, monkeypatch):
    """Only then its memory is known."""
    seen = []

    def room(running, max_concurrent):
        seen.append([one.training.rng.get_state().sum().item() for one in running])
        return len(running) < 2

    fresh = make(0).rng.get_state().sum().item()
    monkeypatch.setattr(active, "_has_room", room)
    assert len(list(train_concurrently([make(0), make(1)]))) == 2
    assert [len(states) for states in seen] == [0, 1, 2, 1, 0]
    assert seen[1] != [fresh]
