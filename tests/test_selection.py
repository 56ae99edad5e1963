"""The order that selectors start from, by hand."""

import pytest
import torch

from condense.data import LabeledData, Normalization
from condense.engine.training.batches import class_means
from condense.errors import DataError, OptionError
from condense.results import Budget, Scores
from condense.selection import ranked_classes


@pytest.fixture
def data():
    labels = torch.tensor([1, 0, 1, 0, 0])
    return LabeledData(torch.zeros(5, 2), labels, ("ant", "bee"), Normalization((0.0,), (1.0,)))


def scores(*values):
    return Scores(torch.tensor(values), "by hand")


def test_classes_in_order_hardest_first_and_ties_as_in_the_data(data):
    got = list(ranked_classes(data, scores(1.0, 5.0, 2.0, 7.0, 5.0), Budget(ipc=2), "mine"))
    assert [(ranked.tolist(), count) for ranked, count in got] == [([3, 1, 4], 2), ([2, 0], 2)]


def test_no_scores_and_a_short_class_are_errors(data):
    with pytest.raises(OptionError, match="selector 'mine' needs scores; set a scorer"):
        list(ranked_classes(data, None, Budget(ipc=1), "mine"))
    with pytest.raises(DataError, match=r"class bee has 2 samples.*to at most 2 or"):
        list(ranked_classes(data, scores(1.0, 2.0, 3.0, 4.0, 5.0), Budget(ipc=3), "mine"))
    # the class that is named first is not the one that decides
    with pytest.raises(DataError, match=r"class ant has 3 .*to at most 2 \(all of class bee\) or"):
        list(ranked_classes(data, scores(1.0, 2.0, 3.0, 4.0, 5.0), Budget(ipc=4), "mine"))


def test_class_means_by_hand_and_zero_for_an_empty_class():
    inputs = torch.tensor([[[1.0, 3.0]], [[5.0, 7.0]], [[2.0, 2.0]]], dtype=torch.float64)
    inputs.requires_grad_()
    means = class_means(inputs, torch.tensor([0, 0, 2]), 3)
    assert means.dtype == torch.float64
    assert means.tolist() == [[3.0, 5.0], [0.0, 0.0], [2.0, 2.0]]
    means[0].sum().backward()
    assert inputs.grad.tolist() == [[[0.5, 0.5]], [[0.5, 0.5]], [[0.0, 0.0]]]
