"""The validation split: stratified, disjoint, out of the training split alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from condense.data import LabeledData, Normalization
from condense.engine.ingest.holdout import fold, hold_out, validation_part
from condense.engine.runtime.rng import Seed
from condense.errors import DataError, OptionError

SIZES = (10, 25, 3)


@pytest.fixture
def data() -> LabeledData:
    labels = torch.cat([torch.full((n,), c) for c, n in enumerate(SIZES)])
    labels = labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(1))]
    inputs = torch.arange(len(labels)).float()[:, None]
    data = LabeledData(inputs, labels, ("a", "b", "c"), Normalization((0.0,), (1.0,)))
    return replace(data, test=LabeledData(-1 - inputs, labels, data.classes, data.normalization))


def test_every_class_is_split_and_nothing_is_lost(data):
    fit = hold_out(data, 0.2, torch.Generator().manual_seed(0))
    assert fit.test is not None
    assert torch.bincount(fit.test.labels).tolist() == [2, 5, 1]
    together = torch.cat([fit.inputs, fit.test.inputs]).flatten()
    assert torch.equal(together.sort().values, data.inputs.flatten())  # no test sample is in it
    for part in (fit, fit.test):
        places = part.inputs.flatten().long()
        assert torch.equal(places, places.sort().values)
        assert torch.equal(part.labels, data.labels[places])


def test_the_draw_is_the_generators(data):
    def part(seed: int) -> list[float]:
        held = hold_out(data, 0.3, torch.Generator().manual_seed(seed)).test
        assert held is not None
        return held.inputs.flatten().tolist()

    assert part(0) == part(0) != part(1)


def test_a_seed_means_the_same_part_everywhere(data):
    part = validation_part(data, 0.3, 7)
    same = hold_out(data, 0.3, Seed(7).fork("validation").generator())
    assert part.fingerprint == same.fingerprint
    assert part.fingerprint != validation_part(data, 0.3, 8).fingerprint
    assert part.test is not None
    assert part.test.labels.bincount().tolist() == [3, 7, 1]


@pytest.mark.parametrize("share", [0, 1, -0.5, 2])
def test_a_share_that_leaves_nothing_is_refused(data, share):
    with pytest.raises(OptionError, match=rf"\(0, 1\), got {share}"):
        hold_out(data, share, torch.Generator())


def test_a_class_too_small_is_named(data):
    lone = data.subset(torch.tensor([int(data.class_indices(0)[0]), *data.class_indices(1)]))
    with pytest.raises(DataError, match="class a has 1 sample"):
        hold_out(lone, 0.5, torch.Generator())


def test_folds_hold_out_every_sample_once_and_every_class_evenly(data):
    parts = [fold(data, number, 6, seed=3) for number in range(6)]
    held = [part.test for part in parts if part.test is not None]
    assert torch.cat([h.inputs for h in held]).flatten().sort().values.tolist() == list(range(38))
    assert [len(h) for h in held] == [7, 7, 6, 6, 6, 6]
    counts = torch.stack([torch.bincount(h.labels, minlength=3) for h in held])
    assert counts.sum(0).tolist() == list(SIZES)
    assert (counts.max(0).values - counts.min(0).values).max() == 1
    for part, own in zip(parts, held, strict=True):
        together = torch.cat([part.inputs, own.inputs]).flatten()
        assert torch.equal(together.sort().values, data.inputs.flatten())
    assert fold(data, 0, 6, seed=3).fingerprint == parts[0].fingerprint
    assert fold(data, 0, 6, seed=4).fingerprint != parts[0].fingerprint


def test_a_class_of_one_has_no_folds(data):
    lone = data.subset(torch.cat([data.class_indices(0), data.class_indices(1)[:1]]))
    with pytest.raises(DataError, match="class b has 1 sample"):
        fold(lone, 0, 6, seed=0)
