"""A sampler in the shape that scikit-learn and imbalanced-learn know."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator
from torch import Tensor

from condense.api import condense
from condense.data import Role
from condense.plugin.host import build_host
from condense.resolve import Request, preset_of
from condense.tabular.frame import frame_of

if TYPE_CHECKING:
    from condense.engine.artefact.dataset import CondensedDataset


class CondenseSampler(BaseEstimator):  # type: ignore[misc]
    """Keeps, or makes, a small training set.

    >>> X_small, y_small = CondenseSampler(fraction=0.1).fit_resample(X, y)  # doctest: +SKIP

    In a pipeline of imbalanced-learn it works on the training data alone, as samplers there do.

    Args:
        method: as for :func:`condense.condense`: ``window``, ``herding``, ``facility-location`` …
            keep samples, ``selmatch`` and ``mtt`` make some too. The preset's own by default, else
            ``window``.
        fraction: share of every class that is kept, 0–1; or
        ipc: samples of each class.
        preset, options, device: as for :func:`condense.condense`.
        random_state: seed, a whole number of at least 0.

    Attributes:
        sample_indices_: int64 [M], the position in X of the sample that each of the M kept ones is,
            or started from.
        distilled_: bool [M], whether it was made; False where row and label are X's and y's own.
        condensed_: the :class:`condense.CondensedDataset`.
    """

    _estimator_type = "sampler"

    def __init__(
        self,
        method: str | None = None,
        *,
        fraction: float | None = None,
        ipc: int | None = None,
        preset: str | None = None,
        options: Mapping[str, Any] | None = None,
        device: str | None = None,
        random_state: int = 0,
    ) -> None:
        self.method = method
        self.fraction = fraction
        self.ipc = ipc
        self.preset = preset
        self.options = options
        self.device = device
        self.random_state = random_state

    def fit_resample(self, X: Any, y: Any) -> tuple[Any, Any]:
        """The small set.

        Where all of it are samples of X, these very rows: of an array, a list or a DataFrame, in
        its own type. Else an array in the units of X, of images in its layout and type, too, in
        which the samples that were kept are X's own (of features rounded as float32 is), or a
        DataFrame with X's columns, in which they are X's own rows.

        Args:
            X: features [N, D], or images uint8 or float 0–1 [N, H, W, C] or [N, C, H, W].
            y: labels [N], numbers or texts.

        Returns:
            X [M, …] and y [M], classes one after another.

        Raises:
            CondenseError: naming what is wrong with data or options, and the next step.
        """
        host, method = build_host(), self.method
        if method is None:
            method = preset_of(host, Request(preset=self.preset)).method or "window"
        small = condense(
            (X, y),
            method=method,
            fraction=self.fraction,
            ipc=self.ipc,
            preset=self.preset,
            options=self.options,
            device=self.device,
            seed=self.random_state,
            host=host,
        )
        self.condensed_: CondensedDataset = small
        self.sample_indices_ = small.source_index.numpy()
        self.distilled_ = (small.role == Role.DISTILLED).numpy()
        labels = _rows(y, self.sample_indices_)
        if not self.distilled_.any():
            return _rows(X, self.sample_indices_), labels
        if small.geometry.is_image:
            return _images(X, small), labels
        if small.table is None:
            return small.to_numpy()[0], labels
        return frame_of(small.rows).iloc[:, :-1].set_axis(X.columns, axis=1), labels

    def fit(self, X: Any, y: Any) -> CondenseSampler:
        """As :meth:`fit_resample`, of which only the attributes are kept."""
        self.fit_resample(X, y)
        return self


def _images(given: Any, small: CondensedDataset) -> Any:
    """The images that were kept, as ``given``, and those that were made, brought to its form."""
    whole = given.detach().cpu().numpy() if isinstance(given, Tensor) else given
    own = np.array(_rows(whole, small.source_index.numpy()))
    made = small.images.numpy() / (1 if own.dtype == np.uint8 else 255)
    if own.ndim == 3:  # [N, H, W]
        made = made[..., 0]
    elif own.shape != made.shape:  # [N, C, H, W]
        made = made.transpose(0, 3, 1, 2)
    distilled = small.distilled.numpy()
    own[distilled] = made[distilled]
    return own


def _rows(values: Any, indices: Any) -> Any:
    """The rows of ``values`` at ``indices``, in the type that they came in."""
    if hasattr(values, "iloc"):
        return values.iloc[indices]
    if isinstance(values, (list, tuple)):
        return [values[index] for index in indices.tolist()]
    return values[indices] if hasattr(values, "__getitem__") else np.asarray(values)[indices]
