"""The dataclasses that hold samples: names of items stay with their samples."""

from dataclasses import replace

import pytest
import torch

from condense.data import LabeledData, Normalization
from condense.engine.ingest.holdout import hold_out
from condense.errors import DataError
from condense.results import Scores


@pytest.fixture
def named():
    """Sample k has value k, class k mod 2 and the name of k."""
    values = torch.arange(8.0)[:, None]
    data = LabeledData(
        values, torch.arange(8) % 2, ("even", "odd"), Normalization((0.0,), (1.0,)), items=None
    )
    data = replace(data, items=tuple(f"n{k}" for k in range(8)))
    return replace(data, test=data)


def names_of(data):
    return tuple(f"n{int(v)}" for v in data.inputs.flatten())


def test_items_follow_their_samples(named):
    part = named.subset(torch.tensor([6, 1, 3]))
    assert part.items == ("n6", "n1", "n3")
    assert named.without_test().items == named.items
    held = hold_out(named, 0.5, torch.Generator().manual_seed(0))
    for split in (held, held.test):
        assert len(split) == 4
        assert split.items == names_of(split)


def test_items_are_one_a_sample_and_no_part_of_the_fingerprint(named):
    assert replace(named, items=None).fingerprint == named.fingerprint
    assert replace(named, items=None).subset(torch.tensor([1])).items is None
    with pytest.raises(DataError, match="2 names of items for 8 samples"):
        replace(named, items=("a", "b"))


def test_a_selection_depends_on_all_that_a_selector_sees_of_scores():
    values, other = torch.arange(3.0), torch.ones(3)
    every = [
        Scores(values, "x"),
        Scores(other, "x"),
        Scores(values, "x", standard_error=other),
        Scores(values, "x", companions={"aum": other}),
        Scores(values, "x", companions={"probability": other}),
        Scores(values, "x", other, {"aum": other}),
    ]
    assert len({scores.fingerprint for scores in every}) == len(every)
    labelled = Scores(values, "y", logits=torch.ones(3, 2))
    assert labelled.fingerprint == every[0].fingerprint
