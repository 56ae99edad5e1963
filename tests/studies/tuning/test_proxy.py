"""The training-free proxy: what it must get right, and that it repeats."""

import pytest
import torch

from condense.data import LabeledData, Normalization
from condense.engine.ingest.holdout import hold_out
from condense.errors import DataError
from condense.studies.tuning import KernelRidgeProxy
from condense.studies.tuning.proxy import thinned


def blobs(seed=0):
    """Two classes of 2-D points around (∓2, 0); the last 20 of each carry the other's label."""
    rng = torch.Generator().manual_seed(seed)
    labels = torch.arange(2).repeat_interleave(120)
    inputs = torch.randn((240, 2), generator=rng) * 0.5
    inputs[:, 0] += 4 * labels - 2.0
    wrong = torch.cat([torch.arange(100, 120), torch.arange(220, 240)])
    labels[wrong] = 1 - labels[wrong]
    return LabeledData(inputs, labels, ("a", "b"), Normalization((0.0,), (1.0,))), wrong


def test_clean_samples_teach_and_mislabelled_ones_mislead():
    data, wrong = blobs()
    clean = torch.ones(len(data), dtype=torch.bool)
    clean[wrong] = False
    rows = torch.nonzero(clean).flatten()
    proxy = KernelRidgeProxy(LabeledData(data.inputs, data.labels, data.classes, data.normalization,
                              test=data.subset(rows)))  # fmt: skip
    assert proxy.accuracy(rows[::4]) > 0.97
    assert proxy.accuracy(wrong) < 0.03


def test_it_repeats_and_the_unit_of_a_feature_does_not_matter(digits):
    part = hold_out(digits, 0.2, torch.Generator().manual_seed(0))
    chosen = torch.arange(0, len(part), 12)
    value = KernelRidgeProxy(part).accuracy(chosen)
    assert value == KernelRidgeProxy(part).accuracy(chosen)
    assert 0.8 < value < 1
    data, _ = blobs()
    part = hold_out(data, 0.3, torch.Generator().manual_seed(0))
    scaled = LabeledData(part.inputs * torch.tensor([1.0, 1000.0]), part.labels, part.classes,
                         part.normalization,
                         test=LabeledData(part.test.inputs * torch.tensor([1.0, 1000.0]),
                                          part.test.labels, part.classes,
                                          part.normalization))  # fmt: skip
    rows = torch.arange(0, len(part), 9)
    assert KernelRidgeProxy(scaled).accuracy(rows) == KernelRidgeProxy(part).accuracy(rows)


def test_constant_inputs_are_no_division_by_zero():
    labels = torch.arange(2).repeat(20)
    flat = LabeledData(torch.ones(40, 3), labels, ("a", "b"), Normalization((0.0,), (1.0,)))
    part = hold_out(flat, 0.5, torch.Generator())
    assert KernelRidgeProxy(part).accuracy(torch.arange(len(part))) == 0.5


def test_thinned_keeps_both_ends_and_even_distances():
    assert thinned(torch.arange(9), 3).tolist() == [0, 4, 8]
    assert thinned(torch.arange(3), 5).tolist() == [0, 1, 2]


def test_data_without_a_test_split_are_refused():
    with pytest.raises(DataError, match="has no test split to validate on"):
        KernelRidgeProxy(blobs()[0])
