"""What every set of a data set is measured against: a feature space and a radius in it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from pydantic import Field
from torch import Tensor

from condense.data import TrainingSet
from condense.engine.feature_space.neighbours import nearest_distances, own_distances, radius_at
from condense.engine.feature_space.network import FeatureNetworks, FeatureOptions, TrainedNetwork

MAX_RADIUS_FACTOR = 2  # the curve ends at this multiple of the radius


class CoverageOptions(FeatureOptions):
    """The feature space, and the radius in it."""

    radius_quantile: float = Field(
        0.95,
        gt=0,
        le=1,
        description="share of training samples that have another one within the radius",
    )
    radius_samples: int = Field(
        2000, ge=2, description="training samples asked for that share, drawn at random"
    )
    same_class: bool = Field(
        False, description="whether only samples of a test sample's own class cover it"
    )


@dataclass(frozen=True, eq=False)
class CoverageReference:
    """What every set of a data set is measured against.

    Attributes:
        network: that gives the features.
        features: float32 [N_test, D] of the test split.
        labels: int64 [N_test].
        radius: Euclidean, in units of features scaled to length 1.
        same_class: as :class:`CoverageOptions`.
        device: where features are worked out.
    """

    network: TrainedNetwork
    features: Tensor
    labels: Tensor
    radius: float
    same_class: bool
    device: torch.device

    @property
    def max_radius(self) -> float:
        """The largest radius of the curve, at which its area is taken."""
        return MAX_RADIUS_FACTOR * self.radius

    def distances(self, samples: TrainingSet) -> Tensor:
        """Of each test sample to the nearest of ``samples``, float64 [N_test]."""
        features = self.network.features(samples, self.device)
        classes = (self.labels, samples.labels) if self.same_class else ()
        return nearest_distances(self.features, features, *classes)


def coverage_reference(
    networks: FeatureNetworks, options: CoverageOptions, index: int = 0
) -> CoverageReference:
    """The reference of feature network ``index``; the radius as ``options`` have it."""
    device = networks.context.device
    network = networks.trained(index)
    features = network.features(networks.training, device)
    own = own_distances(features, options.radius_samples, options.feature_seed)
    return CoverageReference(
        network,
        network.features(networks.test, device),
        networks.test.labels,
        radius_at(own, options.radius_quantile),
        options.same_class,
        device,
    )
