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


def sized(*sizes):
    labels = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
    names = tuple(map(str, range(len(sizes))))
    norm = Normalization((0.0,), (1.0,))
    return LabeledData(torch.zeros(len(labels), 2), labels, names, norm)


@pytest.mark.parametrize(
    ("sizes", "budget", "told"),
    [
        # 9 + 9 + 80 of 1 000, and 0.1 · 1 000 = 100
        ((99, 99, 802), Budget(fraction=0.1), "keeps 98 of 1000 samples, not 100: of every class"),
        # 3 · 1 of 12, and round(0.1 · 12) = 1
        ((4, 4, 4), Budget(fraction=0.1), "keeps 3 of 12 samples, not 1: of every class its"),
        ((100, 900), Budget(fraction=0.1), ""),
        ((99, 901), Budget(ipc=9), ""),
    ],
)
def test_a_fraction_that_comes_to_other_than_its_share_is_said(sizes, budget, told):
    said = budget.rounding(sized(*sizes))
    assert told in said
    assert bool(told) == bool(said)


@pytest.mark.parametrize(
    ("sizes", "told"),
    [
        ((10, 0, 20), "`fraction=0.1` keeps 0 samples of class 1, as data has none; add some, or"),
        ((10, 0, 20, 0, 0), "keeps 0 samples of class 1 and 2 more, as data has none; add some"),
        ((10, 1, 20), ""),
    ],
)
def test_a_fraction_of_a_class_without_samples_is_said(sizes, told):
    said = Budget(fraction=0.1).empty(sized(*sizes))
    assert told in said
    assert bool(told) == bool(said)


def test_class_means_by_hand_and_zero_for_an_empty_class():
    inputs = torch.tensor([[[1.0, 3.0]], [[5.0, 7.0]], [[2.0, 2.0]]], dtype=torch.float64)
    inputs.requires_grad_()
    means = class_means(inputs, torch.tensor([0, 0, 2]), 3)
    assert means.dtype == torch.float64
    assert means.tolist() == [[3.0, 5.0], [0.0, 0.0], [2.0, 2.0]]
    means[0].sum().backward()
    assert inputs.grad.tolist() == [[[0.5, 0.5]], [[0.5, 0.5]], [[0.0, 0.0]]]
