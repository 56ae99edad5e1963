"""The principal components of inputs, of any number of samples and pixels in little memory."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from condense.engine.training.batches import network_inputs
from condense.interfaces import LabeledData

SAMPLES_AT_ONCE = 1024
SPARE = 16  # dimensions iterated beyond those asked for, so that the last of these converge too
ITERATIONS = 4


def principal_components(
    data: LabeledData, count: int, rng: Generator, most: int | None = None
) -> Tensor:
    """``data``'s inputs, as a network sees them, in their ``count`` directions of most variance.

    By subspace iteration (Halko et al. 2011, algorithm 4.4): neither the N × D floats nor a D × D
    covariance are ever held. Exact where ``count`` is all there are.

    Args:
        data: N samples of D numbers each.
        count: at most min(N, D) come back.
        rng: of the directions at the start.
        most: samples, evenly spread, of which the directions are worked out; None = all.

    Returns:
        float32 [N, ``count``], about their mean, most variance first.
    """
    whole = torch.arange(len(data))
    asked = whole[:: -(-len(data) // (most or len(data)))]
    parts = torch.split(asked, SAMPLES_AT_ONCE)
    size = data.inputs[0].numel()
    mean = sum((_flat(data, part).sum(0) for part in parts), torch.zeros(size)) / len(asked)
    basis = torch.randn(size, min(count + SPARE, size, len(asked)), generator=rng)
    for _ in range(ITERATIONS):
        basis = torch.linalg.qr(basis).Q
        moved = torch.zeros_like(basis)
        for part in parts:
            about = _flat(data, part) - mean
            moved += about.T @ (about @ basis)
        basis = moved
    basis = torch.linalg.qr(basis).Q
    every = torch.split(whole, SAMPLES_AT_ONCE)
    seen = torch.cat([(_flat(data, part) - mean) @ basis for part in every])
    _, axes = torch.linalg.eigh(seen.T.double() @ seen.double())  # rising
    found: Tensor = seen @ axes.flip(1)[:, :count].float()
    return found


def _flat(data: LabeledData, indices: Tensor) -> Tensor:
    return network_inputs(data, indices).flatten(1)
