"""What a component may do beside the contract of its kind: one Protocol each, nothing to inherit.

The engine asks ``isinstance(component, HasReplicates)`` where it can use more than it needs. A
member that is misspelt is refused when the component is registered. ``isinstance`` looks members
up without running them, so that a property's own error is not taken for its absence.
"""

from __future__ import annotations

from collections.abc import Collection, Generator as Steps, Mapping, Sequence
from typing import ClassVar

from torch import Generator, Tensor
from typing_extensions import Protocol, runtime_checkable

from condense.data import LabeledData, Modality, TrainingSet
from condense.interfaces import Augmentation, Context, Evaluator
from condense.results import Arm, Budget, Cost, Evaluation, LabelPlan, StoreEntry


@runtime_checkable
class TakesArgument(Protocol):
    """Of every kind: ``arg`` names the option that the short form ``NAME:VALUE`` fills."""

    arg: ClassVar[str]


def argument_name(component: object) -> str | None:
    """The option that ``NAME:VALUE`` fills, of a component or its class; None if it takes none."""
    return component.arg if isinstance(component, TakesArgument) else None


@runtime_checkable
class KnowsModality(Protocol):
    """A data set that may hold features, and says so before it is loaded; others hold images."""

    def modality(self) -> Modality:
        """``image`` or ``features``; by it the recipe names networks (``auto``) and takes the
        values that a preset has for such data. ``image`` also where it cannot be told, as of a file
        that is not there: loading says that.
        """


@runtime_checkable
class StandsFor(Protocol):
    """A network that is another one for each modality; options given with it are that one's."""

    stands_for: ClassVar[Mapping[Modality, str]]


@runtime_checkable
class EstimatesCost(Protocol):
    """A scorer, selector, matcher, reselector or evaluator that says what its stage takes.

    Of one that does not, it is unknown.
    """

    def cost(self, data: LabeledData, samples: int, context: Context) -> Cost:
        """An estimate for ``--dry-run`` and the time left, from a few steps timed for real.

        Args:
            data: the training split.
            samples: size of the condensed set.
            context: device, cache, networks.

        Returns:
            seconds, peak memory and disk in bytes; of an evaluator for one arm. Work whose results
            are kept for others too says so (:meth:`condense.results.Cost.shared_as`).

        Raises:
            CondenseError: for options that do not suit the data.
        """


@runtime_checkable
class EstimatesPreparation(Protocol):
    """A matcher, or an evaluator that works in pieces, that says what these would take."""

    def prepare_cost(self, data: LabeledData, context: Context, rng: Generator) -> Cost:
        """An estimate of what is not in the store yet, for ``--dry-run``; 0 seconds if all is.

        Arguments are those of ``prepare``, or of ``pieces``.

        Raises:
            CondenseError: for options that do not suit the data.
        """


@runtime_checkable
class HasCacheToken(Protocol):
    """A component whose results depend on more than version, options and inputs, as on a file."""

    def cache_token(self) -> str:
        """Something that changes with it, for example the file's SHA-256; part of the cache key.

        Raises:
            DataError: if it cannot be read.
        """


@runtime_checkable
class HasReplicates(Protocol):
    """A scorer that averages independent estimates, of networks or of repeats."""

    def replicates(self, data: LabeledData, context: Context, rng: Generator) -> Tensor:
        """These estimates, float [R, N], from what scoring left in the cache.

        ``condense score --compare`` reads the split-half reliability of the scores from them.
        Arguments are those of ``score``.

        Raises:
            CondenseError: as ``score`` does.
        """


@runtime_checkable
class KnowsItsNetworks(Protocol):
    """A scorer or matcher that can tell whether the networks it trained have learned anything."""

    def training_accuracy(self, data: LabeledData, context: Context, rng: Generator) -> Tensor:
        """Share in 0–1 that each network is right about of what it was trained on, float [K].

        Asked for after ``score`` or ``prepare``, whose arguments these are; nothing is trained for
        it. A finding is made of networks that are no better than guessing.
        """


@runtime_checkable
class LearnsLabels(Protocol):
    """An update policy under which labels are soft: learned, or given in the end."""

    @property
    def label_plan(self) -> LabelPlan | None:
        """How; None where labels stay as they are after all."""


@runtime_checkable
class HasTeachers(Protocol):
    """A matcher with teachers that can be asked for labels."""

    name: ClassVar[str]

    def label_logits(
        self, data: LabeledData, indices: Tensor, context: Context, rng: Generator
    ) -> Tensor:
        """Float [M, classes] that the teachers give the training samples at ``indices``.

        Asked for after ``prepare``, with an ``rng`` in the state in which that was given one. The
        same question must have the same answer.

        Args:
            data: the training split.
            indices: int64 [M].
            context, rng: as for ``prepare``.
        """


