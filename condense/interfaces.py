"""The contract of every component kind: Protocols only, nothing to inherit.

A component is a class with a kebab-case ``name``, a nested pydantic ``Options`` and a
constructor that takes those options and does no work. ``arg``, where it is set, names the option
that the short form ``NAME:VALUE`` fills (``npz:PATH``). The dataclasses that pass between them
live in :mod:`condense.data` and are re-exported here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, ClassVar, Protocol, runtime_checkable

import torch
from torch import Generator, Tensor, nn

from condense.data import Geometry, LabeledData, Normalization, Role, SyntheticSet, TrainingSet
from condense.options import AugmentationSpec, NetworkSpec
from condense.options import Options as BaseOptions
from condense.results import (
    Arm,
    Budget,
    Cost,
    Dynamics,
    Evaluation,
    LabelPlan,
    MatchPlan,
    MatchStep,
    Scores,
    Selection,
)

__all__ = [
    "Arm",
    "Augmentation",
    "Budget",
    "Cache",
    "Component",
    "Context",
    "Cost",
    "Dataset",
    "Dynamics",
    "Evaluation",
    "Evaluator",
    "Geometry",
    "LabelPlan",
    "LabeledData",
    "MatchPlan",
    "MatchStep",
    "Matcher",
    "Network",
    "Normalization",
    "Progress",
    "Role",
    "Scorer",
    "Scores",
    "Selection",
    "Selector",
    "SyntheticSet",
    "Task",
    "TrainingSet",
    "UpdatePolicy",
]


class Task(Protocol):
    """One running bar of a :class:`Progress`."""

    def advance(self, n: int = 1, **figures: float) -> None:
        """``n`` more units are done; ``figures`` (loss, accuracy, …) are shown beside the bar."""


class Progress(Protocol):
    """Where long stages report; the command line draws it, the default is silent."""

    def task(self, title: str, total: int, unit: str = "it") -> AbstractContextManager[Task]:
        """A bar of ``total`` units that lives as long as the context."""

    def note(self, message: str) -> None:
        """One line the user should see, for example a damaged cache entry."""


class Cache(Protocol):
    """The content-addressed store as a component sees it."""

    def tensors(
        self, kind: str, key: Mapping[str, Any], compute: Callable[[], dict[str, Tensor]]
    ) -> dict[str, Tensor]:
        """The tensors stored under (``kind``, ``key``), computed and kept if they are not there.

        They may be of any shape and type, and come back equal to the bit.

        Args:
            kind: folder in the store, for example ``"experts"``.
            key: JSON-ready description of everything the result depends on.
            compute: makes the tensors (on the CPU).

        Raises:
            OutputError: if the store cannot be written; and whatever ``compute`` raises, after
                which nothing is kept.
        """

    def has(self, kind: str, key: Mapping[str, Any]) -> bool:
        """Whether an entry is there (not whether it is intact)."""


class Context(Protocol):
    """What the engine lends a component while its stage runs."""

    @property
    def device(self) -> torch.device:
        """Where tensors are worked on."""

    @property
    def cache(self) -> Cache:
        """The stage cache."""

    @property
    def progress(self) -> Progress:
        """Where long stages report."""

    def network(self, spec: NetworkSpec, geometry: Geometry, rng: Generator) -> nn.Module:
        """A freshly initialised network on :attr:`device`; global random state is untouched.

        It takes float [B, *geometry.shape] to logits [B, classes], and is in train mode.

        Raises:
            UnknownComponent, OptionError: for a name or option that does not exist, or a shape
                that the network does not take.
        """

    def augmentation(self, spec: AugmentationSpec) -> Augmentation:
        """The augmentation that ``spec`` names.

        Raises:
            UnknownComponent, OptionError: for a name or option that does not exist.
        """

    def dynamics(
        self,
        data: LabeledData,
        rng: Generator,
        options: BaseOptions | None = None,
        *,
        epoch_eval: bool = False,
    ) -> Dynamics:
        """The training-dynamics pass over ``data``, trained once and cached.

        Args:
            data: training split.
            rng: the stage's generator; only its seed is read, so scorers share the pass.
            options: a :class:`~condense.engine.training.dynamics.DynamicsOptions` (or a model
                derived from it, whose further fields are ignored); None takes the defaults.
            epoch_eval: whether every sample is also evaluated at the end of every epoch
                (``Dynamics.eval_correct``).

        Returns:
            figures of K networks in E epochs for N samples, [K, E, N]; see :class:`Dynamics`.

        Raises:
            OptionError: for a network or augmentation that does not suit the data.
        """

    def identity(self, spec: NetworkSpec | AugmentationSpec) -> dict[str, Any]:
        """Component, version and every option of ``spec``, for cache keys.

        Raises:
            UnknownComponent, OptionError: for a name or option that does not exist.
        """


@runtime_checkable
class Component(Protocol):
    """What all kinds have in common."""

    name: ClassVar[str]

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

        Called under a seeded global generator, so plain ``torch.nn.init`` is reproducible.

        Raises:
            OptionError: for a shape it does not take, or options that do not suit it.
        """


