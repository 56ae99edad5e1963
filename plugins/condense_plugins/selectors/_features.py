"""What selectors that go by distances have in common: they go class by class."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Generator, Tensor

from condense.interfaces import Budget, Context, LabeledData, Scores, Selection
from condense_plugins._features import HasFeatures


class GoesByFeatures(HasFeatures):
    """Takes samples by where they lie among those of their class, listed as they are taken."""

    name: ClassVar[str]
    needs_scores: ClassVar[bool] = False
    array_key: ClassVar[str] = "selector.array"

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
        features = self.features(data, context, rng)
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
