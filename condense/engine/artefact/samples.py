"""The small set, self-describing: what it holds and what can be told from that alone."""

from __future__ import annotations

import hashlib
import operator
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import safetensors.torch
import torch
from torch import Tensor
from typing_extensions import Self

from condense.data import (
    Geometry,
    LabeledData,
    Normalization,
    Role,
    SyntheticSet,
    TrainingSet,
    content_digest,
)
from condense.engine.training.batches import network_inputs, to_pixels
from condense.errors import DataError
from condense.results import Trace

FORMAT = 1
SOFT_FORMAT = 2  # of a set with soft labels: a reader of format 1 would train on the wrong ones


@dataclass(frozen=True, eq=False, repr=False)
class CondensedSamples:
    """A condensed training set; ``samples[i]`` is (normalised input, label).

    Attributes:
        inputs: float32 [M, C, H, W] or [M, D], normalised by ``normalization``.
        labels: int64 [M], grouped by class.
        role: uint8 [M], 0 real and frozen, 1 distilled (:class:`condense.data.Role`).
        source_index: int64 [M], the training sample each one is or started from.
        source_inputs: uint8 [M, H, W, C] or float32 [M, D], those samples themselves.
        classes: class names.
        normalization: per-channel mean and std in 0–1 pixel units.
        flip: whether mirroring keeps the label.
        step_size: learned synthetic step size, None where none was learned.
        method, seed, recipe: how it was made; ``recipe`` is what ``recipe.toml`` holds.
        data_name, data_fingerprint: what it was made of.
        trace: loss and step size of every matching iteration.
        snapshots: inputs of the whole set after some iterations, by iteration.
        soft_labels: float32 [M, C] where labels were learned: the distribution over the classes
            that a network is to be trained towards; ``labels`` are then the classes that samples
            were chosen for. Else None.
    """

    inputs: Tensor
    labels: Tensor
    role: Tensor
    source_index: Tensor
    source_inputs: Tensor
    classes: tuple[str, ...]
    normalization: Normalization
    flip: bool = True
    step_size: float | None = None
    method: str = ""
    seed: int = 0
    recipe: Mapping[str, Any] = field(default_factory=dict)
    data_name: str = ""
    data_fingerprint: str = ""
    trace: Trace = field(default_factory=Trace)
    snapshots: Mapping[int, Tensor] = field(default_factory=dict)
    soft_labels: Tensor | None = None

    @classmethod
    def of(
        cls,
        data: LabeledData,
        synthetic: SyntheticSet,
        *,
        method: str,
        seed: int,
        recipe: Mapping[str, Any],
        trace: Trace | None = None,
        snapshots: Mapping[int, Tensor] | None = None,
    ) -> Self:
        """The artefact of ``synthetic``, made of ``data``."""
        step_size, logits = float(synthetic.step_size), synthetic.label_logits
        return cls(
            synthetic.inputs.cpu(),
            synthetic.labels.cpu(),
            synthetic.role.cpu(),
            synthetic.source_index.cpu(),
            data.inputs[synthetic.source_index.cpu()],
            data.classes,
            data.normalization,
            data.flip,
            None if step_size != step_size else step_size,
            method,
            seed,
            recipe,
            data.name,
            data.fingerprint,
            trace or Trace(),
            snapshots or {},
            None if logits is None else logits.float().softmax(1).cpu(),
        )

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int | Tensor]:
        """(normalised input [C, H, W] or [D], target) of one sample; negative from the end.

        The target is the label, or the soft label float32 [classes] where labels were learned: in
        a batch, ``torch.nn.functional.cross_entropy`` takes either.

        Raises:
            TypeError: for anything but one whole number.
            IndexError: outside of the set.
        """
        try:
            place = operator.index(index)
        except TypeError:
            raise TypeError(
                f"index must be one whole number, got {index!r}; for several samples use "
                ".inputs[…] and .labels[…], or torch.utils.data.Subset"
            ) from None
        soft = self.soft_labels
        return self.inputs[place], int(self.labels[place]) if soft is None else soft[place]

    def __repr__(self) -> str:
        shape = "×".join(map(str, self.geometry.shape))
        soft = "soft labels, " * (self.soft_labels is not None)
        return (
            f"{type(self).__name__}({len(self)} samples of {shape}, {int(self.distilled.sum())} "
            f"distilled, {soft}{len(self.classes)} classes, {self.method} on {self.data_name})"
        )

    @property
    def geometry(self) -> Geometry:
        return Geometry(tuple(self.inputs.shape[1:]), len(self.classes), self.flip)

    @property
    def distilled(self) -> Tensor:
        """bool [M], true where a sample was distilled."""
        return self.role == Role.DISTILLED

    @property
    def matched(self) -> bool:
        """Whether matching had a part in it: in samples that were distilled, or in labels."""
        return bool(self.distilled.any()) or self.soft_labels is not None

    @property
    def targets(self) -> Tensor:
        """What to train towards: soft labels float32 [M, C] if they were learned, else labels
        int64 [M]. ``torch.nn.functional.cross_entropy`` takes either."""
        return self.labels if self.soft_labels is None else self.soft_labels

    @property
    def images(self) -> Tensor:
        """uint8 [M, H, W, C] as one would look at them; distilled values clamped to 0–255.

        Real samples are their sources, byte for byte.

        Raises:
            DataError: for feature vectors.
        """
        if not self.geometry.is_image:
            raise DataError("this set holds feature vectors, which have no images")
        pixels = to_pixels(self.inputs, self.normalization)
        mask = self.distilled[:, None, None, None]
        return torch.where(mask, pixels, self.source_inputs)

    def training_set(self) -> TrainingSet:
        """As the training loop and the evaluator take it."""
        return TrainingSet(
            self.inputs,
            self.labels,
            self.role,
            self.normalization,
            self.geometry,
            normalized=True,
            soft_labels=self.soft_labels,
        )

    @property
    def content_fingerprint(self) -> str:
        """SHA-256 (32 hex digits) of what training on the set depends on."""
        soft = () if self.soft_labels is None else (self.soft_labels,)
        samples = (self.inputs, self.labels, self.role, *soft)
        return content_digest(*samples, extra=(self.classes, self.flip))

    def source_unchanged(self) -> bool:
        """Whether every real sample still equals its source to the bit."""
        real = ~self.distilled
        data = LabeledData(self.source_inputs, self.labels, self.classes, self.normalization)
        indices = torch.nonzero(real).flatten()
        return bool(torch.equal(self.inputs[real], network_inputs(data, indices)))

    def to_bytes(self) -> bytes:
        """The contents of ``condensed.safetensors``."""
        norm = [self.normalization.mean, self.normalization.std]
        step = float("nan") if self.step_size is None else self.step_size
        tensors = {
            "inputs": self.inputs,
            "labels": self.labels,
            "role": self.role,
            "source_index": self.source_index,
            "source_inputs": self.source_inputs,
            "step_size": torch.tensor(step, dtype=torch.float32),
            "normalisation": torch.tensor(norm, dtype=torch.float64),
            **({} if self.soft_labels is None else {"soft_labels": self.soft_labels}),
        }
        return safetensors.torch.save({k: v.contiguous() for k, v in tensors.items()})

    def manifest(self, blob: bytes) -> dict[str, Any]:
        """The contents of ``manifest.json``; nothing in it depends on the clock."""
        return {
            "format": FORMAT if self.soft_labels is None else SOFT_FORMAT,
            "method": self.method,
            "seed": self.seed,
            "samples": len(self),
            "distilled": int(self.distilled.sum()),
            "shape": list(self.geometry.shape),
            "layout": "NCHW, normalised float32" if self.geometry.is_image else "ND, normalised",
            "classes": list(self.classes),
            "per_class": torch.bincount(self.labels, minlength=len(self.classes)).tolist(),
            "flip": self.flip,
            "step_size": self.step_size,
            "normalisation": {
                "mean": list(self.normalization.mean),
                "std": list(self.normalization.std),
            },
            "data": {"name": self.data_name, "fingerprint": self.data_fingerprint},
            "recipe": dict(self.recipe),
            "roles": {"0": "real", "1": "distilled"},
            "snapshots": sorted(self.snapshots),
            **({} if self.soft_labels is None else {"soft_labels": True}),
            "sha256": hashlib.sha256(blob).hexdigest(),
        }
