"""Data sets as they come, read once, as :class:`LabeledData`."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from condense.data import LabeledData
from condense.engine.ingest.arrays import as_inputs
from condense.engine.ingest.from_user import labeled_data
from condense.engine.ingest.hugging_face.columns import Columns
from condense.engine.ingest.images import Decoding, Picture, decode_images, first_is_grey
from condense.engine.runtime.progress import SilentProgress
from condense.errors import DataError

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
        decoding: of images; None = as the first of them, grey or RGB.
        progress: where that is shown.
        name: what to call the data.
        flip: whether mirroring keeps the label; None = for colour images.
    """

    columns: Columns = field(default_factory=Columns)
    decoding: Decoding | None = None
    progress: Progress = field(default_factory=SilentProgress)
    name: str = "data"
    flip: bool | None = None

    def read(self, train: Any, test: Any = None) -> LabeledData:
        """Both splits, read once.

        Raises:
            DataError: naming the column, the row and what is wrong with it.
        """
        images, labels, names, classes = self._split(train, "train")
        pair, tested = None, None
        if test is not None:
            held, own, tested, _ = self._split(test, "test", like=images)
            pair = (held, own)
        return labeled_data(
            *(images, labels),
            test=pair,
            classes=classes,
            flip=self.flip,
            name=self.name,
            items=(names, tested),
        )

    def _split(
        self, data: Any, split: str, like: Tensor | None = None
    ) -> tuple[Tensor, list[Any], list[str] | None, list[str] | None]:
        """Samples, labels, names of the samples and of the classes, where there are any."""
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
        inputs, label, modality = self.columns.of(data.features)
        labels, classes = _labels(data, label, split)
        if modality == "features":
            return _vectors(data, inputs, split), labels, None, classes
        pictures, names = _pictures(data, inputs, split)
        decoding = self.decoding or Decoding(channels="grey" if first_is_grey(pictures) else "rgb")
        images, kept = decode_images(
            pictures, decoding, self.progress, like if like is not None and like.ndim == 4 else None
        )
        found = None if names is None else [names[place] for place in kept]
        return images, [labels[place] for place in kept], found, classes


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


def _vectors(data: Any, column: str, split: str) -> Tensor:
    found = data.select_columns([column]).with_format("numpy")[:][column]
    where = f"column '{column}' of the {split} split"
    if not isinstance(found, np.ndarray) or found.dtype == object:
        sizes = [np.shape(row) for row in found]
        row = next((i for i, size in enumerate(sizes) if size != sizes[0]), 0)
        raise DataError(
            f"{where} has the shape {sizes[row]} in row {row} and {sizes[0]} in row 0; all must "
            "have one shape"
        )
    return as_inputs(found, split)


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
