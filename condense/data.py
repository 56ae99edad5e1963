"""The frozen dataclasses that pass between stages; no behaviour beyond their own shape.

Images are uint8 [N, H, W, C] (C = 1 for grey) until they reach a network, features float32
[N, D]. Networks see normalised float32: images [B, C, H, W], features [B, D].
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import IntEnum
from functools import cached_property

import torch
from torch import Tensor

from condense.errors import DataError, OptionError


def content_digest(*tensors: Tensor, extra: object = ()) -> str:
    """SHA-256 (first 32 hex digits) of CPU tensors' types, shapes and bytes, and ``extra``."""
    digest = hashlib.sha256(repr(extra).encode())
    for tensor in tensors:
        digest.update(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
        digest.update(tensor.contiguous().numpy().data)
    return digest.hexdigest()[:32]


class Role(IntEnum):
    """Where a sample of a condensed set comes from; travels with the sample."""

    REAL = 0
    DISTILLED = 1


@dataclass(frozen=True)
class Normalization:
    """Per-channel mean and standard deviation, in units of the 0–1 pixel range.

    For features, one value per dimension (or one for all), in the features' own unit.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True)
class Geometry:
    """What a network and an augmentation need to know of one sample.

    Attributes:
        shape: (C, H, W) of an image or (D,) of a feature vector.
        classes: number of classes.
        flip: whether a left–right mirror image keeps its label (false for digits).
    """

    shape: tuple[int, ...]
    classes: int
    flip: bool = True

    @property
    def is_image(self) -> bool:
        return len(self.shape) == 3


@dataclass(frozen=True, eq=False)
class LabeledData:
    """One labelled split, with its test split if there is one.

    Attributes:
        inputs: uint8 [N, H, W, C] images or float32 [N, D] features.
        labels: int64 [N], values in 0 … len(classes)−1.
        classes: names of the classes.
        normalization: how inputs are normalised before a network sees them.
        flip: whether mirroring an image keeps its label.
        name: what to call it in tables and run folders.
        test: the test split, or None. Stages that learn or choose get the data without it.
    """

    inputs: Tensor
    labels: Tensor
    classes: tuple[str, ...]
    normalization: Normalization
    flip: bool = True
    name: str = "data"
    test: LabeledData | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def geometry(self) -> Geometry:
        shape = tuple(self.inputs.shape[1:])
        if len(shape) == 3:  # [H, W, C] → [C, H, W]
            shape = (shape[2], shape[0], shape[1])
        return Geometry(shape, len(self.classes), self.flip)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (first 32 hex digits) of inputs, labels, classes and normalisation."""
        return content_digest(
            self.inputs, self.labels, extra=(self.classes, self.normalization, self.flip)
        )

    def without_test(self) -> LabeledData:
        """The same training split with its test split out of reach."""
        return replace(self, test=None) if self.test is not None else self

    def class_indices(self, label: int) -> Tensor:
        """int64 [n] positions of the samples of class ``label``, ascending."""
        return torch.nonzero(self.labels == label).flatten()

    def subset(self, indices: Tensor) -> LabeledData:
        """The samples at ``indices`` (int64 [M]), without a test split."""
        return replace(self, inputs=self.inputs[indices], labels=self.labels[indices], test=None)


@dataclass(frozen=True)
class Budget:
    """How many samples to keep: ``ipc`` per class, or a ``fraction`` of every class.

    Exactly one is given; ``fraction`` keeps at least one sample a class.
    """

    ipc: int | None = None
    fraction: float | None = None

    def __post_init__(self) -> None:
        if (self.ipc is None) == (self.fraction is None):
            raise OptionError("give either ipc or fraction, not both and not neither")
        if self.ipc is not None and (type(self.ipc) is not int or self.ipc < 1):
            raise OptionError(
                f"ipc must be a whole number of at least 1, got {self.ipc!r}; try --ipc 5"
            )
        share = self.fraction
        if share is not None and (not isinstance(share, (int, float)) or not 0 < share <= 1):
            raise OptionError(f"fraction must be in (0, 1], got {share!r}; try --fraction 0.1")

    def counts(self, data: LabeledData) -> tuple[int, ...]:
        """Samples to keep of each class.

        Raises:
            DataError: naming the class, the count asked and the count there.
        """
        sizes = torch.bincount(data.labels, minlength=len(data.classes)).tolist()
        if self.fraction is not None:
            # 1e-9 keeps 0.29 · 100 at 29 although the float product is 28.999…
            return tuple(max(1, int(self.fraction * n + 1e-9)) if n else 0 for n in sizes)
        assert self.ipc is not None
        for name, size in zip(data.classes, sizes, strict=True):
            if size < self.ipc:
                raise DataError(
                    f"class {name} has {size} images, ipc {self.ipc} asks for more; "
                    f"lower --ipc to at most {min(sizes)} or use --fraction"
                )
        return (self.ipc,) * len(sizes)


@dataclass(frozen=True, eq=False)
class Scores:
    """Difficulty of every training sample; **higher = harder, always**.

    Attributes:
        values: float32 [N], finite.
        fingerprint: of the :class:`LabeledData` they were computed on.
        estimator: what they are, in a few words, for example ``"cscore (learning-speed)"``.
        standard_error: float32 [N] of the estimate, or None where there is none.
    """

    values: Tensor
    fingerprint: str
    estimator: str
    standard_error: Tensor | None = None


@dataclass(frozen=True, eq=False)
class Selection:
    """The samples chosen, grouped by class, hardest first where scores were used.

    Attributes:
        indices: int64 [M] positions in the training data.
        labels: int64 [M] of these samples, ascending.
        counts: samples of each class, summing to M.
    """

    indices: Tensor
    labels: Tensor
    counts: tuple[int, ...]

    @staticmethod
    def of_classes(chosen: list[Tensor]) -> Selection:
        """The selection of ``chosen[c]`` (int64 [n_c], in order) for each class c."""
        labels = [torch.full((len(part),), c) for c, part in enumerate(chosen)]
        return Selection(torch.cat(chosen), torch.cat(labels), tuple(len(p) for p in chosen))


@dataclass(frozen=True, eq=False)
class SyntheticSet:
    """The small set while it is being made and once it is done.

    Attributes:
        inputs: float32 [M, C, H, W] or [M, D], normalised.
        labels: int64 [M].
        role: uint8 [M] of :class:`Role`; only distilled samples ever move.
        source_index: int64 [M] training sample each one is, or started from.
        step_size: float32 scalar tensor, the learned synthetic step size; NaN where none is.
    """

    inputs: Tensor
    labels: Tensor
    role: Tensor
    source_index: Tensor
    step_size: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: torch.device) -> SyntheticSet:
        return SyntheticSet(
            self.inputs.to(device),
            self.labels.to(device),
            self.role.to(device),
            self.source_index.to(device),
            self.step_size.to(device),
        )


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """What a network is trained or tested on: real data, a subset of it, or a condensed set.

    Attributes:
        inputs: uint8 [N, H, W, C], float32 features [N, D], or — where ``normalized`` —
            float32 [N, C, H, W] / [N, D] that are normalised already.
        labels: int64 [N].
        role: uint8 [N] of :class:`Role`.
        normalization: applied on the fly unless ``normalized``.
        geometry: of one sample.
        normalized: whether ``inputs`` are normalised already.
    """

    inputs: Tensor
    labels: Tensor
    role: Tensor
    normalization: Normalization
    geometry: Geometry
    normalized: bool = False

    def __len__(self) -> int:
        return len(self.labels)

    @staticmethod
    def of(data: LabeledData) -> TrainingSet:
        """All of ``data`` as real samples."""
        role = torch.full((len(data),), int(Role.REAL), dtype=torch.uint8)
        return TrainingSet(data.inputs, data.labels, role, data.normalization, data.geometry)


