"""A condensed set with everything that an export may have to say."""

from dataclasses import replace

import pytest
import torch

from condense.data import LabeledData, SyntheticSet
from condense.engine.artefact.dataset import CondensedDataset
from condense.engine.training.batches import network_inputs
from condense.results import Scores


@pytest.fixture
def condensed():
    """Makes a set of a real, two distilled and a real sample of each class of some data."""

    def make(data: LabeledData, *, soft: bool = False, scored: bool = True) -> CondensedDataset:
        indices = torch.cat([data.class_indices(c)[:4] for c in range(len(data.classes))])
        role = torch.tensor([0, 1, 1, 0], dtype=torch.uint8).repeat(len(data.classes))
        rng = torch.Generator().manual_seed(1)
        inputs = network_inputs(data, indices)
        moved = role.bool().reshape(-1, *[1] * (inputs.dim() - 1))
        inputs = torch.where(moved, inputs + torch.randn(inputs.shape, generator=rng), inputs)
        given = SyntheticSet(
            *(inputs, data.labels[indices], role, indices, torch.tensor(float("nan"))),
            torch.randn(len(indices), len(data.classes), generator=rng) if soft else None,
        )
        named = replace(data, items=tuple(f"für/{i}.png" for i in range(len(data))))
        scores = Scores(torch.rand(len(data), generator=rng), "toy") if scored else None
        recipe = {"method": "selmatch", "seed": 3, "ipc": 4}
        return CondensedDataset.of(
            named, given, method="selmatch", seed=3, recipe=recipe, scores=scores
        )

    return make
