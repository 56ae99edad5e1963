"""Samples as frozen dataclasses: data sets, training sets, the synthetic set.

Images are uint8 [N, H, W, C] (C = 1 for grey) until they reach a network, features float32
[N, D]. Networks see normalised float32: images [B, C, H, W], features [B, D].
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from functools import cached_property
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from condense.errors import DataError
from condense.tabular.table import Table

# what samples are: by it networks (`auto`) and values of presets are chosen
Modality: TypeAlias = Literal["image", "features"]

_ABSOLUTE = re.compile(r"[/\\]|[A-Za-z]:[/\\]")


def content_digest(*tensors: Tensor, extra: object = ()) -> str:
    """SHA-256 (first 32 hex digits) of CPU tensors' types, shapes and bytes, and ``extra``."""
    digest = hashlib.sha256(repr(extra).encode())
    for tensor in tensors:
        digest.update(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
        digest.update(tensor.contiguous().numpy().data)
    return digest.hexdigest()[:32]


def taken(texts: Sequence[str] | None, places: Sequence[int]) -> tuple[str, ...] | None:
    """Those of ``texts`` at ``places``; None where there are none."""
    return None if texts is None else tuple(texts[place] for place in places)


def portion(share: float, count: int) -> int:
    """⌊share·count + 1e-9⌋: how many of ``count`` samples a ``share`` of them is.

    By the 1e-9, 0.29 of 100 are 29, although the float product is 28.999…
    """
    return int(share * count + 1e-9)


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
        """Whether samples are images, not feature vectors."""
        return len(self.shape) == 3

    @property
    def modality(self) -> Modality:
        """``image`` or ``features``."""
        return "image" if self.is_image else "features"


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
        items: a name of every sample, or its path below the folder of the data, to find it again
            by; None where samples have none. No result depends on it, so it is no part of the
            fingerprint. A byte of a path that is no UTF-8 is spelt out.
        table: the rows that features were made of, and how; None of other data. Likewise no part
            of the fingerprint.
        part: whether others of the training split were held out, so that figures of the whole know
            what these are judged by.
        texts: what every sample was before it was embedded, or says of it; None where that is no
            text. Likewise.

    Raises:
        DataError: if there are not as many ``items``, rows or texts as samples, or an item is an
            absolute path, which would be handed on with every result.
    """

    inputs: Tensor
    labels: Tensor
    classes: tuple[str, ...]
    normalization: Normalization
    flip: bool = True
    name: str = "data"
    test: LabeledData | None = None
    items: tuple[str, ...] | None = None
    table: Table | None = None
    part: bool = False
    texts: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        beside = {"rows": self.table, "names of items": self.items, "texts": self.texts}
        for what, given in beside.items():
            if given is not None and len(given) != len(self.labels):
                raise DataError(
                    f"{self.name} has {len(given)} {what} for {len(self.labels)} samples; give one "
                    "a sample, in their order, or none"
                )
        absolute = next((item for item in self.items or () if _ABSOLUTE.match(item)), None)
        if absolute is not None:
            raise DataError(
                f"{self.name} has the item {absolute!r}, which tells of this machine; give its "
                "path below the folder of the data"
            )

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def geometry(self) -> Geometry:
        """Of one sample."""
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

    def normalized_by(self, normalization: Normalization) -> LabeledData:
        """The same samples, of the test split too, to be normalised as other data are."""
        test = None if self.test is None else replace(self.test, normalization=normalization)
        return replace(self, normalization=normalization, test=test)

    @property
    def fingerprints(self) -> tuple[str, str | None]:
        """Of the training split and of the test split, None where there is none."""
        return self.fingerprint, None if self.test is None else self.test.fingerprint

    def check_count(self, count: int, source: str) -> None:
        """That ``source`` has a figure of every sample.

        Args:
            count: how many it has.
            source: and of what, to begin a message with: ``"score file x.npy has 10 scores"``.

        Raises:
            DataError: if not.
        """
        if count == len(self):
            return
        advice = "use one made for these, in their order"
        if self.part:
            advice = (
                "where some are held out, what was made of the whole knows them; leave it out, so "
                "that it is made anew of what is left"
            )
        raise DataError(f"{source}, {self.name} has {len(self)} training samples; {advice}")

    def without_test(self) -> LabeledData:
        """The same training split with its test split out of reach."""
        if self.test is None:
            return self
        bare = replace(self, test=None)
        vars(bare)["fingerprint"] = self.fingerprint  # the same content: not hashed again
        return bare

    def class_indices(self, label: int) -> Tensor:
        """int64 [n] positions of the samples of class ``label``, ascending."""
        return torch.nonzero(self.labels == label).flatten()

    def subset(self, indices: Tensor) -> LabeledData:
        """The samples at ``indices`` (int64 [M]), without a test split."""
        places = indices.tolist()
        return replace(
            self,
            inputs=self.inputs[indices],
            labels=self.labels[indices],
            test=None,
            items=taken(self.items, places),
            table=None if self.table is None else self.table.take(places),
            texts=taken(self.texts, places),
        )


@dataclass(frozen=True, eq=False)
class SyntheticSet:
    """The small set while it is being made and once it is done.

    Attributes:
        inputs: float32 [M, C, H, W] or [M, D], normalised.
        labels: int64 [M].
        role: uint8 [M] of :class:`Role`; only distilled samples ever move.
        source_index: int64 [M] training sample each one is, or started from.
        step_size: float32 scalar tensor, the learned synthetic step size; NaN where none is.
        label_logits: float32 [M, C] where labels are learned: networks are trained towards their
            softmax, and ``labels`` say which class a sample was chosen for. Else None.
    """

    inputs: Tensor
    labels: Tensor
    role: Tensor
    source_index: Tensor
    step_size: Tensor
    label_logits: Tensor | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: torch.device) -> SyntheticSet:
        """The same set on ``device``."""
        moved = {name: t.to(device) for name, t in vars(self).items() if t is not None}
        return replace(self, **moved)


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """What a network is trained or tested on: real data, a subset of it, or a condensed set.

    Attributes:
        inputs: uint8 [N, H, W, C], float32 features [N, D], or — where they are normalised —
            float32 [N, C, H, W] / [N, D] that are normalised already.
        labels: int64 [N].
        role: uint8 [N] of :class:`Role`.
        normalization: applied on the fly; None where ``inputs`` are normalised already.
        geometry: of one sample.
        soft_labels: float32 [N, C], a distribution over the classes for each sample that a network
            is trained towards in the place of ``labels``; None where labels are what they are.
    """

    inputs: Tensor
    labels: Tensor
    role: Tensor
    normalization: Normalization | None
    geometry: Geometry
    soft_labels: Tensor | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (32 hex digits) of what training or testing on it depends on."""
        extra = (self.normalization, self.geometry, self.normalization is None)
        soft = () if self.soft_labels is None else (self.soft_labels,)
        return content_digest(self.inputs, self.labels, self.role, *soft, extra=extra)

    @staticmethod
    def of(data: LabeledData) -> TrainingSet:
        """All of ``data`` as real samples."""
        role = torch.full((len(data),), int(Role.REAL), dtype=torch.uint8)
        return TrainingSet(data.inputs, data.labels, role, data.normalization, data.geometry)
