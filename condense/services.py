"""What the engine lends a component while its stage runs: Protocols only."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import torch
from torch import Generator, Tensor, nn

from condense.data import Geometry, LabeledData
from condense.options import AugmentationSpec, NetworkSpec, Options
from condense.results import Dynamics

if TYPE_CHECKING:
    from condense.engine.runtime.expected import Expected
    from condense.interfaces import Augmentation


class Task(Protocol):
    """One running bar of a :class:`Progress`."""

    def advance(self, n: int = 1, **figures: float) -> None:
        """``n`` more units are done; ``figures`` (loss, accuracy, …) are shown beside the bar."""


class Progress(Protocol):
    """Where long stages report; the command line draws it, the default is silent."""

    def stage(self, name: str, number: int, total: int) -> AbstractContextManager[None]:
        """Tasks within are of stage ``number`` of ``total``, from 1."""

    def task(self, title: str, total: int, unit: str = "it") -> AbstractContextManager[Task]:
        """A bar of ``total`` units that lives as long as the context."""

    def note(self, message: str) -> None:
        """One line the user should see, for example a damaged cache entry."""


@runtime_checkable
class ShowsWhole(Protocol):
    """A :class:`Progress` that shows how long all of it still takes."""

    def whole(
        self,
        title: str,
        total: int,
        unit: str,
        expected: Callable[[], Sequence[Sequence[float | None]]],
    ) -> AbstractContextManager[Task]:
        """A bar of all that there is to do, in ``total`` units of which tasks within are parts.

        Args:
            title: empty where stages are named within.
            expected: gives, of every unit, the seconds of the tasks that follow one another in
                it, None where nobody knows; asked for at once if at all, as it may time steps.
        """


class Cache(Protocol):
    """The content-addressed store as a component sees it."""

    def tensors(
        self,
        kind: str,
        key: Mapping[str, Any],
        compute: Callable[[], dict[str, Tensor]],
        expected: Mapping[str, Expected] | None = None,
    ) -> dict[str, Tensor]:
        """The tensors stored under (``kind``, ``key``), computed and kept if they are not there.

        They may be of any shape and type, and come back equal to the bit.

        Args:
            kind: folder in the store, for example ``"experts"``.
            key: JSON-ready description of everything the result depends on.
            compute: makes the tensors (on the CPU).
            expected: types, shapes and ranges; where it is given, what is stored and is not so is
                computed anew.

        Raises:
            OutputError: if the store cannot be written; and whatever ``compute`` raises, after
                which nothing is kept.
        """

    def has(self, kind: str, key: Mapping[str, Any]) -> bool:
        """Whether an entry is there (not whether it is intact)."""

    def free_disk(self) -> tuple[str, int]:
        """The place where entries are kept, and the bytes that are free there."""


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
        options: Options | None = None,
        *,
        epoch_eval: bool = False,
        full_gradient: bool = False,
    ) -> Dynamics:
        """The training-dynamics pass over ``data``, trained once and cached.

        Args:
            data: training split.
            rng: the stage's generator; only its seed is read, so scorers share the pass.
            options: a :class:`~condense.engine.training.dynamics.DynamicsOptions` (or a model
                derived from it, whose further fields are ignored); None takes the defaults.
            epoch_eval: whether every sample is also evaluated at the end of every epoch
                (``Dynamics.eval_correct``).
            full_gradient: whether the gradient of each sample's loss by all parameters is taken
                (``Dynamics.full_gradient_norm``).

        Returns:
            figures of K networks in E epochs for N samples, [K, E, N]; see :class:`Dynamics`.

        Raises:
            OptionError: for a network or augmentation that does not suit the data.
        """

    def features(self, data: LabeledData, rng: Generator, options: Options | None = None) -> Tensor:
        """Where each sample lies: float32 [N, D], in the data's order, on the CPU; cached.

        Of images: what goes into the last linear layer of a network that is trained on ``data``.
        Of feature data: the inputs themselves.

        Args:
            data: training split.
            rng: the stage's generator; only its seed is read, so that stages share the network.
            options: a :class:`~condense.engine.training.sgd.SgdOptions` or a model that has its
                fields (further ones are ignored), by which the network is trained; None takes the
                defaults, those of the dynamics pass.

        Raises:
            OptionError: for a network or augmentation that does not suit the data, or a network
                without a linear layer.
            CondenseError: if training diverges.
            DataError: if features are not finite.
        """

    def identity(self, spec: NetworkSpec | AugmentationSpec) -> dict[str, Any]:
        """Component, version and every option of ``spec``, for cache keys.

        Raises:
            UnknownComponent, OptionError: for a name or option that does not exist.
        """