@dataclass(frozen=True, eq=False)
class Arm:
    """One thing to evaluate: a condensed set, or a baseline of its size.

    Attributes:
        name: for tables.
        draw: the training set of a repeat (the same one each time for a condensed set, a fresh
            subset for random).
        size: samples of the condensed set. Epochs are counted in it for every arm, so that all
            get the same number of optimiser steps.
    """

    name: str
    draw: Callable[[int], TrainingSet]
    size: int


@dataclass(frozen=True, eq=False)
class Dynamics:
    """One pass of training, seen sample by sample; networks K, epochs E, samples N.

    Attributes:
        margin: float32 [K, E, N], correct-class logit minus the largest other logit, as
            recorded in train mode just before the sample's own update in that epoch.
        probability: float32 [K, E, N], softmax probability of the true class, likewise.
        error_norm: float32 [K, E, N], ‖softmax − onehot‖₂, likewise.
        correct: bool [K, E, N], margin > 0.
        eval_error_norm: float32 [K, N], ‖softmax − onehot‖₂ in eval mode after
            ``eval_epoch`` epochs.
        eval_epoch: number of epochs trained before that evaluation pass.
        seconds: spent on the pass.
        eval_correct: bool [K, E, N], right in eval mode at the end of each epoch, or None where
            it was not asked for.
    """

    margin: Tensor
    probability: Tensor
    error_norm: Tensor
    correct: Tensor
    eval_error_norm: Tensor
    eval_epoch: int
    seconds: float = 0.0
    eval_correct: Tensor | None = None


