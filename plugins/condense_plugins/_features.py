"""Where samples lie, for components that go by distances: a user's file, a network, the inputs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Generator, Tensor

from condense.engine.feature_space.features import cost_of_features
from condense.engine.ingest.arrays import as_inputs
from condense.engine.training.batches import network_inputs
from condense.engine.training.sgd import Epochs, SgdOptions
from condense.errors import DataError
from condense.interfaces import Context, Cost, LabeledData
from condense.options import PathOption, without_effect_beside
from condense_plugins._array_files import ArrayFile
from condense_plugins._built_in import BuiltIn


class FeatureOptions(SgdOptions):
    """Where samples lie: a file, or the network that is trained for it."""

    inherited_marks: ClassVar[Mapping[str, dict[str, Any]]] = dict.fromkeys(
        SgdOptions.model_fields, without_effect_beside("features")
    )
    features: PathOption | None = Field(
        None,
        description=".npy or .npz file of your own embeddings, floats with a row for each "
        "training sample; unset = of images those of a network that is trained as the other "
        "options say, of features themselves as networks see them",
    )
    array: str = Field("features", description="array of an .npz file that holds them")
    epochs: Epochs = 20


class HasFeatures(BuiltIn):
    """A component that goes by where samples lie."""

    array_key: ClassVar[str]  # of the option that names the array, for messages

    class Options(FeatureOptions):
        """Those of all of them."""

    options: FeatureOptions

    def cache_token(self) -> str:
        """SHA-256 of the file of embeddings; empty without one."""
        file = self._file
        return "" if file is None else file.digest()

    def cost(self, data: LabeledData, samples: int, context: Context) -> Cost:
        """Estimate of training the network that gives the features, where one does."""
        if self._file is not None or not self.asks_network:
            return Cost()
        return cost_of_features(data, context, self.options)

    @property
    def asks_network(self) -> bool:
        """Whether a network says where images lie of which there is no file."""
        return True

    def features(self, data: LabeledData, context: Context, rng: Generator) -> Tensor:
        """float32 [N, D], finite.

        Raises:
            DataError: for a file of embeddings that cannot be read or does not fit the data.
            CondenseError: if the network that gives the features cannot be trained.
        """
        if self._file is not None:
            return read_embeddings(self._file, self.options.array, self.array_key, data)
        if not data.geometry.is_image:
            # in the units of networks, so that no column counts more for being in millimetres
            return network_inputs(data, torch.arange(len(data)))
        return self.of_images(data, context, rng)

    def of_images(self, data: LabeledData, context: Context, rng: Generator) -> Tensor:
        """float32 [N, D] of images of which there is no file."""
        return context.features(data, rng, self.options)

    @property
    def _file(self) -> ArrayFile | None:
        path = self.options.features
        if path is None:
            return None
        form = "floats [samples, dimensions], as numpy.save writes them"
        return ArrayFile(Path(path), "file of embeddings", form, (".npy", ".npz"))


def read_embeddings(file: ArrayFile, array: str, key: str, data: LabeledData) -> Tensor:
    """float32 [N, D]: ``array`` of ``file``, checked against ``data``; ``key`` names the array.

    Raises:
        DataError: if it cannot be read, or is not a row of finite floats for each sample.
    """
    values = file.named(file.arrays(array), array, key)
    if values.dtype.kind != "f" or values.ndim != 2 or 0 in values.shape:
        raise DataError(
            f"{file} holds {values.dtype} of shape {list(values.shape)}, must be {file.form}"
        )
    data.check_count(len(values), f"{file} has {len(values)} rows")
    return as_inputs(values, f"{file}:")
