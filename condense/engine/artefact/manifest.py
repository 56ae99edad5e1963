"""``manifest.json``: what a condensed set says of itself, written and read by one model."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import torch
from pydantic import AfterValidator, Field, FiniteFloat, field_validator, model_validator
from typing_extensions import Self

from condense.engine.documents import Document
from condense.engine.ingest.arrays import CHANNELS
from condense.engine.runtime.expected import Expected
from condense.reading import EncodableText, PlainTable
from condense.recipe import check_made_recipe, take_paths

if TYPE_CHECKING:
    from condense.engine.artefact.dataset import CondensedDataset

FORMAT = 1
SOFT_FORMAT = 2  # of a set with soft labels: a reader of format 1 would train on the wrong ones
LATER = (
    "paths",
    "soft_labels",
    "items",
    "scores",
    "table",
    "texts",
)  # keys that are left out where they say nothing

Size = Annotated[int, Field(ge=0, lt=2**31)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Scale(Document):
    """Mean and standard deviation of each channel, or of each feature."""

    mean: tuple[FiniteFloat, ...]
    std: tuple[Positive, ...]


class Source(Document):
    """The data that a set was made of."""

    name: EncodableText
    fingerprint: str
    samples: Annotated[int, Field(ge=1)] | None = Field(
        None, description="of the training split; null in a set of an earlier version"
    )


def _distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) < len(names):
        raise ValueError("has a name twice")
    return names


class Manifest(Document):
    """What ``manifest.json`` holds; nothing in it depends on the clock."""

    format: int = Field(ge=FORMAT, le=SOFT_FORMAT)
    method: EncodableText
    seed: int = Field(ge=0)
    samples: Size = Field(ge=1)
    distilled: Size
    shape: tuple[Annotated[int, Field(ge=1, lt=2**31)], ...] = Field(
        description="(C, H, W) or (D,)"
    )
    layout: str = ""
    classes: Annotated[tuple[EncodableText, ...], AfterValidator(_distinct)] = Field(min_length=1)
    per_class: tuple[Size, ...]
    flip: bool
    step_size: FiniteFloat | None
    normalisation: Scale
    data: Source
    recipe: Annotated[PlainTable, AfterValidator(check_made_recipe)]
    paths: tuple[str, ...] = Field((), description="keys of the recipe's options that are paths")
    roles: dict[str, str] = Field({"0": "real", "1": "distilled"})
    snapshots: tuple[Annotated[int, Field(ge=1)], ...]
    soft_labels: bool = False
    items: tuple[EncodableText, ...] = Field(
        (), description="name or file of the sample that each one is or started from"
    )
    scores: tuple[FiniteFloat, ...] = Field((), description="difficulty of that sample")
    table: str = Field("", description="SHA-256 of table.json, where the data are a table")
    texts: tuple[EncodableText, ...] = Field(
        (), description="what that sample was before it was embedded"
    )
    sha256: str

    @field_validator("shape")
    @classmethod
    def _image_or_features(cls, shape: tuple[int, ...]) -> tuple[int, ...]:
        if len(shape) != 1 and (len(shape) != 3 or shape[0] not in CHANNELS):
            raise ValueError(f"is {list(shape)}, must be [C, H, W] with C = 1 or 3, or [D]")
        return shape

    @model_validator(mode="after")
    def _keys_fit(self) -> Self:
        sizes = {len(self.normalisation.mean), len(self.normalisation.std)}
        if sizes not in ({1}, {self.shape[0]}):
            raise ValueError(
                f"normalisation has {sorted(sizes)} values for {self.shape[0]} channels or features"
            )
        for key in ("items", "scores", "texts"):
            if len(getattr(self, key)) not in (0, self.samples):
                raise ValueError(f"{key} has {len(getattr(self, key))} of {self.samples} samples")
        try:
            take_paths(self.recipe, self.paths)
        except ValueError as error:
            raise ValueError(f"recipe {error}") from None
        return self

    @staticmethod
    def of(
        condensed: CondensedDataset,
        blob: bytes,
        table: bytes | None,
        recipe: Mapping[str, Any],
        paths: Mapping[str, str],
    ) -> Manifest:
        """Of a set whose tensors are ``blob``.

        Args:
            condensed: the set.
            blob: contents of ``condensed.safetensors``.
            table: contents of ``table.json``; None where there is none.
            recipe: as it is written, with ``paths``.
            paths: those that it holds, by dotted key.
        """
        soft = condensed.soft_labels is not None
        norm = condensed.normalization
        return Manifest(
            format=SOFT_FORMAT if soft else FORMAT,
            method=condensed.method,
            seed=condensed.seed,
            samples=len(condensed),
            distilled=int(condensed.distilled.sum()),
            shape=condensed.geometry.shape,
            layout="NCHW, normalised float32" if condensed.geometry.is_image else "ND, normalised",
            classes=condensed.classes,
            per_class=tuple(
                torch.bincount(condensed.labels, minlength=len(condensed.classes)).tolist()
            ),
            flip=condensed.flip,
            step_size=condensed.step_size,
            normalisation=Scale(mean=norm.mean, std=norm.std),
            data=Source(
                name=condensed.data_name,
                fingerprint=condensed.data_fingerprint,
                samples=condensed.data_size,
            ),
            recipe=dict(recipe),
            paths=tuple(sorted(paths)),
            snapshots=tuple(sorted(condensed.snapshots)),
            soft_labels=soft,
            items=condensed.items or (),
            scores=() if condensed.scores is None else tuple(condensed.scores.tolist()),
            texts=condensed.texts or (),
            table="" if table is None else hashlib.sha256(table).hexdigest(),
            sha256=hashlib.sha256(blob).hexdigest(),
        )

    def to_json(self) -> dict[str, Any]:
        """JSON-ready; what says nothing is left out."""
        return {k: v for k, v in super().to_json().items() if v or k not in LATER}

    @property
    def inputs(self) -> Expected:
        """The samples, and every snapshot of them."""
        return Expected(torch.float32, (self.samples, *self.shape))

    def tensors(self) -> dict[str, Expected]:
        """What ``condensed.safetensors`` holds."""
        one, classes = (self.samples,), len(self.classes)
        whole = Expected(torch.int64, one, low=0)
        image = len(self.shape) == 3
        channels, *size = self.shape
        source = (
            (torch.uint8, (*one, *size, channels)) if image else (torch.float32, (*one, channels))
        )
        soft = {"soft_labels": Expected(torch.float32, (*one, classes), low=0, high=1.001)}
        return {
            "inputs": self.inputs,
            "labels": Expected(torch.int64, one, low=0, high=classes - 1),
            "role": Expected(torch.uint8, one, low=0, high=1),
            "source_index": whole,
            "source_inputs": Expected(*source),
            "step_size": Expected(torch.float32, (), finite=False),
            "normalisation": Expected(torch.float64, (2, None)),
            **(soft if self.soft_labels else {}),
        }