@dataclass(frozen=True, eq=False)
class MatchStep:
    """The outcome of one matching iteration.

    Attributes:
        loss: scalar tensor.
        grad_inputs: like ``SyntheticSet.inputs``, zero for samples that were not drawn.
        grad_labels: gradient of the labels, or None where they are not learned.
        grad_step_size: scalar tensor, or None where it is not learned.
    """

    loss: Tensor
    grad_inputs: Tensor
    grad_labels: Tensor | None = None
    grad_step_size: Tensor | None = None


@dataclass(frozen=True)
class MatchPlan:
    """What the engine's matching loop does with a matcher's gradients.

    Attributes:
        iterations: number of matching iterations; 0 means nothing is distilled.
        image_lr: learning rate of the distilled samples (SGD).
        image_momentum: their momentum.
        step_size: initial synthetic step size.
        step_size_lr: its learning rate.
        step_size_momentum: its momentum.
        image_weight_decay: weight decay of the distilled samples.
        snapshots: iterations after which the set is saved beside the result.
    """

    iterations: int
    image_lr: float = 0.0
    image_momentum: float = 0.0
    step_size: float = float("nan")
    step_size_lr: float = 0.0
    step_size_momentum: float = 0.0
    image_weight_decay: float = 0.0
    snapshots: tuple[int, ...] = ()


@dataclass(frozen=True)
class Trace:
    """Loss and step size after every matching iteration."""

    loss: tuple[float, ...] = ()
    step_size: tuple[float, ...] = ()


@dataclass(frozen=True)
class Evaluation:
    """Test accuracy of networks trained on one arm.

    Attributes:
        values: accuracy in 0–1 of each repeat, last epoch.
        protocol: how it was measured (network, steps, augmentation, …), JSON-ready.
        seconds: spent training and testing.
        per_class: mean accuracy over the repeats for each class.
    """

    values: tuple[float, ...]
    protocol: dict[str, object] = field(default_factory=dict)
    seconds: float = 0.0
    per_class: tuple[float, ...] = ()

    @property
    def n(self) -> int:
        return len(self.values)

    @property
    def mean(self) -> float:
        return sum(self.values) / self.n

    @property
    def std(self) -> float:
        """Sample standard deviation (ddof 1); 0 for a single repeat."""
        if self.n < 2:
            return 0.0
        return float((sum((v - self.mean) ** 2 for v in self.values) / (self.n - 1)) ** 0.5)

    def summary(self) -> dict[str, object]:
        """``mean, std, n, values`` for JSON."""
        return {"mean": self.mean, "std": self.std, "n": self.n, "values": list(self.values)}


@dataclass(frozen=True)
class Cost:
    """An estimate for ``--dry-run``: seconds, peak memory and disk in bytes."""

    seconds: float = 0.0
    memory: int = 0
    disk: int = 0
