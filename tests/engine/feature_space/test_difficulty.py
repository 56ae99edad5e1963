"""What the feature networks find hard, and the test split in halves by it."""

import pytest
import torch

from condense.data import TrainingSet
from condense.engine.feature_space.difficulty import by_difficulty, difficulty_of_test, halves
from condense.engine.feature_space.network import FeatureNetworks, FeatureOptions


def test_difficulty_counts_epochs_and_breaks_ties_by_the_error(context, tiny_images):
    sets = TrainingSet.of(tiny_images), TrainingSet.of(tiny_images.test)
    small = {"component": "convnet", "width": 8}
    o = FeatureOptions(networks=2, feature_network=small, feature_epochs=3, feature_batch_size=15)
    found = difficulty_of_test(FeatureNetworks(*sets, context, o))
    passes = [FeatureNetworks(*sets, context, o).trained(k) for k in range(2)]
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
