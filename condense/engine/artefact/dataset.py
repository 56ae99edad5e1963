"""``CondensedDataset``: the small set, self-describing, as a torch Dataset and as a folder."""

from __future__ import annotations

import json
import operator
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset

from condense.data import (
    Geometry,
    LabeledData,
    Normalization,
    Role,
    SyntheticSet,
    TrainingSet,
    content_digest,
    taken,
)
from condense.engine.artefact import write
from condense.engine.artefact.exports.forms import write_as
from condense.engine.artefact.notebook import as_html
from condense.engine.artefact.preview import draw_preview
from condense.engine.artefact.read import read_artefact
from condense.engine.documents import KeptSample
from condense.engine.runtime.files import check_ending, write_file
from condense.engine.runtime.folders import unreplaced
from condense.engine.training.batches import network_inputs, to_pixels
from condense.errors import DataError, OptionError
from condense.figures.raster import is_preview
from condense.recipe import with_paths, written_in
from condense.results import Scores, Trace
from condense.tabular.frame import frame_of, pandas_for
from condense.tabular.table import Table, free_name, plain_table

OF_SAMPLES = ("inputs", "labels", "role", "source_index", "source_inputs")
TINY = torch.finfo(torch.float32).tiny  # a probability of which a logarithm is finite


@dataclass(frozen=True, eq=False, repr=False)
class CondensedDataset(Dataset[tuple[Tensor, "int | Tensor"]]):
    """A condensed training set; ``dataset[i]`` is (normalised input, label).

    Attributes:
        inputs: float32 [M, C, H, W] or [M, D], normalised by ``normalization``.
        labels: int64 [M], grouped by class.
        role: uint8 [M], 0 real and frozen, 1 distilled (:class:`condense.data.Role`).
        source_index: int64 [M], the training sample each one is or started from, counted in the
            training split: of data of which a share is the test split, in what is left of them;
            ``items`` say where a sample lay in their file.
        source_inputs: uint8 [M, H, W, C] or float32 [M, D], those samples themselves.
        classes: class names.
        normalization: per-channel mean and std in 0–1 pixel units.
        flip: whether mirroring keeps the label.
        step_size: learned synthetic step size, None where none was learned.
        method, seed, recipe: how it was made; ``recipe`` is what ``recipe.toml`` holds but paths.
        data_name, data_fingerprint, data_size: what it was made of, and how many samples that
            were; the last None where a set of an earlier version does not say.
        trace: loss and step size of every matching iteration.
        snapshots: inputs of the whole set after some iterations, by iteration.
        soft_labels: float32 [M, C] where labels are soft: the distribution over the classes
            that a network is to be trained towards; ``labels`` are then the classes that samples
            were chosen for. Else None.
        items: names of the samples at ``source_index``, or their files, below the folder of the
            data; None where they have none.
        table: the rows at ``source_index`` where the data are a table, and how their columns became
            features; else None. :attr:`rows` are those of the set.
        texts: what the samples at ``source_index`` were before they were embedded, where that is
            known.
        scores: float32 [M], their difficulty, higher = harder; None where none was asked for.
        paths: those that ``recipe.toml`` holds, absolute, by dotted key.
        results: what ``results.json`` holds (:class:`condense.engine.documents.Results`, its JSON
            Schema in ``condense/schema``); None where nothing was evaluated.
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
    paths: Mapping[str, str] = field(default_factory=dict)
    results: Mapping[str, Any] | None = None
    items: tuple[str, ...] | None = None
    scores: Tensor | None = None
    table: Table | None = None
    texts: tuple[str, ...] | None = None
    data_size: int | None = None

    @staticmethod
    def of(
        data: LabeledData,
        synthetic: SyntheticSet,
        *,
        method: str,
        seed: int,
        recipe: Mapping[str, Any],
        trace: Trace | None = None,
        snapshots: Mapping[int, Tensor] | None = None,
        paths: Mapping[str, str] | None = None,
        scores: Scores | None = None,
    ) -> CondensedDataset:
        """The artefact of ``synthetic``, made of ``data``, whose samples have ``scores``."""
        places = synthetic.source_index.cpu()
        started = data.subset(places)
        step_size, logits = float(synthetic.step_size), synthetic.label_logits
        return CondensedDataset(
            synthetic.inputs.cpu(),
            synthetic.labels.cpu(),
            synthetic.role.cpu(),
            places,
            started.inputs,
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
            paths or {},
            items=started.items,
            table=started.table,
            texts=started.texts,
            data_size=len(data),
            scores=None if scores is None else scores.values[places],
        )

    @property
    def bound_recipe(self) -> dict[str, Any]:
        """The recipe with its paths, absolute: what is resolved to repeat the run from here."""
        return with_paths(self.recipe, self.paths)

    def recipe_in(self, folder: Path) -> dict[str, Any]:
        """What ``recipe.toml`` in ``folder`` holds: the recipe with paths relative to it."""
        return self.written_in(folder)[0]

    def written_in(self, folder: Path) -> tuple[dict[str, Any], dict[str, str]]:
        """:meth:`recipe_in`, and the paths in it, by dotted key."""
        told = f"{self.data_name}, fingerprint {self.data_fingerprint}"
        return written_in(folder, self.recipe, self.paths, told)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int | Tensor]:
        """(normalised input [C, H, W] or [D], target) of one sample; negative from the end.

        The target is the label, or the soft label float32 [classes] where labels are soft: in
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
        soft = "" if self.soft_labels is None else "soft labels, "
        unit = "" if self.geometry.is_image else " features"
        return (
            f"{type(self).__name__}({len(self)} samples of {shape}{unit}, "
            f"{int(self.distilled.sum())} "
            f"distilled, {soft}{len(self.classes)} classes, {self.method} on {self.data_name})"
        )

    def _repr_html_(self) -> str:
        """As a notebook shows it."""
        return as_html(self)

    @property
    def kept(self) -> tuple[KeptSample, ...]:
        """Of every sample its class, role, and which of the data's it is or started from."""
        return KeptSample.all_of(
            self.source_index,
            self.labels,
            self.classes,
            distilled=self.distilled,
            items=self.items,
            scores=self.scores,
        )

    @property
    def geometry(self) -> Geometry:
        """Of one sample."""
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
        """What to train towards: soft labels float32 [M, C] if it has them, else labels
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

    @property
    def features(self) -> Tensor:
        """float32 [M, D] in the data's own units, as they were before they were normalised.

        Real samples are their sources, byte for byte.

        Raises:
            DataError: for images.
        """
        if self.geometry.is_image:
            raise DataError("this set holds images, not feature vectors; see .images")
        mean, std = (torch.tensor(v, dtype=torch.float32) for v in astuple(self.normalization))
        return torch.where(self.distilled[:, None], self.inputs * std + mean, self.source_inputs)

    def to_numpy(self) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """(X, y) as scikit-learn takes them.

        X is :attr:`features`, float32 [M, D], in the units that they came in; or :attr:`images`,
        uint8 [M, H, W, C] in 0–255 whatever they came as. y [M] are the
        names of the classes, as whole numbers where all of them are; learned labels are in
        :attr:`soft_labels` alone.
        """
        samples = self.images if self.geometry.is_image else self.features
        return samples.numpy(), _own_labels(self.classes)[self.labels.numpy()]

    def as_arrays(self) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """:meth:`to_numpy` by the name that scikit-learn's users look for."""
        return self.to_numpy()

    @property
    def rows(self) -> Table:
        """The set as rows of the table that it was made of.

        Real samples are the original rows, every column of them. Distilled ones are in the
        original units, a category the value whose feature is largest; columns that are no features
        are empty. Features that were no table have columns ``feature_0`` … and ``class``.

        Raises:
            DataError: for images.
        """
        features, labels = self.features.numpy(), self.labels.numpy()
        if self.table is None:
            return plain_table(features, labels, _own_labels(self.classes))
        return self.table.with_made(self.distilled.numpy(), features, labels)

    def to_pandas(self) -> Any:
        """A ``pandas.DataFrame`` with a row a sample: ``class``, ``role``, ``source_index``, and
        ``source`` and ``score`` where they are known.

        Of a table or feature vectors :attr:`rows` in the place of ``class``; ``role`` and the
        others are ``condense_role`` … where the table has a column of that name.

        Raises:
            OptionError: if pandas is not installed.
        """
        pandas = pandas_for("to_pandas")
        of_sample: dict[str, Any] = {"role": [sample.role for sample in self.kept]}
        of_sample |= {"source_index": self.source_index.numpy()}
        of_sample |= {} if self.items is None else {"source": list(self.items)}
        of_sample |= {} if self.scores is None else {"score": self.scores.numpy()}
        if self.geometry.is_image:
            return pandas.DataFrame({"class": _own_labels(self.classes)[self.labels]} | of_sample)
        rows = self.rows
        named = {free_name(name, rows): values for name, values in of_sample.items()}
        return frame_of(rows).assign(**named)

    def training_set(self) -> TrainingSet:
        """As the training loop and the evaluator take it."""
        return TrainingSet(
            self.inputs,
            self.labels,
            self.role,
            None,
            self.geometry,
            soft_labels=self.soft_labels,
        )

    def synthetic_set(self) -> SyntheticSet:
        """As matching had it; label logits are the logarithms of soft labels."""
        soft, step = self.soft_labels, self.step_size
        return SyntheticSet(
            self.inputs,
            self.labels,
            self.role,
            self.source_index,
            torch.tensor(float("nan") if step is None else step),
            None if soft is None else soft.clamp_min(TINY).log(),
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

    def save(self, folder: str | Path) -> Path:
        """Write the artefact to ``folder``: tensors, manifest, recipe, trace, preview, snapshots.

        Raises:
            OutputError: if ``folder`` cannot be written or holds something else.
        """
        results = self.results
        extra = {} if results is None else {write.RESULTS: json.dumps(results, indent=2) + "\n"}
        return write.save_artefact(self, _as_path(folder), extra)

    @staticmethod
    def load(folder: str | Path) -> CondensedDataset:
        """The artefact in ``folder``.

        Raises:
            DataError: if there is none, it is damaged, or of a format of another version.
            OptionError: for what is no path.
        """
        path = _as_path(folder)
        return unreplaced(path, lambda: read_artefact(path, CondensedDataset))

    def real_only(self) -> CondensedDataset:
        """The set without the samples that were distilled.

        Raises:
            DataError: if all of them were.
        """
        real = torch.nonzero(~self.distilled).flatten()
        if not len(real):
            raise DataError(f"all {len(self)} samples are distilled, none is real; export the set")
        places = real.tolist()
        return replace(
            self,
            **{name: getattr(self, name)[real] for name in OF_SAMPLES},
            soft_labels=None if self.soft_labels is None else self.soft_labels[real],
            scores=None if self.scores is None else self.scores[real],
            items=taken(self.items, places),
            table=None if self.table is None else self.table.take(places),
            texts=taken(self.texts, places),
            snapshots={},
            results=None,  # which are the whole set's
        )

    def export(self, to: str, out: str | Path) -> Path:
        """Write the set to ``out`` for other programs, in the format ``to`` of
        :data:`condense.engine.artefact.exports.forms.FORMS`, as ``condense export --to`` does.

        Raises:
            OptionError, DataError: for a format that there is not, or that cannot hold the set.
            OutputError: if ``out`` cannot be written, or is another's.
        """
        return write_as(self, to, _as_path(out))

    def to_image_folder(self, folder: str | Path) -> Path:
        """``folder/train/CLASS/*.png`` and ``folder/index.csv``: :meth:`export` to ``folder``."""
        return self.export("folder", folder)

    def to_npz(self, path: str | Path) -> Path:
        """One .npz that ``npz:PATH`` reads: :meth:`export` to ``npz``."""
        return self.export("npz", path)

    def preview(self, path: str | Path) -> Path:
        """Draw the set to a PNG: distilled samples beside the real ones they started from.

        Features are drawn in the plane of their two principal components.

        Raises:
            OutputError: if ``path`` cannot be written, is another's file or does not end in .png.
        """
        target = _as_path(path)
        check_ending(target, ".png")
        return write_file(target, draw_preview(self), is_preview)

    def to_bytes(self) -> bytes:
        """The contents of ``condensed.safetensors``."""
        return write.artefact_tensors(self)


def _own_labels(classes: Sequence[str]) -> npt.NDArray[Any]:
    """[classes] labels as they were given: int64 where every name is such a number, else text."""
    whole = all(re.fullmatch(r"0|-?[1-9]\d{0,17}", name, re.ASCII) for name in classes)
    return np.asarray([int(name) for name in classes] if whole else classes)


def _as_path(value: object) -> Path:
    """``value`` as a path.

    Raises:
        OptionError: for anything but text or a path.
    """
    if not isinstance(value, (str, os.PathLike)):
        raise OptionError(f"expected a path as text or pathlib.Path, got {value!r}")
    return Path(value)
