"""Disagreement with the labels of a sample's nearest neighbours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field
from torch import Generator, Tensor

from condense.engine.feature_space.neighbours import nearest_others
from condense.engine.feature_space.principal import principal_components
from condense.errors import DataError, OptionError
from condense.interfaces import Context, LabeledData, Scores
from condense.options import PathOption, without_effect_beside, without_effect_unless
from condense_plugins._features import FeatureOptions, HasFeatures


class KnnScorer(HasFeatures):
    """Share of the nearest other samples with another label (as Wilson 1972).

    The rule by which Wilson (1972, edited nearest neighbours) finds wrong labels, as a share
    instead of a majority. No network is trained for it by default: images are near in the 64
    principal components of their pixels, features as networks see them; or wherever a file of
    embeddings says. A sample is not its own neighbour, but its copies are. There are as many
    scores as neighbours, and one more: ties are many, and most samples of clean data have 0.

    A class of fewer samples than there are neighbours cannot score 0; its samples are the harder
    the rarer it is.
    """

    name: ClassVar[str] = "knn"
    version: ClassVar[str] = "1"
    arg: ClassVar[str] = "space"  # knn:network
    array_key: ClassVar[str] = "scorer.array"

    class Options(FeatureOptions):
        inherited_marks: ClassVar[Mapping[str, dict[str, Any]]] = {
            name: idle | without_effect_unless("space", "network")
            for name, idle in FeatureOptions.inherited_marks.items()
        }
        neighbours: int = Field(10, ge=1, description="nearest other samples that are asked")
        space: Literal["pixels", "network"] = Field(
            "pixels",
            description="where images are near: in the principal components of their pixels, or "
            "in the last layer of a network that is trained as the other options say",
            json_schema_extra=without_effect_beside("features"),
        )
        components: int = Field(
            64,
            ge=1,
            description="principal components of pixels",
            json_schema_extra=without_effect_beside("features")
            | without_effect_unless("space", "pixels"),
        )
        features: PathOption | None = Field(
            None,
            description=".npy or .npz file of your own embeddings, floats with a row for each "
            "training sample; unset = of images what space says, of features themselves as "
            "networks see them",
        )

    options: Options

    @property
    def asks_network(self) -> bool:
        """Whether a network says where images lie of which there is no file."""
        return self.options.space == "network"

    def of_images(self, data: LabeledData, context: Context, rng: Generator) -> Tensor:
        """float32 [N, D] of images of which there is no file."""
        if self.asks_network:
            return super().of_images(data, context, rng)
        return principal_components(data, self.options.components, rng)

    def score(self, data: LabeledData, context: Context, rng: Generator) -> Scores:
        """float32 [N] in 0–1.

        Raises:
            OptionError: for more neighbours than there are other samples.
            DataError: for a single sample, which has no neighbour, or a file of embeddings that
                cannot be read or does not fit the data.
            CondenseError: if the network that gives the features cannot be trained.
        """
        if len(data) < 2:
            raise DataError(
                f"{data.name} has {len(data)} training samples, neighbours need at least 2; "
                "give more data"
            )
        count = self.options.neighbours
        if count >= len(data):
            raise OptionError(
                f"`scorer.neighbours={count}`: {data.name} has {len(data)} training samples, of "
                f"which each has {len(data) - 1} others; give at most that many"
            )
        where = self.features(data, context, rng)
        labels = data.labels[nearest_others(where, count)]
        disagree = (labels != data.labels[:, None]).float().mean(dim=1)
        return Scores(disagree, f"knn ({count} neighbours)")
