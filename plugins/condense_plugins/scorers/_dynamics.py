"""Scores as the mean over networks, or repeats, of what the training-dynamics pass shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from pydantic import Field, model_validator
from torch import Generator, Tensor
from typing_extensions import Self

from condense.engine.training.dynamics import (
    DynamicsOptions,
    DynamicsPass,
    Extras,
    dynamics_cost,
    dynamics_pass,
)
from condense.errors import OptionError
from condense.interfaces import Context, Cost, Dynamics, LabeledData, Scores, StoreEntry
from condense.traits import ScorerTraits
from condense_plugins._built_in import BuiltIn


def companions_of(dynamics: Dynamics) -> dict[str, Tensor]:
    """What selectors may ask for beside the scores, float32 [N] each, over networks and epochs.

    ``aum`` is the mean margin in logits (arXiv 2001.10528): low where a label is likely wrong.
    ``probability`` is the mean softmax probability of the true class.
    """
    return {"aum": aum(dynamics).mean(dim=0), "probability": dynamics.probability.mean(dim=(0, 1))}


def aum(dynamics: Dynamics) -> Tensor:
    """Area under the margin of each network, float32 [K, N]: its mean over the epochs."""
    return dynamics.margin.mean(dim=1)


def last_epochs(figure: Tensor, count: int) -> Tensor:
    """The mean of ``figure`` [K, E, N] over its last ``count`` epochs, or all if 0: [K, N]."""
    return figure[:, -count:].mean(dim=1)


def looked_at(dynamics: Dynamics, figure: Tensor, epochs: int) -> Tensor:
    """``figure`` of evaluation mode, [K, N].

    Raises:
        OptionError: where a recording has no such look in its first ``epochs`` epochs.
    """
    if bool(dynamics.eval_error_norm.isnan().any()):
        raise OptionError(
            f"`scorer.dynamics` was not evaluated within its first `scorer.eval_epoch={epochs}` "
            "epochs; call evaluate() of `condense.Recorder` early in training, or raise it"
        )
    return figure


class ReadsDynamics(BuiltIn):
    """Its cost is that of the pass, its pieces and replicates are the networks of the pass."""

    traits: ClassVar[ScorerTraits] = ScorerTraits(
        {
            "scores-unreliable": "raise scorer.networks or scorer.epochs",
            "scorer-at-chance": "change scorer.lr, or raise scorer.epochs",
        }
    )

    class Options(DynamicsOptions):
        """Those of the pass."""

    options: DynamicsOptions

    @property
    def extras(self) -> Extras:
        """What it reads that a pass records only where it is asked for."""
        return Extras()

    def estimator(self, dynamics: Dynamics) -> str:
        """What the scores of ``dynamics`` are called."""
        raise NotImplementedError

    def of_networks(self, dynamics: Dynamics) -> Tensor:
        """float32 [K, N]: the estimate of each network."""
        raise NotImplementedError

    def replicates(self, data: LabeledData, context: Context, rng: Generator) -> Tensor:
        """float32 [K, N]: the estimate of each network."""
        return self.of_networks(self._dynamics(data, context, rng))

    def companions(self, dynamics: Dynamics) -> Mapping[str, Tensor]:
        """What selectors may ask for beside the scores, float32 [N] each, by name."""
        return companions_of(dynamics)

    def score(self, data: LabeledData, context: Context, rng: Generator) -> Scores:
        """float32 [N], the mean over networks, with its standard error (ddof 1) where K > 1."""
        dynamics = self._dynamics(data, context, rng)
        replicates = self.of_networks(dynamics)
        count = len(replicates)
        error = replicates.std(dim=0) / count**0.5 if count > 1 else None
        named, beside = self.estimator(dynamics), self.companions(dynamics)
        return Scores(replicates.mean(dim=0), named, error, beside, dynamics.logits)

    def training_accuracy(self, data: LabeledData, context: Context, rng: Generator) -> Tensor:
        """float32 [K], of each network in its last epoch, as it was trained."""
        return self._dynamics(data, context, rng).correct[:, -1].float().mean(dim=1)

    def cost(self, data: LabeledData, samples: int, context: Context) -> Cost:
        """Estimate of the pass."""
        return dynamics_cost(data, context, self.options, self.extras)

    def pieces(self, data: LabeledData, context: Context, rng: Generator) -> Sequence[StoreEntry]:
        """Where each network of the pass is kept."""
        return self._pass(data, context, rng).entries()

    def run_piece(self, number: int, data: LabeledData, context: Context, rng: Generator) -> None:
        """Train network ``number`` of the pass, unless it is stored."""
        self._pass(data, context, rng).run([number])

    def _dynamics(self, data: LabeledData, context: Context, rng: Generator) -> Dynamics:
        return context.dynamics(data, rng, self.options, **self.extras.marks())

    def _pass(self, data: LabeledData, context: Context, rng: Generator) -> DynamicsPass:
        return dynamics_pass(data, context, rng, self.options, self.extras)


class AveragesEpochs(ReadsDynamics):
    """Scores that are the mean of a figure over the last epochs."""

    name: ClassVar[str]

    class Options(DynamicsOptions):
        last: int = Field(0, ge=0, description="epochs averaged, counted from the last; 0 = all")

    options: Options

    def estimator(self, dynamics: Dynamics) -> str:
        """With the epochs that are averaged."""
        last = min(self.options.last, dynamics.epochs)
        return f"{self.name} ({f'last {last} epochs' if last else 'all epochs'})"


class EarlyWindows(ReadsDynamics):
    """Scores over windows of the first epochs, which say nothing of difficulty as such."""

    name: ClassVar[str]
    traits: ClassVar[ScorerTraits] = ScorerTraits(ReadsDynamics.traits.advice, difficulty=False)

    class Options(DynamicsOptions):
        least: ClassVar[int]  # epochs without which there is nothing to tell
        until: int
        window: int

        @model_validator(mode="after")
        def _check_epochs(self) -> Self:
            if self.dynamics is None and self.epochs < self.least:
                raise ValueError(
                    f"epochs={self.epochs} leaves nothing to compare; set at least {self.least}"
                )
            return self

    options: Options

    def windows(self, dynamics: Dynamics) -> tuple[int, int]:
        """Epochs that are read, and epochs in a window.

        Raises:
            OptionError: where too few were recorded.
        """
        if dynamics.epochs < self.options.least:
            raise OptionError(
                f"`scorer.dynamics={self.options.dynamics}` has {dynamics.epochs} epochs, "
                f"{self.name} compares at least {self.options.least}; record a longer training"
            )
        until = min(self.options.until, dynamics.epochs)
        return until, min(self.options.window, until)

    def score(self, data: LabeledData, context: Context, rng: Generator) -> Scores:
        """With a note where a window is wider than what is read."""
        until, window = self.windows(self._dynamics(data, context, rng))
        if window < self.options.window:
            context.progress.note(
                f"note: `scorer.window={self.options.window}` is more than the {until} epochs that "
                f"are read, which are one window; give at most {until}, or raise scorer.until "
                "and scorer.epochs"
            )
        return super().score(data, context, rng)

    def estimator(self, dynamics: Dynamics) -> str:
        """With what is read."""
        until, window = self.windows(dynamics)
        return f"{self.name} (windows of {window} in the first {until} epochs)"
