"""Coverage: the share of test samples that have a sample of the set near by."""

from __future__ import annotations

import time
from typing import ClassVar

import torch
from torch import Generator

from condense.engine.feature_space.neighbours import area_under
from condense.engine.feature_space.network import FeatureNetworks, features_cost
from condense.engine.feature_space.radius import CoverageOptions, coverage_reference
from condense.errors import DataError
from condense.interfaces import (
    Arm,
    Augmentation,
    Context,
    Cost,
    Evaluation,
    LabeledData,
    TrainingSet,
)
from condense.traits import EvaluatorTraits
from condense_plugins._built_in import BuiltIn
from condense_plugins.evaluators._per_class import per_class


class CoverageEvaluator(BuiltIn):
    """Share of test samples within a radius of a sample of the set, in a trained feature space.

    One value for each of ``networks`` networks, which are trained on the whole training split
    and shared by all arms. The radius is the distance within which ``radius_quantile`` of the
    training samples have another one. Nothing is trained on the arm.
    """

    name: ClassVar[str] = "coverage"
    version: ClassVar[str] = "1"
    traits: ClassVar[EvaluatorTraits] = EvaluatorTraits(measure="coverage")
    needs_training: ClassVar[bool] = True

    class Options(CoverageOptions):
        """The feature space, and the radius in it."""

    options: Options

    def evaluate(
        self,
        arm: Arm,
        test: TrainingSet,
        augmentation: Augmentation,
        context: Context,
        rng: Generator,
    ) -> Evaluation:
        """Coverage in 0-1 at the radius, one value a feature network.

        ``augmentation`` and ``rng`` are not used: networks depend on ``feature_seed`` alone, so
        that all runs on a data set are measured in the same spaces. The protocol has the area
        under the curve (radius 0 to twice the radius) and the radius of each.

        Raises:
            DataError: for an arm without the whole training split.
        """
        if arm.training is None:
            raise DataError(
                f"evaluator coverage measures against the whole training split, which arm "
                f"{arm.name} comes without; give Arm(…, training=TrainingSet.of(data))"
            )
        start = time.perf_counter()
        values, rates, areas, radii = [], [], [], []
        networks = FeatureNetworks(arm.training, test, context, self.options)
        for repeat in range(self.options.networks):
            reference = coverage_reference(networks, self.options, repeat)
            distances = reference.distances(arm.draw(repeat))
            within = distances <= reference.radius
            values.append(float(within.double().mean()))
            rates.append(per_class(within, test.labels, test.geometry.classes))
            areas.append(area_under(distances, reference.max_radius))
            radii.append(reference.radius)
        return Evaluation(
            tuple(values),
            self._protocol(context, areas, radii),
            time.perf_counter() - start,
            tuple(torch.stack(rates).mean(0).tolist()),
        )

    def cost(self, data: LabeledData, samples: int, context: Context) -> Cost:
        """Estimate of training the feature networks, as if none were stored."""
        return features_cost(data, context, self.options)

    def _protocol(
        self, context: Context, areas: list[float], radii: list[float]
    ) -> dict[str, object]:
        o = self.options
        return {
            "network": context.identity(o.feature_network),
            "epochs": o.feature_epochs,
            "radius_quantile": o.radius_quantile,
            "same_class": o.same_class,
            "radius": radii,
            "area": areas,
            "augmentation": "none",
        }
