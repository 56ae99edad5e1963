"""Near copies among samples: those that were planted, and none where there are none."""

import numpy as np
import pytest
import torch

from condense import labeled_data
from condense.engine.feature_space import near_copies as module
from condense.engine.feature_space.near_copies import NearCopies, near_copies_in
from condense.engine.ingest.copies import copies_in
from condense.report.diagnosis.checks import check_near_copies


@pytest.fixture
def planted():
    """300 points in 12 dimensions with copies at places 295 to 299, and some in the test split."""
    rng = np.random.default_rng(0)
    points, labels = rng.normal(size=(300, 12)), np.arange(300) % 2
    tests = rng.normal(size=(50, 12))
    for place, (of, noise) in enumerate([(0, 1e-3), (1, 2e-3), (2, 3e-3), (5, 0.1), (9, 0)], 295):
        points[place] = points[of] + noise
    labels[295:300] = [labels[0], 1 - labels[1], labels[2], labels[5], labels[9]]
    tests[7], tests[8], tests[9] = points[20] + 5e-3, points[30], tests[3] + 1e-3
    scale = 10.0 ** np.arange(-6, 6)  # units say nothing
    return points * scale, labels, tests * scale, np.arange(50) % 2


def test_those_that_were_planted_are_found(planted):
    points, labels, tests, held = planted
    data = labeled_data(points, labels, test=(tests, held))
    found = near_copies_in(data)
    # what is equal to the byte is another finding, and two test samples may be as alike as they are
    assert (found.samples, found.copies, found.mislabeled) == (300, 4, 1)
    assert (found.test_samples, found.tested) == (50, 1)
    assert [pair[:2] for pair in found.nearest] == [("0", "295"), ("1", "296"), ("2", "297")]
    assert (copies_in(data).copies, copies_in(data).tested) == (1, 1)

    seen = (points - points.mean(0)) / points.std(0)
    distances = np.linalg.norm(seen[:, None] - seen[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    distances[:, 299] = np.inf  # the exact copy
    both = np.concatenate([seen, (tests - points.mean(0)) / points.std(0)])
    for one, two, share in found.nearest:
        tenth = [
            np.sort(np.delete(np.linalg.norm(both - both[int(k)], axis=1), [299, 330]))[10]
            for k in (one, two)
        ]
        # neighbours are found along the first axes, so that the tenth of them may lie farther
        exact = distances[int(one), int(two)] / max(tenth)
        assert 0.5 * exact < share < 1.01 * exact


def test_names_and_images(planted):
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, (40, 8, 8, 3)).astype(np.uint8)
    images[33] = images[4]
    images[33, 0, 0, 0] ^= 1
    tests = np.stack([images[7], images[9]])
    tests[1, 3, 3, 1] ^= 3
    names = [f"{k}.png" for k in range(40)]
    held = (tests, [1, 1])
    data = labeled_data(images, np.arange(40) % 2, test=held, items=(names, None))
    found = near_copies_in(data)
    assert {pair[:2] for pair in found.nearest} == {
        ("4.png", "33.png"),
        ("9.png", "1 of the test split"),
    }
    assert (found.copies, found.mislabeled, found.tested) == (1, 1, 1)


@pytest.mark.parametrize("name", ["digits", "wine", "breast_cancer", "iris"])
def test_sound_data_have_none(name):
    from sklearn import datasets

    X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    assert near_copies_in(labeled_data(X, y)).copies == 0


def test_what_is_left_alone(planted, monkeypatch):
    points, labels, *_ = planted
    few = labeled_data(points[:10], labels[:10])
    assert near_copies_in(few) is None
    broken = labeled_data(points, labels)
    broken.inputs[3, 3] = torch.nan  # as a plugin might load them
    assert near_copies_in(broken) is None
    state = torch.random.get_rng_state()
    assert near_copies_in(labeled_data(points, labels)).copies == 4
    assert torch.equal(torch.random.get_rng_state(), state)
    looked = []
    monkeypatch.setattr(module, "_found", looked.append)
    assert near_copies_in(labeled_data(points, labels)).copies == 4  # remembered, by content
    assert looked == []
    monkeypatch.setattr(module, "VALUES", 300 * 12 - 1)
    assert near_copies_in(labeled_data(points, labels)) is None


def test_what_is_said_of_them():
    assert check_near_copies(NearCopies(100, 0, 0, 0, 50, ())) is None
    pairs = (("a.png", "b.png", 0.01), ("c.png", "3 of the test split", 0.1))
    found = check_near_copies(NearCopies(1000, 3, 1, 1, 100, pairs))
    assert (found.code, found.severity) == ("near-copies", "look")
    assert found.seen == (
        "3 of 1000 training samples are nearly equal to another, 1 under another label, 1 of 100 "
        "test samples are nearly equal to training samples (nearest: a.png and b.png; c.png and "
        "3 of the test split)"
    )
    assert check_near_copies(NearCopies(1000, 0, 0, 2, 100, pairs)).severity == "problem"


def test_large_images_are_reduced_and_the_nearest_looked_at(monkeypatch):
    rng = np.random.default_rng(3)
    images = rng.integers(0, 256, (60, 41, 38, 3)).astype(np.uint8)
    images[40:50] = images[:10] ^ 1
    data = labeled_data(images, np.arange(60) % 2)
    found = near_copies_in(data)
    assert (found.copies, found.mislabeled) == (10, 0)
    samples = module._Samples([data], torch.arange(60))
    small, every = samples.reduced(), samples.rows(torch.arange(60)).flatten(1)
    assert small.shape[1] <= module.REDUCED
    apart, in_full = (torch.cdist(x, x, compute_mode=module.EXACT) for x in (small, every))
    assert (apart <= in_full * (1 + 1e-5)).all()
    monkeypatch.setattr(module, "LOOKED", 11 * 3 * samples.size)  # three samples
    assert len(module._pairs(samples)) in (2, 3)
