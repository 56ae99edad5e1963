"""Feature networks, by which coverage is measured and the test split is halved."""

from __future__ import annotations

from functools import cached_property

from condense.data import TrainingSet
from condense.engine.feature_space.network import FeatureNetworks, FeatureOptions, features_cost
from condense.engine.stages.stage import Bound, Piece, Stage
from condense.interfaces import Cost


class FeatureStage(Stage[FeatureNetworks]):
    """The feature networks of the data, all of them stored.

    Args:
        bound: whose data.
        options: of the networks.
    """

    name = "features"
    component = "evaluator"

    def __init__(self, bound: Bound, options: FeatureOptions) -> None:
        super().__init__(bound)
        training, test = TrainingSet.of(bound.data), TrainingSet.of(bound.test_split())
        self.networks = FeatureNetworks(training, test, bound.context, options)

    @property
    def stored(self) -> bool:
        """Whether every network is."""
        return all(self.bound.store.has(*entry) for entry in self.networks.entries)

    @property
    def served_by(self) -> str:
        """Name of the network."""
        return self.networks.options.feature_network.component

    @property
    def tasks(self) -> int:
        """One a network."""
        return self.networks.options.networks

    def cost(self) -> Cost:
        """As if none were stored."""
        return features_cost(self.bound.data, self.bound.context, self.networks.options)

    @cached_property
    def result(self) -> FeatureNetworks:
        """Trained."""
        with self.bound.timed(self.name):
            for piece in self.pieces():
                self.run_piece(piece.number)
        return self.networks

    def pieces(self) -> list[Piece]:
        """One a network."""
        return Piece.all_of(self.name, self.networks.entries)

    def run_piece(self, number: int) -> None:
        """Network ``number``."""
        self.networks.trained(number)
