"""The C-score (Jiang et al. 2021, arXiv 2002.03206): learning-speed form or held-out estimator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field, model_validator
from torch import Generator, Tensor
from typing_extensions import Self

from condense.engine.runtime.rng import Seed
from condense.interfaces import Context, Cost, Dynamics, LabeledData, Scores, StoreEntry
from condense.options import without_effect_unless
from condense_plugins.scorers._dynamics import ReadsDynamics
from condense_plugins.scorers._holdout import Holdout, HoldoutOptions, holdout_cost


class CScorer(ReadsDynamics):
    """1 − the expected accuracy on a sample when it is held out (C-score, arXiv 2002.03206).

    ``estimator="holdout"`` measures that. ``"learning-speed"`` (the paper's section 5) replaces it
    by how much of training the sample is classified right, which correlates with it at a fraction
    of the cost. The C-score is high for easy samples; higher = harder here, so it is turned round.
    """

    name: ClassVar[str] = "cscore"
    version: ClassVar[str] = "4"
    arg: ClassVar[str] = "estimator"  # cscore:holdout

    class Options(HoldoutOptions):
        inherited_marks: ClassVar[Mapping[str, dict[str, Any]]] = {
            "networks": without_effect_unless("estimator", "learning-speed"),
            **dict.fromkeys(
                ("ratios", "repeats", "stable_at"), without_effect_unless("estimator", "holdout")
            ),
        }
        estimator: Literal["learning-speed", "holdout"] = Field(
            "learning-speed",
            description="learning-speed: mean correctness over training, of networks networks; "
            "holdout: accuracy on the samples left out of random subsets, with ratios, repeats "
            "and stable_at",
        )

        @model_validator(mode="after")
        def _check_recorded(self) -> Self:
            if self.estimator == "holdout" and self.dynamics is not None:
                raise ValueError(
                    "estimator=holdout trains networks on parts of the data, of which dynamics "
                    "knows nothing; set estimator=learning-speed or leave dynamics out"
                )
            return self

    options: Options

    def estimator(self, dynamics: Dynamics) -> str:
        """Of the form that reads the pass."""
        return "cscore (learning-speed)"

    def cost(self, data: LabeledData, samples: int, context: Context) -> Cost:
        """Estimate of the training-dynamics pass it reads, or of all subset trainings."""
        if self.options.estimator == "holdout":
            return holdout_cost(data, context, self.options)
        return super().cost(data, samples, context)

    def pieces(self, data: LabeledData, context: Context, rng: Generator) -> Sequence[StoreEntry]:
        """The networks of the pass; none for repeats, whose number shows only as they are made."""
        if self.options.estimator == "holdout":
            return []
        return super().pieces(data, context, rng)

    def score(self, data: LabeledData, context: Context, rng: Generator) -> Scores:
        """float32 [N] in 0–1, with the standard error over networks or repeats."""
        if self.options.estimator == "learning-speed":
            return super().score(data, context, rng)
        found = self._holdout(data, context, rng).estimate()
        stable = found.agreement is not None and found.agreement >= self.options.stable_at
        agreement = "unknown" if found.agreement is None else f"{found.agreement:.3f}"
        done = f"{found.repeats} of at most {self.options.repeats} repeats"
        context.progress.note(
            f"cscore holdout: {done}, {found.trainings} trainings; rank correlation of two halves "
            f"{agreement}, {'stable' if stable else 'not yet stable'} "
            f"at {self.options.stable_at:g}"
        )
        ratios = ", ".join(f"{r:g}" for r in self.options.ratios)
        name = f"cscore (holdout, ratios {ratios}, {done}, {found.trainings} trainings)"
        return Scores(found.mean, name, found.standard_error)

    def of_networks(self, dynamics: Dynamics) -> Tensor:
        """float32 [K, N]: share of the epochs in which each network was wrong."""
        return 1 - dynamics.correct.float().mean(dim=1)

    def replicates(self, data: LabeledData, context: Context, rng: Generator) -> Tensor:
        """float32 [R, N]: the estimate of each network, or of each repeat that was made."""
        if self.options.estimator == "learning-speed":
            return super().replicates(data, context, rng)
        holdout = self._holdout(data, context, rng)
        made = holdout.estimate().repeats
        return torch.stack(list(islice(holdout.repeats(), made)))

    def training_accuracy(self, data: LabeledData, context: Context, rng: Generator) -> Tensor:
        """As of all that read the pass; of each repeat the accuracy on what was left out."""
        if self.options.estimator == "learning-speed":
            return super().training_accuracy(data, context, rng)
        return 1 - self.replicates(data, context, rng).mean(dim=1)

    def _holdout(self, data: LabeledData, context: Context, rng: Generator) -> Holdout:
        return Holdout(data, context, Seed.of(rng).fork("holdout"), self.options)