@runtime_checkable
class LabelsSamples(Protocol):
    """A matcher with teachers that can be asked for labels of any samples, distilled ones too."""

    name: ClassVar[str]

    def sample_logits(
        self, samples: TrainingSet, data: LabeledData, context: Context, rng: Generator
    ) -> Tensor:
        """Float [M, classes] that the teachers give ``samples``, of which there are M.

        Asked for after the last step; otherwise as :meth:`HasTeachers.label_logits`.

        Args:
            samples: normalised inputs, on the CPU.
            data: the training split.
            context, rng: as for ``prepare``.
        """


@runtime_checkable
class ChangesOverIterations(Protocol):
    """A matcher whose steps change over the run."""

    def at_iteration(self, done: int) -> None:
        """The next ``step`` is the one after ``done`` iterations.

        Called before each step, also in a run that was continued, so that nothing has to be
        counted or stored. A step without it is that of iteration 0.
        """


@runtime_checkable
class CarriesState(Protocol):
    """A matcher whose steps depend on earlier ones, as where it trains a network in between."""

    def carried(self) -> Mapping[str, Tensor]:
        """All that the next step depends on beside the set, rng and iteration, by name.

        Names, types and shapes are the same at all times, from ``prepare`` on. Kept in the run's
        checkpoints.
        """

    def carry(self, carried: Mapping[str, Tensor]) -> None:
        """Go on from what :meth:`carried` gave, in another process too.

        Args:
            carried: on the CPU; not to be written to.
        """


@runtime_checkable
class HasBaselineAugmentations(Protocol):
    """An evaluator that tries arms of real samples under several augmentations."""

    @property
    def baseline_augmentations(self) -> tuple[str, ...]:
        """Names of these augmentations, the better of which counts; the recipe's own if empty."""


@runtime_checkable
class NeedsTraining(Protocol):
    """An evaluator that may measure against the training split."""

    @property
    def needs_training(self) -> bool:
        """Whether its figures depend on ``arm.training``, which is then part of their key."""


@runtime_checkable
class HasLabelRegime(Protocol):
    """An evaluator that may train towards other labels than a set has."""

    @property
    def label_regime(self) -> str:
        """``own``, or what they are instead; figures of two regimes never stand in one column."""


@runtime_checkable
class CountsSteps(Protocol):
    """An evaluator that trains for a known number of optimiser steps."""

    def steps(self, size: int) -> int:
        """Optimiser steps that every arm gets beside a condensed set of ``size`` samples."""


@runtime_checkable
class HasRanges(Protocol):
    """A selector some of whose options the data limit."""

    def option_ranges(self, data: LabeledData, budget: Budget) -> Mapping[str, tuple[float, float]]:
        """The lowest and the highest value that ``data`` allow, by the option's name.

        ``condense report`` says where a run lies at an end of one.

        Raises:
            DataError: for data that the budget asks too much of.
        """


@runtime_checkable
class MatchesUnder(Protocol):
    """A matcher that augments distilled samples."""

    @property
    def matched_under(self) -> str:
        """Name of the augmentation that they go through in matching."""


@runtime_checkable
class WorksInPieces(Protocol):
    """A scorer, matcher or evaluator that leaves parts of its work in the store, each by itself.

    Those of an evaluator are what all arms have in common, such as a teacher.
    """

    def pieces(self, data: LabeledData, context: Context, rng: Generator) -> Sequence[StoreEntry]:
        """Folder in the store and key of each piece, in order; nothing is computed.

        Arguments are those of ``score`` or ``prepare``, which then find in the store what is
        there, as does ``evaluate``; an evaluator is given the training split without a test split.
        """

    def run_piece(self, number: int, data: LabeledData, context: Context, rng: Generator) -> None:
        """Leave piece ``number`` in the store, by itself; at once if it is there.

        Raises:
            CondenseError: as ``score`` or ``prepare`` does.
        """


@runtime_checkable
class PreparesForSize(Protocol):
    """An evaluator whose pieces depend on how large condensed sets are."""

    def for_size(self, size: int) -> Evaluator:
        """The same, its pieces being those for condensed sets of ``size`` samples."""


@runtime_checkable
class EvaluatesRepeats(Protocol):
    """An evaluator whose repeats do not depend on each other, nor on how many there are.

    That number is its option ``repeats``; more of them later re-use those that are stored.
    """

    name: ClassVar[str]

    @property
    def repeats(self) -> int:
        """How many there are."""

    def evaluate_repeats(
        self,
        arm: Arm,
        test: TrainingSet,
        augmentation: Augmentation,
        context: Context,
        rng: Generator,
        repeats: Collection[int],
    ) -> Steps[tuple[int, Evaluation], None, None]:
        """Number and evaluation (of one value) of each of ``repeats``, as it is done.

        ``evaluate`` is :meth:`Evaluation.of_repeats` of all of them, equal to the bit.

        Args:
            arm, test, augmentation, context, rng: as for ``evaluate``.
            repeats: their numbers, from 0; each is looked at only when its turn comes, as another
                process may have been there meanwhile.
        """
