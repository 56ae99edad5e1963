"""A data set of Hugging Face's ``datasets`` that lies on disk."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from condense.data import LabeledData, Modality
from condense.engine.ingest.holdout import check_one_test_split, with_test_part
from condense.engine.ingest.hugging_face.columns import Columns
from condense.engine.ingest.hugging_face.reading import Reading, train_and_test
from condense.errors import DataError
from condense.options import PathOption, TestPart
from condense.traits import DatasetTraits
from condense_plugins._built_in import BuiltIn
from condense_plugins.datasets._hf_files import LAYOUT, opened
from condense_plugins.datasets._images import ImageOptions

if TYPE_CHECKING:
    from condense.interfaces import Context


class HuggingFace(BuiltIn):
    """Images or feature vectors with labels, by the features of a ``datasets.Dataset`` on disk.

    Needs the extra ``hf``. The split ``test``, else ``validation``, is the test split.
    """

    name: ClassVar[str] = "hf"
    version: ClassVar[str] = "2"
    arg: ClassVar[str] = "path"
    traits: ClassVar[DatasetTraits] = DatasetTraits()

    class Options(ImageOptions):
        """Where it is, which columns and splits are read, and what is done with images."""

        path: PathOption = Field(description=LAYOUT)
        input: str | None = Field(
            None,
            description="column of images or feature vectors; unset = the only one, or the one "
            "called image or features",
        )
        label: str | None = Field(
            None,
            description="column of classes; unset = the only ClassLabel, or the one called label",
        )
        items: str | None = Field(
            None,
            description="column of text that samples were made of, or that describes them, to be "
            "exported with real samples; unset = none",
        )
        split: str = Field("train", min_length=1, description="split that is condensed")
        test_split: str | None = Field(
            None, description="split to test on; unset = test, else validation"
        )
        test: TestPart | None = Field(
            None,
            description="the test split in the place of that: another such data set, or a share "
            "> 0, < 1 of every class, always the same rows",
        )
        flip: bool | None = Field(
            None, description="whether a mirror image keeps its class; unset = for colour images"
        )

    options: Options

    def load(self, context: Context) -> LabeledData:
        """uint8 [N, H, W, C] images or float32 [N, D] features; ``items`` are names of files."""
        path, options = Path(self.options.path).expanduser(), self.options
        try:
            train, test = self._splits()
            reading = Reading(
                self._columns(),
                options.decoding(),
                context.progress,
                path.resolve().stem,
                options.flip,
                options.items,
                path.name,
            )
            return with_test_part(reading.read(train, test), options.test, path.name)
        except DataError as error:
            told = str(error)
            raise DataError(told if str(path) in told else f"{path}: {told}") from None

    def modality(self) -> Modality:
        """By the features, for which nothing but them is read."""
        with contextlib.suppress(Exception):  # loading says what is wrong
            train, _ = train_and_test(opened(self.options.path), self.options.split)
            kind = self._columns().of(train.features)[2]
            return "features" if kind == "features" else "image"
        return "image"

    def _columns(self) -> Columns:
        how = "set `data.KEY=COLUMN`"
        return Columns(self.options.input, self.options.label, how)

    def _splits(self) -> tuple[Any, Any]:
        """The training split, and the test split if there is one."""
        options, splits = self.options, opened(self.options.path)
        train, test = train_and_test(splits, options.split, options.test_split)
        if options.test is None:
            return train, test
        check_one_test_split(options.test_split is not None or "test" in splits, options.test)
        if isinstance(options.test, float):
            return train, None
        other = opened(options.test)
        return train, other[next(name for name in ("test", "train", *other) if name in other)]