class Scorer(Component, Protocol):
    """Rates how hard each training sample is.

    One that averages independent estimates (networks, repeats) may also have
    ``replicates(data, context, rng)``: these estimates, float [R, N], from what the scoring left
    in the cache. ``condense score --compare`` reads its split-half reliability from them.
    """

    def score(self, data: LabeledData, context: Context, rng: Generator) -> Scores | Tensor:
        """Scores of all samples, higher = harder: float [N] (or :class:`Scores`), finite.

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
        self, data: LabeledData, scores: Scores | None, budget: Budget, rng: Generator
    ) -> Selection:
        """Exactly ``budget.counts(data)`` samples of each class, hardest first if scored.

        Indices are int64 [M], grouped by class, no sample twice.

        Raises:
            OptionError: without the scores it needs.
            DataError: naming class, count asked and count there; never a shorter selection.
        """


class UpdatePolicy(Component, Protocol):
    """Says which of the selected samples may be changed by distillation.

    One under which labels are learned as well also has ``label_plan``, a :class:`LabelPlan`.
    """

    def split(self, selection: Selection) -> Tensor:
        """bool [M], true where a sample is distilled, false where it stays real and frozen.

        Raises:
            OptionError: for options that do not suit the selection.
        """


class Matcher(Component, Protocol):
    """Gives the gradients by which distilled samples are improved.

    ``relative_loss = True`` on the class says that a loss of 1 means no progress at all, as where
    it is relative to the distance to be gone; ``condense report`` judges it then. A matcher whose
    steps change over the run may have ``at_iteration(done)``: the engine calls it before each
    :meth:`step` with the number of iterations before this one, also in a run that was continued, so
    that nothing has to be counted or stored. A step without it is that of iteration 0.

    Where ``synthetic.label_logits`` are given, a student is trained towards their softmax, and
    :meth:`step` gives their gradient as ``grad_labels``. A matcher with teachers may have
    ``label_logits(data, indices, context, rng)``: float [M, classes] that they give the training
    samples at ``indices``, asked for after :meth:`prepare`, with an ``rng`` in the state in which
    that was given one. The same question must have the same answer.
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


class Augmentation(Component, Protocol):
    """Random label-preserving change of a batch, in two halves so that it can be replayed.

    One that treats samples by their role has ``by_role = True`` on the class, and ``on_distilled``,
    the name of the augmentation that distilled samples get, by which ``condense report`` compares
    matching with evaluation.
    """

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
    """Measures what a small set is worth.

    Two class attributes may be added: ``measure``, the word for its figures where they are no
    accuracies; and ``needs_training = True`` where they depend on ``arm.training``, which then
    becomes part of their cache key.
    """

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
