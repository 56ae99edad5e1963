"""Disagreement with the neighbours' labels, against brute force and planted wrong labels."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from condense.data import LabeledData, Normalization
from condense.engine.checked import run_scorer
from condense.engine.feature_space.neighbours import nearest_others
from condense.engine.feature_space.principal import principal_components
from condense.engine.ingest.from_user import labeled_data
from condense.errors import DataError, OptionError
from condense.testing.toys import generator
from condense_plugins.scorers.knn import KnnScorer


def create(**options):
    return KnnScorer(KnnScorer.Options(**options))


def features(samples, labels, std=(1.0, 1.0)):
    return LabeledData(samples, labels, ("a", "b"), Normalization((0.0, 0.0), std), name="points")


def disagreement(points, labels, count):
    """By the full matrix of distances."""
    away = np.linalg.norm(points[:, None].astype(float) - points[None].astype(float), axis=2)
    np.fill_diagonal(away, np.inf)
    nearest = away.argsort(axis=1)[:, :count]
    return (labels[nearest] != labels[:, None]).mean(axis=1)


@pytest.mark.parametrize("count", [1, 5, 39])
def test_brute_force_on_features(count):
    rng = generator(3)
    points, labels = torch.randn(40, 2, generator=rng), torch.randint(0, 2, (40,), generator=rng)
    found = run_scorer(create(neighbours=count), features(points, labels), None, generator())
    expected = disagreement(points.numpy(), labels.numpy(), count)
    assert found.values.numpy() == pytest.approx(expected)
    assert found.estimator == f"knn ({count} neighbours)"


def test_more_neighbours_than_there_are_others_are_refused():
    points, labels = torch.randn(40, 2, generator=generator(3)), torch.arange(40) % 2
    wrong = "`scorer.neighbours=40`: points has 40 training samples, of which each has 39 others"
    with pytest.raises(OptionError, match=wrong):
        create(neighbours=40).score(features(points, labels), None, generator())


def test_a_column_in_other_units_counts_no_more():
    rng = generator(4)
    points, labels = torch.randn(40, 2, generator=rng), torch.randint(0, 2, (40,), generator=rng)
    wide = points * torch.tensor([1.0, 1000.0])
    scores = [
        create(neighbours=5).score(features(*given), None, generator()).values
        for given in ((points, labels), (wide, labels, (1.0, 1000.0)))
    ]
    assert torch.equal(*scores)


def test_brute_force_on_the_principal_components_of_pixels(digits):
    from sklearn.decomposition import PCA

    data = digits.subset(torch.arange(300))
    pixels = data.inputs.flatten(1).numpy() / 255
    found = create(components=8).score(data, None, generator()).values.numpy()
    points = PCA(8, svd_solver="full").fit_transform(pixels)
    assert found == pytest.approx(disagreement(points, data.labels.numpy(), 10))
    # all 64 are the pixels themselves
    found = create().score(data, None, generator()).values.numpy()
    assert found == pytest.approx(disagreement(pixels, data.labels.numpy(), 10))


def test_a_sample_is_not_its_own_neighbour_but_its_copies_are():
    points = torch.tensor([[0.0, 0.0]] * 5 + [[9.0, 9.0], [9.0, 9.0], [20.0, 0.0]])
    near = nearest_others(points, 2)
    assert all(n not in row for n, row in enumerate(near.tolist()))
    labels = torch.tensor([0, 0, 0, 0, 1, 1, 0, 1])
    scores = create(neighbours=1).score(features(points, labels), None, generator()).values
    assert scores[5:7].tolist() == [1, 1]  # each other's
    assert float(scores[4]) == 1  # whichever copy is asked, it says 0


def test_flipped_labels_of_digits_rank_hardest(digits, context):
    from sklearn.metrics import roc_auc_score

    data, rng = digits.without_test(), generator(0)
    wrong = torch.randperm(len(data), generator=rng)[: len(data) // 10]
    labels = data.labels.clone()
    labels[wrong] = (labels[wrong] + torch.randint(1, 10, wrong.shape, generator=rng)) % 10
    flipped = torch.zeros(len(data), dtype=torch.int64)
    flipped[wrong] = 1
    scores = run_scorer(create(), replace(data, labels=labels), context, generator(1))
    assert roc_auc_score(flipped, scores.values) >= 0.95
    assert int(flipped.sum()) == 143


def test_in_the_features_of_a_network(tiny_images, context):
    options = {"epochs": 2, "network": {"component": "convnet", "width": 4}}
    scorer = create(space="network", **options)
    found = run_scorer(scorer, tiny_images, context, generator(2)).values.numpy()
    where = context.features(tiny_images.without_test(), generator(2), scorer.options)
    labels = tiny_images.labels.numpy()
    assert found == pytest.approx(disagreement(where.numpy(), labels, 10))
    assert scorer.cost(tiny_images, 90, context).seconds > 0
    assert create().cost(tiny_images, 90, context).seconds == 0


def test_a_file_of_embeddings_takes_the_place_of_pixels(tiny_images, context, tmp_path):
    data, labels = tiny_images.without_test(), tiny_images.labels.numpy()
    where = np.random.default_rng(0).normal(size=(90, 3))
    np.save(tmp_path / "emb.npy", where)
    np.savez(tmp_path / "emb.npz", mine=where, other=where[:5])
    for options in (
        {"features": str(tmp_path / "emb.npy")},
        {"features": str(tmp_path / "emb.npz"), "array": "mine", "space": "network"},
    ):
        scorer = create(neighbours=4, **options)
        found = run_scorer(scorer, data, context, generator()).values.numpy()
        assert found == pytest.approx(disagreement(where, labels, 4))
        assert scorer.cost(data, 90, context).seconds == 0
        before = scorer.cache_token()
        assert len(before) == 64
    np.save(tmp_path / "emb.npy", where + 1)
    assert create(features=str(tmp_path / "emb.npy")).cache_token() != before
    for options, message in (
        ({"array": "other"}, r"emb\.npz has 5 rows, tiny-images has 90 training samples"),
        ({}, r"emb\.npz has no 'features' \(it has: mine, other\); set `scorer\.array=NAME`"),
    ):
        with pytest.raises(DataError, match=message):
            run_scorer(create(features=str(tmp_path / "emb.npz"), **options), data, context, None)


def test_one_sample_has_no_neighbour():
    alone = features(torch.zeros(1, 2), torch.tensor([0]))
    with pytest.raises(
        DataError, match="points has 1 training samples, neighbours need at least 2"
    ):
        create().score(alone, None, generator())


# principal components


def test_principal_components_of_more_pixels_than_samples_at_once():
    """Against sklearn's: 3 000 images of 12 directions under noise; signs and rotations aside."""
    from sklearn.decomposition import PCA

    rng = np.random.default_rng(0)
    directions = rng.normal(size=(12, 100)) * np.linspace(30, 8, 12)[:, None]
    images = 128 + rng.normal(size=(3000, 12)) @ directions / 4 + rng.normal(0, 2, (3000, 100))
    pixels = images.clip(0, 255).astype(np.uint8).reshape(-1, 10, 10, 1)
    data = labeled_data(pixels, np.arange(3000) % 2, name="drawn")
    found = principal_components(data, 12, generator()).double()
    (mean,), (std,) = data.normalization.mean, data.normalization.std
    model = PCA(12, svd_solver="full")
    expected = torch.from_numpy(model.fit_transform((pixels.reshape(3000, 100) / 255 - mean) / std))
    signs = (found * expected).sum(0).sign()
    torch.testing.assert_close(found * signs, expected, rtol=1e-3, atol=1e-2)
    assert bool((found.var(0).diff() <= 0).all())
    # and so few of them as samples allow
    few = principal_components(data.subset(torch.arange(5)), 64, generator())
    assert few.shape == (5, 5)
