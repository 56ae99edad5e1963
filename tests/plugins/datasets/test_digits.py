"""The embedded digits: shape, split and repeatability."""

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from condense_plugins.datasets.digits import Digits


def load():
    return Digits(Digits.Options()).load(context=None)


def test_digits_are_grey_uint8_split_in_proportion():
    data = load()
    assert data.inputs.shape == (1437, 8, 8, 1)
    assert data.inputs.dtype == torch.uint8
    assert (int(data.inputs.min()), int(data.inputs.max())) == (0, 255)
    assert data.test is not None
    assert data.test.inputs.shape == (360, 8, 8, 1)
    assert data.classes == tuple("0123456789")
    assert not data.flip
    counts, held = torch.bincount(data.labels), torch.bincount(data.test.labels)
    assert ((held / (counts + held) - 0.2).abs() < 0.01).all()


def test_they_are_those_of_scikit_learn_and_its_stratified_split():
    source, data = load_digits(), load()
    places = np.arange(len(source.target))
    train, test = train_test_split(places, test_size=0.2, stratify=source.target, random_state=0)
    images = np.rint(source.images * (255 / 16)).astype(np.uint8)[..., None]
    for found, rows in ((data, np.sort(train)), (data.test, np.sort(test))):
        assert np.array_equal(found.inputs, images[rows])
        assert np.array_equal(found.labels, source.target[rows])


def test_levels_are_the_sixteenths_rounded():
    assert set(load().inputs.unique().tolist()) == {round(k * 255 / 16 + 1e-9) for k in range(17)}


def test_digits_are_the_same_every_time_and_leave_global_randomness_alone():
    before = torch.get_rng_state()
    first, second = load(), load()
    assert first.fingerprint == second.fingerprint
    assert torch.equal(before, torch.get_rng_state())
