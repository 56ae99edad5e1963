"""Data sets as they come, read once, as :class:`LabeledData`."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from condense.data import LabeledData, taken
from condense.engine.ingest.arrays import CHANNELS, as_inputs
from condense.engine.ingest.from_user import labeled_data
from condense.engine.ingest.hugging_face.columns import TAKEN, Columns, Kind
from condense.engine.ingest.images import Decoding, Picture, all_are_grey, decode_images
from condense.engine.runtime.progress import SilentProgress
from condense.errors import DataError
from condense.reading import shown

if TYPE_CHECKING:
    from condense.interfaces import Progress

SPLITS = ("test", "validation")  # that serve as the test split, the first of them that is there


def is_hugging_face(data: Any) -> bool:
    """Whether ``data`` is of ``datasets``, which is not imported for it."""
    if "datasets" not in sys.modules:  # there, where one of its sets is
        return False
    import datasets

    plain = (datasets.Dataset, datasets.DatasetDict)
    return isinstance(data, (*plain, datasets.IterableDataset, datasets.IterableDatasetDict))


def train_and_test(splits: Any, train: str = "train", test: str | None = None) -> tuple[Any, Any]:
    """Of a ``DatasetDict`` the split of that name, and the test split if there is one.

    Raises:
        DataError: for a split that is not there.
    """
    for name in (train, test):
        if name is not None and name not in splits:
            raise DataError(f"there is no split '{name}' (splits: {', '.join(splits)})")
    held = test or next((name for name in SPLITS if name in splits and name != train), None)
    return splits[train], None if held is None else splits[held]


@dataclass(frozen=True)
class Reading:
    """How data sets become :class:`LabeledData`.

    Attributes:
        columns: which are read.
        decoding: of images; None = grey where all of them are, else RGB.
        progress: where that is shown.
        name: what to call the data.
        flip: whether mirroring keeps the label; None = for colour images.
        texts: column of text that is carried along.
        source: what rows without a name are called by place after, where some are left out:
            ``photos.parquet#17``.
    """

    columns: Columns = field(default_factory=Columns)
    decoding: Decoding | None = None
    progress: Progress = field(default_factory=SilentProgress)
    name: str = "data"
    flip: bool | None = None
    texts: str | None = None
    source: str = "data"

    def read(self, train: Any, test: Any = None) -> LabeledData:
        """Both splits, read once.

        Raises:
            DataError: naming the column, the row and what is wrong with it.
        """
        first = self._split(train, "train")
        held = None if test is None else self._split(test, "test", like=first.inputs)
        return labeled_data(
            *(first.inputs, first.labels),
            test=None if held is None else (held.inputs, held.labels),
            classes=first.classes,
            flip=self.flip,
            name=self.name,
            items=(first.names, None if held is None else held.names),
            texts=first.texts,
        )

    def _split(self, data: Any, split: str, like: Tensor | None = None) -> _Split:
        from datasets import Dataset

        if not isinstance(data, Dataset):
            raise DataError(
                f"the {split} split is a {type(data).__name__}; give a datasets.Dataset"
            )
        if not len(data):
            raise DataError(f"the {split} split has 0 rows; give at least two")
        if data.format["type"] == "custom":
            raise DataError(
                f"the {split} split has a transform of its own; give it after "
                ".reset_format(), or .map() what it does"
            )
        data = data.with_format(None)
        column, label, kind = self.columns.of(data.features)
        labels, classes = _labels(data, label, split)
        texts = None if self.texts is None or split == "test" else _texts(data, self.texts, split)
        if kind != "encoded":
            self._check_arrays(column, kind)
            return _Split(_arrays(data, column, kind, split), labels, None, texts, classes)
        pictures, names = _pictures(data, column, split)
        like = like if like is not None and like.ndim == 4 else None
        grey = (like is None or like.shape[3] == 1) and all_are_grey(pictures)
        decoding = self.decoding or Decoding(channels="grey" if grey else "rgb")
        images, kept = decode_images(pictures, decoding, self.progress, like)
        if names is None and split == "train" and len(kept) < len(pictures):
            names = [f"{self.source}#{row}" for row in range(len(pictures))]
        own = [labels[place] for place in kept]
        return _Split(images, own, taken(names, kept), taken(texts, kept), classes)

    def _check_arrays(self, column: str, kind: Kind) -> None:
        """That nothing is asked for that is done to encoded images alone."""
        how = self.decoding or Decoding(channels="auto")
        for key, value in (("resize", how.resize), ("channels", how.channels)):
            if value not in (None, "auto"):
                raise DataError(
                    f"the column '{column}' holds arrays, taken as {TAKEN[kind]}, and "
                    f"`data.{key}={value}` is for encoded images; leave it out, or make the column "
                    "an Image"
                )


@dataclass(frozen=True)
class _Split:
    """What is read of a split: samples, labels, names and texts of the samples where they have
    any, and names of all classes where the column of labels says them."""

    inputs: Tensor
    labels: list[Any]
    names: Sequence[str] | None
    texts: Sequence[str] | None
    classes: list[str] | None


def _labels(data: Any, column: str, split: str) -> tuple[list[Any], list[str] | None]:
    """Labels as numbers or names, and the names of all classes where the column says them."""
    from datasets import ClassLabel

    feature, values = data.features[column], list(data[column])
    names = feature.names if isinstance(feature, ClassLabel) else None
    for row, value in enumerate(values):
        if value is None or (names is not None and not 0 <= value < len(names)):
            raise DataError(
                f"row {row} of the {split} split has no label ('{column}' is {value}); leave out "
                "such rows, or another split if all are"
            )
        if not isinstance(value, str | int | float):
            raise DataError(
                f"the column '{column}' holds a {type(value).__name__} in row {row} of the {split} "
                "split; labels are names or whole numbers"
            )
    if names is None:
        return values, None
    return [names[value] for value in values], list(names)


def _texts(data: Any, column: str, split: str) -> list[str]:
    if column not in data.features:
        there = ", ".join(data.features)
        raise DataError(f"there is no column '{column}' of texts (columns: {there})")
    values = list(data[column])
    wrong = next((row for row, value in enumerate(values) if not isinstance(value, str)), None)
    if wrong is not None:
        raise DataError(
            f"the column '{column}' holds {shown(values[wrong])} in row {wrong} of the {split} "
            "split, items are texts; give a column of text, or leave out rows without one"
        )
    return values


def _arrays(data: Any, column: str, kind: Kind, split: str) -> Tensor:
    whole = {"dtype": np.uint8} if kind == "image" else {}  # else they come as int64
    found = data.select_columns([column]).with_format("numpy", **whole)[:][column]
    where = f"column '{column}' of the {split} split"
    if not isinstance(found, np.ndarray) or found.dtype == object:
        sizes = [np.shape(row) for row in found]
        row = next((i for i, size in enumerate(sizes) if size != sizes[0]), 0)
        raise DataError(
            f"{where} has the shape {sizes[row]} in row {row} and {sizes[0]} in row 0; all must "
            "have one shape"
        )
    if kind == "image" and found.ndim == 4 and {found.shape[1], found.shape[3]} <= {*CHANNELS}:
        raise DataError(
            f"{where} holds bytes of shape {found.shape[1:]}, whose channels may be first or last; "
            "make it an Image, or flatten it to a list of numbers if it is features"
        )
    try:
        flat = found.shape if kind == "image" else (len(found), math.prod(found.shape[1:]))
        return as_inputs(found.reshape(flat), split)
    except DataError as error:
        raise DataError(f"{where}, taken as {TAKEN[kind]}: {error}") from None


def _pictures(data: Any, column: str, split: str) -> tuple[list[Picture], list[str] | None]:
    """The encoded images, and the names of their files where all have one."""
    from datasets import Image

    if isinstance(data.features[column], Image):
        data = data.cast_column(column, Image(decode=False))
    pictures, names = [], []
    for row, image in enumerate(data.select_columns([column])[column]):
        found = image or {}
        path, content = found.get("path"), found.get("bytes")
        pictures.append(
            Picture(
                f"in row {row} of the {split} split" + (f" ({path})" if path else ""),
                content if content is not None or not path else Path(path),
            )
        )
        names.append(Path(path).name if path else "")
    return pictures, names if all(names) else None


def from_hugging_face(data: Any, test: Any = None) -> LabeledData:
    """``data`` of ``datasets``, in memory: a data set, or several by split, as is ``test``.

    Raises:
        DataError: as :class:`Reading` does, or for splits that name a test split besides ``test``.
    """
    from datasets import DatasetDict

    held = test
    if isinstance(data, DatasetDict):
        data, held = train_and_test(data)
        if test is not None and held is not None:
            raise DataError("data have a test split of their own; leave the argument test out")
        held = test if held is None else held
    return Reading().read(data, held)
