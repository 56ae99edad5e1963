"""A guess, without training a network, of how well a subset teaches: kernel ridge regression."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from condense.data import LabeledData

COMPONENTS = 64  # principal components of the pixels
SAMPLES = 5000  # at most, for the components and their widths
PENALTY = 0.1  # ridge, on a kernel whose diagonal is 1


class Guess:
    """Validation accuracy of kernel ridge regression on fixed features.

    Features: pixels (or features) standardised per dimension and projected on the first 64
    principal components of the training split. Kernel: RBF, its width the median distance between
    training samples. Labels are one-hot, less 1/classes. Deterministic; a second or two.

    Args:
        data: the samples that subsets are of; its test split is what a guess is validated on.
    """

    def __init__(self, data: LabeledData) -> None:
        assert data.test is not None
        self.data, self.test = data, data.test

    @cached_property
    def _projection(self) -> Any:
        from sklearn.decomposition import PCA
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        some = _flat(self.data, thinned(torch.arange(len(self.data)), SAMPLES))
        count = min(COMPONENTS, *some.shape)
        steps = make_pipeline(StandardScaler(), PCA(count, random_state=0))
        with np.errstate(invalid="ignore"):  # shares of a variance of 0, which nobody reads
            return steps.fit(some)

    @cached_property
    def _width(self) -> float:
        """γ of exp(-γ d²): 1 / median of d² between neighbours in a fixed order."""
        some = thinned(torch.arange(len(self.data)), SAMPLES)
        features = self._projection.transform(_flat(self.data, some))
        order = torch.randperm(len(some), generator=torch.Generator().manual_seed(0)).numpy()
        squares = ((features - features[order]) ** 2).sum(1)
        median = float(np.median(squares[squares > 0])) if (squares > 0).any() else 1.0
        return 1 / median

    @cached_property
    def _tests(self) -> tuple[Any, Any]:
        chosen = thinned(torch.arange(len(self.test)), SAMPLES)
        inputs = self._projection.transform(_flat(self.test, chosen))
        return inputs, self.test.labels[chosen].numpy()

    def accuracy(self, indices: Tensor) -> float:
        """Share of the validation part, 0–1, that a fit to the samples ``indices`` gets right.

        Of more than 5000 samples, evenly spaced ones are taken.
        """
        from sklearn.kernel_ridge import KernelRidge

        chosen = thinned(indices, SAMPLES)
        classes = len(self.data.classes)
        targets = np.eye(classes)[self.data.labels[chosen].numpy()] - 1 / classes
        model = KernelRidge(alpha=PENALTY, kernel="rbf", gamma=self._width)
        model.fit(self._projection.transform(_flat(self.data, chosen)), targets)
        inputs, labels = self._tests
        return float((model.predict(inputs).argmax(1) == labels).mean())


def thinned(indices: Tensor, most: int) -> Tensor:
    """``indices`` [N], or ``most`` of them at even distances."""
    if len(indices) <= most:
        return indices
    return indices[torch.linspace(0, len(indices) - 1, most, dtype=torch.float64).long()]


def _flat(data: LabeledData, indices: Tensor) -> Any:
    """float64 [M, D]."""
    return data.inputs[indices].flatten(1).double().numpy()
