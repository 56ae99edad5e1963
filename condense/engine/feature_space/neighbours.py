"""How far samples are from the nearest one of a set, and the share that lies within a radius."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from condense.engine.runtime.rng import Seed
from condense.errors import DataError

CANDIDATES = 3  # nearest ones whose distance is worked out exactly


def nearest_distances(
    queries: Tensor,
    samples: Tensor,
    query_labels: Tensor | None = None,
    sample_labels: Tensor | None = None,
) -> Tensor:
    """Euclidean distance of each query to its nearest sample.

    Args:
        queries: float [N, D] on the CPU.
        samples: float [M, D], at least one.
        query_labels, sample_labels: int64 [N], [M]; where given, only samples of the query's own
            class count.

    Returns:
        float64 [N]; infinite where the query's class has no sample.
    """
    if query_labels is None or sample_labels is None:
        return _nearest(queries, samples)
    found = torch.full((len(queries),), torch.inf, dtype=torch.float64)
    for label in set(query_labels.tolist()):
        own, others = query_labels == label, sample_labels == label
        if bool(others.any()):
            found[own] = _nearest(queries[own], samples[others])
    return found


def _nearest(queries: Tensor, samples: Tensor, skip_self: Tensor | None = None) -> Tensor:
    """``skip_self`` int64 [N]: the sample that each query itself is, which does not count."""
    from sklearn.neighbors import NearestNeighbors

    wanted = min(CANDIDATES + (skip_self is not None), len(samples))
    index = NearestNeighbors(n_neighbors=wanted, algorithm="brute").fit(samples.numpy())
    places = torch.from_numpy(index.kneighbors(queries.numpy(), return_distance=False))
    # scikit-learn expands the square, so that a sample is not quite at distance 0 of itself
    distances = torch.stack(
        [
            (queries.double() - samples[places[:, k]].double()).norm(dim=1)
            for k in range(places.shape[1])
        ],
        dim=1,
    )
    if skip_self is not None:
        distances = distances.masked_fill(places == skip_self[:, None], torch.inf)
    return distances.amin(1)


def nearest_others(samples: Tensor, count: int) -> Tensor:
    """int64 [N, ``count``]: the nearest *other* samples of each, nearest first.

    Args:
        samples: float [N, D] on the CPU, N > ``count``; no N × N distances are held.
        count: how many.
    """
    from sklearn.neighbors import NearestNeighbors

    index = NearestNeighbors(n_neighbors=count, algorithm="brute").fit(samples.numpy())
    # asked about no other samples, it leaves each one itself out
    return torch.from_numpy(index.kneighbors(return_distance=False))


def own_distances(samples: Tensor, limit: int, seed: int = 0) -> Tensor:
    """Distance of each sample to the nearest *other* one, float64 [min(N, ``limit``)].

    Args:
        samples: float [N, D] on the CPU.
        limit: how many of them are asked, drawn with ``seed``; all N are there to be found.

    Raises:
        DataError: for fewer than two samples.
    """
    if len(samples) < 2:
        raise DataError(f"a radius needs at least 2 training samples, there are {len(samples)}")
    rng = Seed(seed).fork("neighbours").generator()
    asked = torch.randperm(len(samples), generator=rng)[:limit]
    return _nearest(samples[asked], samples, skip_self=asked)


def radius_at(distances: Tensor, quantile: float) -> float:
    """The ``quantile`` of ``distances`` (float64 [N])."""
    return float(np.quantile(distances.numpy(), quantile))


def coverage(distances: Tensor, radius: float) -> float:
    """Share of ``distances`` that are at most ``radius``, in 0–1."""
    return float((distances <= radius).double().mean())


def area_under(distances: Tensor, largest: float) -> float:
    """Area under the coverage curve from radius 0 to ``largest``, over ``largest``: 0–1.

    Exact: ∫₀ᴿ P(d ≤ r) dr = R − E[min(d, R)]. 1 where all distances are 0, even for R = 0.
    """
    if largest <= 0:
        return coverage(distances, 0.0)
    return 1.0 - float((distances.clamp(max=largest) / largest).mean())
