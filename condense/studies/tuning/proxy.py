"""How well a subset teaches, foretold without training a network."""

from __future__ import annotations

from functools import cached_property
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
        if data.test is None:
            raise DataError(
                f"{data.name} has no test split to validate on; hold a part out first, as "
                "condense.engine.ingest.holdout.hold_out does"
            )
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
        """Share of the validation part, 0–1, that a fit to some samples gets right.

        Args:
            indices: int64 [M] of training samples; of more than 5000, evenly spaced ones are taken.
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
