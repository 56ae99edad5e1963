"""Nearest distances, coverage and its area, against brute force and by their properties."""

import math

import pytest
import torch

from condense.engine.feature_space.neighbours import (
    area_under,
    coverage,
    nearest_distances,
    own_distances,
    radius_at,
)
from condense.errors import DataError

RADII = [0.0, 0.3, 0.7, 0.9, 1.1, 2.0]


def points(count, seed, size=16):
    values = torch.randn(count, size, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.normalize(values, dim=1)


def brute(queries, samples):
    return torch.cdist(
        queries.double(), samples.double(), compute_mode="donot_use_mm_for_euclid_dist"
    )


@pytest.mark.parametrize("seed", range(3))
def test_distances_and_coverage_are_those_of_brute_force(seed):
    queries, samples = points(200, seed), points(31, seed + 100)
    expected = brute(queries, samples).amin(1)
    found = nearest_distances(queries, samples)
    assert torch.allclose(found, expected, atol=1e-12)
    for radius in RADII:
        assert coverage(found, radius) == float((expected <= radius).double().mean())


def coverage_curve(distances, radii):
    return [coverage(distances, radius) for radius in radii]


def test_a_set_covers_itself_at_every_radius():
    own = points(300, 0, size=512)
    distances = nearest_distances(own, own)
    assert coverage_curve(distances, RADII) == [1.0] * len(RADII)
    assert area_under(distances, 1.3) == area_under(distances, 0.0) == 1.0


@pytest.mark.parametrize("added", [1, 7, 60])
def test_more_samples_never_cover_less(added):
    queries, samples, more = points(150, 1), points(20, 2), points(added, 3)
    few = nearest_distances(queries, samples)
    many = nearest_distances(queries, torch.cat([samples, more]))
    assert bool((many <= few).all())
    pairs = zip(coverage_curve(few, RADII), coverage_curve(many, RADII), strict=True)
    assert all(a <= b for a, b in pairs)
    assert area_under(few, 1.3) <= area_under(many, 1.3)
    assert bool((many < few).any())  # so that the comparison above says something


def test_the_order_of_the_samples_makes_no_difference():
    queries, samples = points(150, 1), points(40, 2)
    samples = torch.cat([samples, samples[:5]])  # ties too
    shuffled = samples[torch.randperm(45, generator=torch.Generator().manual_seed(0))]
    assert torch.equal(nearest_distances(queries, samples), nearest_distances(queries, shuffled))


def test_only_samples_of_the_own_class_count_where_labels_are_given():
    queries, samples = points(60, 1), points(20, 2)
    asked, given = torch.arange(60) % 4, torch.arange(20) % 3  # class 3 has no sample
    far = brute(queries, samples).masked_fill(asked[:, None] != given, math.inf).amin(1)
    found = nearest_distances(queries, samples, asked, given)
    assert torch.allclose(found, far)
    assert bool(torch.isinf(found[asked == 3]).all())
    assert coverage(found, 1e9) == 0.75
    assert math.isfinite(area_under(found, 1.0))


def test_own_distances_leave_the_sample_itself_out():
    samples = torch.tensor([[0.0], [1.0], [1.0], [5.0]])
    assert sorted(own_distances(samples, 10).tolist()) == [0.0, 0.0, 1.0, 4.0]
    many = points(80, 4)
    expected = brute(many, many).fill_diagonal_(math.inf).amin(1)
    assert torch.allclose(own_distances(many, 80).sort().values, expected.sort().values)
    some = own_distances(many, 10, seed=5)
    assert len(some) == 10
    assert all(bool(torch.isclose(expected, d).any()) for d in some)
    assert torch.equal(some, own_distances(many, 10, seed=5))


def test_a_single_training_sample_has_no_radius():
    with pytest.raises(DataError, match="at least 2 training samples, there are 1"):
        own_distances(points(1, 0), 10)


def test_the_radius_is_a_quantile_of_what_is_given():
    distances = torch.arange(101).double()
    assert radius_at(distances, 0.95) == 95.0
    assert radius_at(distances, 1.0) == 100.0


def test_the_area_by_hand():
    # within 4: d = 1 is covered for 3 of 4, d = 3 for 1 of 4, d = 9 never
    assert area_under(torch.tensor([1.0, 3.0, 9.0]).double(), 4.0) == pytest.approx(1 / 3)


def test_the_area_is_that_under_the_curve():
    distances = nearest_distances(points(400, 1), points(30, 2))
    radii = torch.linspace(0, 1.5, 3001).double()
    curve = torch.tensor(coverage_curve(distances, radii.tolist())).double()
    below = float(torch.trapezoid(curve, radii)) / 1.5
    assert area_under(distances, 1.5) == pytest.approx(below, abs=1 / 3000)
