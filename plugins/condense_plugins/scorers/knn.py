"""Disagreement with the labels of a sample's nearest neighbours."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Generator, Tensor

from condense.engine.feature_space.neighbours import nearest_others
from condense.engine.feature_space.principal import principal_components
from condense.engine.training.batches import network_inputs
from condense.engine.training.estimate import sgd_seconds
from condense.engine.training.sgd import Epochs, SgdOptions, part_of
from condense.errors import DataError
from condense.interfaces import Context, Cost, LabeledData, Scores
from condense_plugins._built_in import BuiltIn


class KnnScorer(BuiltIn):
    """1 − the share of the nearest other samples that have the sample's own label.

    The rule by which Wilson (1972, edited nearest neighbours) finds wrong labels, as a share
    instead of a majority. No network is trained for it by default: neighbours are near in the
    inputs, which of images are their 64 principal components, where pixels' noise counts for
    little. A sample is not its own neighbour, but its copies are. There are as many different
    scores as neighbours, and one more: ties are many, and many samples of clean data have 0.

    A class of fewer samples than there are neighbours cannot score 0; its samples are the harder
    the rarer it is.
    """

    name: ClassVar[str] = "knn"
    version: ClassVar[str] = "1"
    arg: ClassVar[str] = "space"  # knn:network

    class Options(SgdOptions):
        neighbours: int = Field(10, ge=1, description="nearest other samples that are asked")
        space: Literal["inputs", "network"] = Field(
            "inputs",
            description="where samples are near: inputs, which of images are principal components "
            "of the pixels; network: in the last layer of one that is trained as the other "
            "options say",
        )
        components: int = Field(64, ge=1, description="principal components of images")
        epochs: Epochs = 20

    options: Options

    def cost(self, data: LabeledData, samples: int, context: Context) -> Cost:
        """Estimate of training the network, where one gives the features."""
        if self.options.space != "network" or not data.geometry.is_image:
            return Cost()
        return Cost(sgd_seconds(data, context, part_of(SgdOptions, self.options)))

    def score(self, data: LabeledData, context: Context, rng: Generator) -> Scores:
        """float32 [N] in 0–1.

        Raises:
            DataError: for a single sample, which has no neighbour.
            CondenseError: if the network that gives the features cannot be trained.
        """
        if len(data) < 2:
            raise DataError(
                f"{data.name} has {len(data)} training samples, neighbours need at least 2; "
                "give more data"
            )
        count = min(self.options.neighbours, len(data) - 1)
        labels = data.labels[nearest_others(self._where(data, context, rng), count)]
        disagree = (labels != data.labels[:, None]).float().mean(dim=1)
        return Scores(disagree, f"knn ({count} neighbours, {self.options.space})")

    def _where(self, data: LabeledData, context: Context, rng: Generator) -> Tensor:
        """float32 [N, D]."""
        if not data.geometry.is_image:
            # in the units of networks, so that no column counts more for being in millimetres
            return network_inputs(data, torch.arange(len(data)))
        if self.options.space == "network":
            return context.features(data, rng, self.options)
        return principal_components(data, self.options.components, rng)
