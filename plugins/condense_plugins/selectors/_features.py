"""What selectors that go by distances have in common: where samples lie, class by class."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import torch
from pydantic import Field
from torch import Generator, Tensor

from condense.engine.ingest.arrays import as_inputs
from condense.engine.training.batches import affine, normalise
from condense.engine.training.estimate import sgd_seconds
from condense.engine.training.sgd import Epochs, SgdOptions, part_of
from condense.errors import DataError
from condense.interfaces import Budget, Context, Cost, LabeledData, Scores, Selection
from condense.options import PathOption
from condense_plugins._array_files import ArrayFile
from condense_plugins._built_in import BuiltIn


class FeatureOptions(SgdOptions):
    """Where samples lie: a file, or the network that is trained for it."""

    features: PathOption | None = Field(
        None,
        description=".npy or .npz file of your own embeddings, floats with a row for each "
        "training sample; none = of images those of a network that is trained as the other options "
        "say, of features themselves as networks see them",
    )
    array: str = Field("features", description="array of an .npz file that holds them")
    epochs: Epochs = 20


class GoesByFeatures(BuiltIn):
    """Takes samples by where they lie among those of their class, listed as they are taken."""

    name: ClassVar[str]
    needs_scores: ClassVar[bool] = False

    class Options(FeatureOptions):
        """Those of all of them."""

    options: FeatureOptions

    def cache_token(self) -> str:
        """SHA-256 of the file of embeddings; empty without one."""
        file = self._file
        return "" if file is None else file.digest()

    def cost(self, data: LabeledData, samples: int, context: Context) -> Cost:
        """Estimate of training the network that gives the features, where one does."""
        if self._file is not None or not data.geometry.is_image:
            return Cost()
        return Cost(sgd_seconds(data, context, part_of(SgdOptions, self.options)))

    def select(
        self,
        data: LabeledData,
        scores: Scores | None,
        budget: Budget,
        context: Context,
        rng: Generator,
    ) -> Selection:
        """``count`` samples of every class in the order of :meth:`pick`; no score is looked at.

        Raises:
            DataError: for a class that is too small; a file of embeddings that cannot be read or
                does not fit the data.
            CondenseError: if the network that gives the features cannot be trained.
        """
        counts = budget.counts(data)
        features = self._features(data, context, rng)
        chosen = []
        with context.progress.task(f"select ({self.name})", len(counts), "class") as task:
            for label, count in enumerate(counts):
                members = data.class_indices(label)
                if count:
                    members = members[self.pick(about_their_mean(features[members]), count)]
                chosen.append(members)
                task.advance(1)
        return Selection.of_classes(chosen)

    def pick(self, features: Tensor, count: int) -> Tensor:
        """int64 [``count``] positions of samples of a class, by their ``features``.

        Args:
            features: float32 [n, D] with the mean 0 and no value beyond ±1.
            count: 1 to n.
        """
        raise NotImplementedError

    @property
    def _file(self) -> ArrayFile | None:
        path = self.options.features
        if path is None:
            return None
        form = "floats [samples, dimensions], as numpy.save writes them"
        return ArrayFile(Path(path), "file of embeddings", form, (".npy", ".npz"))

    def _features(self, data: LabeledData, context: Context, rng: Generator) -> Tensor:
        """float32 [N, D], finite."""
        if self._file is not None:
            return read_embeddings(self._file, self.options.array, data)
        found = context.features(data, rng, self.options)
        if data.geometry.is_image:
            return found
        # in the units of networks, so that no column counts more for being in millimetres
        return normalise(found, *affine(data.normalization, found, torch.device("cpu")))


def read_embeddings(file: ArrayFile, array: str, data: LabeledData) -> Tensor:
    """float32 [N, D] of ``file``, checked against ``data``.

    Raises:
        DataError: if it cannot be read, or is not a row of finite floats for each sample.
    """
    values = file.named(file.arrays(array), array, "selector.array")
    if values.dtype.kind != "f" or values.ndim != 2 or 0 in values.shape:
        raise DataError(
            f"{file} holds {values.dtype} of shape {list(values.shape)}, must be {file.form}"
        )
    if len(values) != len(data):
        raise DataError(
            f"{file} has {len(values)} rows, {data.name} has {len(data)} training samples; give a "
            "row for each, in their order"
        )
    return as_inputs(values, f"{file}:")


def about_their_mean(features: Tensor) -> Tensor:
    """``features`` (float32 [n, D]) moved to the mean 0 and scaled to values within ±1.

    Which samples are near each other stays, and squares neither overflow nor lose their digits.
    Scaled by a power of two, which rounds nothing.
    """
    values = features.double()
    values -= values.mean(0)
    _, exponent = values.abs().max().frexp()
    return values.ldexp_(-exponent).float()


def squared_norms(features: Tensor) -> Tensor:
    """float32 [n] of ``features`` [n, D]."""
    return torch.einsum("nd,nd->n", features, features)
