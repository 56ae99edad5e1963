"""The contract of every component kind: Protocols only, nothing to inherit.

A component is a class with a kebab-case ``name``, a ``version``, a nested pydantic ``Options`` and
a constructor that takes those options and does no work. What it may do beside its kind's methods
stands in :mod:`condense.capabilities`, what it may say of itself in :mod:`condense.traits`. The
dataclasses that pass between components live in :mod:`condense.data` and :mod:`condense.results`
and are re-exported here.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
from torch import Generator, Tensor, nn

from condense.data import (
    Geometry as Geometry,
    LabeledData as LabeledData,
    Normalization as Normalization,
    Role as Role,
    SyntheticSet as SyntheticSet,
    TrainingSet as TrainingSet,
)
from condense.jobs import (
    Done as Done,
    ExecutorOptions as ExecutorOptions,
    Job as Job,
    TrackedRun as TrackedRun,
)
from condense.options import Options as BaseOptions
from condense.results import (
    Arm as Arm,
    Budget as Budget,
    Cost as Cost,
    Dynamics as Dynamics,
    Evaluation as Evaluation,
    LabelPlan as LabelPlan,
    MatchPlan as MatchPlan,
    MatchStep as MatchStep,
    Scores as Scores,
    Selection as Selection,
    StoreEntry as StoreEntry,
)
from condense.services import Cache as Cache, Context as Context, Progress as Progress, Task as Task


@runtime_checkable
class Component(Protocol):
    """What all kinds have in common.

    ``version`` is part of every cache key: raise it when a change alters results.
    """

    name: ClassVar[str]
    version: ClassVar[str]

    @property
    def Options(self) -> type[BaseOptions]:
        """The component's options model."""

    def __init__(self, options: Any) -> None: ...


class Dataset(Component, Protocol):
    """A source of labelled data."""

    def load(self, context: Context) -> LabeledData:
        """The training split, with the test split as its ``test``.

        Inputs are uint8 [N, H, W, C] (0-255) or float32 [N, D], labels int64 [N].

        Raises:
            DataError: if it is missing, malformed or empty.
        """


class Network(Component, Protocol):
    """A family of networks."""

    def build(self, geometry: Geometry) -> nn.Module:
        """An untrained module from [B, *geometry.shape] float to [B, classes] logits.

        Called under a seeded global generator, so plain ``torch.nn.init`` is reproducible. In
        training, dropout draws from global ones that are seeded from the run's seed as well.

        Raises:
            OptionError: for a shape it does not take, or options that do not suit it.
        """


class Scorer(Component, Protocol):
    """Rates how hard each training sample is."""

    def score(self, data: LabeledData, context: Context, rng: Generator) -> Scores | Tensor:
        """Scores of all samples, higher = harder: float [N] (or :class:`Scores`), finite.

        As :class:`Scores` they may carry companions that selectors ask for by name.

        Args:
            data: the training split; its test split is out of reach.
            context: device, cache, progress, training dynamics.
            rng: CPU generator of this stage.

        Raises:
            DataError: for data it cannot rate, naming the class or the sample.
        """


class Selector(Component, Protocol):
    """Chooses the samples the small set is made of.

    ``needs_scores`` tells the engine whether to run the scorer at all.
    """

    needs_scores: ClassVar[bool]

    def select(
        self,
        data: LabeledData,
        scores: Scores | None,
        budget: Budget,
        context: Context,
        rng: Generator,
    ) -> Selection:
        """Exactly ``budget.counts(data)`` samples of each class, hardest first if scored.

        Indices are int64 [M], grouped by class, no sample twice.

        Args:
            data: the training split; its test split is out of reach.
            scores: of all samples, or None where the selector needs none.
            budget: how many to keep of each class.
            context: device, cache, progress, features, training dynamics.
            rng: CPU generator of this stage.

        Raises:
            OptionError: without the scores it needs.
            DataError: naming class, count asked and count there; never a shorter selection.
        """


class UpdatePolicy(Component, Protocol):
    """Says which of the selected samples may be changed by distillation."""

    def split(self, selection: Selection) -> Tensor:
        """bool [M], true where a sample is distilled, false where it stays real and frozen.

        Raises:
            OptionError: for options that do not suit the selection.
        """


class Matcher(Component, Protocol):
    """Gives the gradients by which distilled samples are improved.

    Where ``synthetic.label_logits`` are given, a student is trained towards their softmax, and
    :meth:`step` gives their gradient as ``grad_labels``.
    """

    @property
    def plan(self) -> MatchPlan:
        """How many iterations, and the engine's optimiser settings."""

    def prepare(self, data: LabeledData, context: Context, rng: Generator) -> None:
        """Everything that does not depend on the synthetic set, for example expert trajectories.

        Must not draw from any generator that :meth:`step` uses, so that cached or not makes
        no difference.

        Raises:
            CapacityError: if what it prepares would not fit memory or disk.
        """

    def step(self, synthetic: SyntheticSet, rng: Generator) -> MatchStep:
        """Loss (scalar) and gradients [M, …] at ``synthetic``, which the engine then updates.

        In the dtype of ``synthetic.inputs``. ``rng`` is a CPU generator.

        Raises:
            CondenseError: for a set that it cannot match. One step whose loss or gradient is not
                finite is no error: the engine leaves it out.
        """


