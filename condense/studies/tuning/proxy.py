"""How well a subset teaches, foretold without training a network."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from condense.data import LabeledData
from condense.errors import DataError

COMPONENTS = 64  # principal components of the pixels
SAMPLES = 5000  # at most, for the components and their widths
PENALTY = 0.1  # ridge, on a kernel whose diagonal is 1


class KernelRidgeProxy:
    """Validation accuracy of kernel ridge regression on fixed features, instead of a network's.

    Regression onto one-hot labels less 1/classes, with penalty 0.1, by the kernel
    exp(-γ‖x - x'‖²), 1/γ the median of ‖x - x'‖² among training samples; x are pixels (or
    features), standardised per dimension and projected on the 64 first principal components of
    the training split. Deterministic, a second or two. KIP (Nguyen, Chen and Lee, 2021, "Dataset
    Meta-Learning from Kernel Ridge-Regression", eq. 7) learns its samples by the same regression.

    On real data its rank agreement with trained networks reaches from +0.1 to +0.8
    (docs/tune.md): a first look, no replacement for training.

    Args:
        data: N training samples; ``data.test`` is what subsets are validated on.

    Raises:
        DataError: for data without a test split.
    """

    def __init__(self, data: LabeledData) -> None:
        from sklearn.decomposition import PCA
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        if data.test is None:
            raise DataError(
                f"{data.name} has no test split to validate on; hold a part out first, as "
                "condense.engine.ingest.holdout.hold_out does"
            )
        some = thinned(torch.arange(len(data)), SAMPLES)
        inputs = _flat(data, some)
        steps = make_pipeline(StandardScaler(), PCA(min(COMPONENTS, *inputs.shape), random_state=0))
        with np.errstate(invalid="ignore"):  # shares of a variance of 0, which nobody reads
            features = steps.fit_transform(inputs)
        order = torch.randperm(len(some), generator=torch.Generator().manual_seed(0)).numpy()
        squares = ((features - features[order]) ** 2).sum(1)
        median = float(np.median(squares[squares > 0])) if (squares > 0).any() else 1.0
        self.data, self.projection, self.gamma = data, steps, 1 / median
        held_out = thinned(torch.arange(len(data.test)), SAMPLES)
        self.tests = steps.transform(_flat(data.test, held_out))
        self.answers = data.test.labels[held_out].numpy()

    def accuracy(self, indices: Tensor) -> float:
        """Share of the validation part, 0–1, that a fit to some samples gets right.

        Args:
            indices: int64 [M] of training samples; of more than 5000, evenly spaced ones are taken.
        """
        from sklearn.kernel_ridge import KernelRidge

        chosen = thinned(indices, SAMPLES)
        classes = len(self.data.classes)
        targets = np.eye(classes)[self.data.labels[chosen].numpy()] - 1 / classes
        model = KernelRidge(alpha=PENALTY, kernel="rbf", gamma=self.gamma)
        model.fit(self.projection.transform(_flat(self.data, chosen)), targets)
        return float((model.predict(self.tests).argmax(1) == self.answers).mean())


def thinned(indices: Tensor, most: int) -> Tensor:
    """``indices`` [N], or ``most`` of them at even distances."""
    if len(indices) <= most:
        return indices
    return indices[torch.linspace(0, len(indices) - 1, most, dtype=torch.float64).long()]


def _flat(data: LabeledData, indices: Tensor) -> Any:
    """float64 [M, D]."""
    return data.inputs[indices].flatten(1).double().numpy()