class Reselector(Component, Protocol):
    """Puts other real samples in the place of those of a set that has been matched.

    ``needs_scores`` tells the engine whether to run the scorer at all.
    """

    needs_scores: ClassVar[bool]

    def complete(
        self,
        synthetic: SyntheticSet,
        data: LabeledData,
        scores: Scores | None,
        context: Context,
        rng: Generator,
    ) -> Tensor:
        """int64 [R], the training samples that the set is to have as its real ones.

        Of each class as many as ``synthetic`` has of role REAL, no sample twice and none that a
        distilled one started from. Within a class they take the real samples' places in order.
        Distilled samples stay what they are.

        Args:
            synthetic: after matching, at least one sample of it real.
            data: the training split; its test split is out of reach.
            scores: of all training samples, or None where the reselector needs none.
            context: device, cache, progress, features, training dynamics.
            rng: CPU generator of this stage.

        Raises:
            OptionError: without the scores it needs.
        """


class Augmentation(Component, Protocol):
    """Random label-preserving change of a batch, in two halves so that it can be replayed."""

    def draw(self, role: Tensor, geometry: Geometry, rng: Generator) -> Tensor:
        """Random parameters, float32 [..., B, P], for samples of ``role`` (uint8 [..., B]).

        The last dimension of ``role`` is a batch. ``rng`` and the result live on its device.

        Raises:
            OptionError: if options leave nothing to draw from.
        """

    def apply(self, inputs: Tensor, draws: Tensor) -> Tensor:
        """``inputs`` [B, C, H, W] (normalised) changed by ``draws`` [B, P]; differentiable.

        Equal draws give equal changes. Features [B, D] pass through unchanged.

        Raises:
            Nothing on purpose: what cannot be drawn for is refused by :meth:`draw`.
        """


class Evaluator(Component, Protocol):
    """Measures what a small set is worth."""

    def evaluate(
        self,
        arm: Arm,
        test: TrainingSet,
        augmentation: Augmentation,
        context: Context,
        rng: Generator,
    ) -> Evaluation:
        """Train one network per repeat on ``arm.draw(repeat)`` and read ``test`` once for each.

        Args:
            arm: what to train on.
            test: the test split; never used to choose anything.
            augmentation: of the training batches.
            context: device, networks, progress.
            rng: generator of this stage.

        Returns:
            accuracies in 0–1, one a repeat, of the last epoch; seconds of wall clock.

        Raises:
            CondenseError: for a network or augmentation that does not suit the data.
        """


class Executor(Component, Protocol):
    """Works jobs off, in other processes or on other machines.

    It knows nothing of what they do. Its ``Options`` derive from
    :class:`condense.jobs.ExecutorOptions`; those that jobs have something of (threads, GPUs,
    memory) come to it with each job, ``retries`` is condense's own to heed.
    """

    @property
    def options(self) -> ExecutorOptions:
        """What it was made with."""

    def submit(self, job: Job) -> None:
        """Start ``job`` as soon as there is room for it; returns at once.

        Raises:
            CondenseError: if it cannot work off any: a package is missing, a cluster not there.
        """

    def next_done(self) -> Done:
        """The next of the submitted jobs that has ended, whichever it is; waits for it.

        A job whose process or machine died is done without a result.
        """

    def close(self) -> None:
        """Cancel what runs and release all there is; another job may be submitted after it."""


class Tracker(Component, Protocol):
    """Is told of a run while it is under way, to show or keep it somewhere.

    No result depends on it: whatever it raises is said in a line, and the run goes on without it.
    """

    def begin(self, run: TrackedRun) -> None:
        """A run starts; it may be the next of several, each of which was closed.

        Raises:
            OptionError: for options that it cannot work with, or a package that is missing: this
                alone ends the run, before any work.
        """

    def figures(self, step: int, values: Mapping[str, float]) -> None:
        """Figures after ``step`` iterations of matching, by name; one may be NaN or infinite.

        ``matching/loss``, ``matching/step-size``, ``matching/image-lr``, ``accuracy/ARM`` (0–1).
        A matching that diverged goes back and gives those of some steps again.
        """

    def picture(self, step: int, image: npt.NDArray[np.uint8]) -> None:
        """Some of the samples after ``step`` iterations: uint8 [H, W, 3]."""

    def artefact(self, folder: Path) -> None:
        """The result, which lies in ``folder``."""

    def close(self, done: bool) -> None:
        """The run has ended; ``done`` says whether it came to its end."""
