"""Data that were handed over in Python: what they are, and the place of a recipe's data stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from pydantic import Field
from torch import Tensor

from condense.data import LabeledData
from condense.engine.ingest.from_user import from_torch_dataset, labeled_data
from condense.engine.ingest.holdout import with_test_part
from condense.engine.ingest.hugging_face.reading import from_hugging_face, is_hugging_face
from condense.engine.ingest.tabular.handed_over import frame_data, has_frame
from condense.errors import OptionError
from condense.interfaces import Context
from condense.options import Options as BaseOptions
from condense.recipe import Recipe, Resolved


class MemoryData:
    """Stands in a recipe for data that was handed over in memory."""

    name: ClassVar[str] = "memory"

    class Options(BaseOptions):
        fingerprint: str = Field("", description="of the data that was handed over")

    def __init__(self, options: Options) -> None:
        self.options = options

    def load(self, context: Context) -> LabeledData:
        """Cannot be repeated from a file.

        Raises:
            OptionError: always.
        """
        raise OptionError("data 'memory' was handed over in Python; name a data set with `data`")


def in_memory(recipe: Recipe, data: LabeledData) -> Recipe:
    """``recipe`` with its data stage naming data that only lives in memory."""
    options = MemoryData.Options(fingerprint=data.fingerprint)
    stage = Resolved("data", MemoryData.name, MemoryData, options)
    return replace(recipe, stages={**recipe.stages, "data": stage})


def to_labeled_data(
    data: Any, test: Any = None, label: str | None = None, ignore: Sequence[str] = ()
) -> LabeledData:
    """``data`` in any of the forms that ``condense(…)`` takes but a name, and its test split.

    Raises:
        OptionError: for anything else; DataError for data that cannot be used.
    """
    if has_frame(data):
        return frame_data(data, test, label, ignore)
    if label is not None or ignore:
        raise OptionError(
            "label and ignore name columns of a DataFrame or of a file of rows, got data of type "
            f"{type(data).__name__}; leave them out"
        )
    if isinstance(data, LabeledData):
        if test is not None:
            raise OptionError("LabeledData carries its test split in its field test; set that")
        return data
    if isinstance(test, float):
        whole = to_labeled_data(data)
        if whole.test is not None:
            raise OptionError("data have a test split of their own; leave the argument test out")
        return with_test_part(whole, test, whole.name)
    if isinstance(data, (tuple, list)) and len(data) == 2:
        if not (test is None or (isinstance(test, (tuple, list)) and len(test) == 2)):
            raise OptionError(
                "test must be a pair (inputs, labels), or a share > 0, < 1, got "
                f"{type(test).__name__}"
            )
        return labeled_data(*data, test=None if test is None else (test[0], test[1]))
    if isinstance(data, (np.ndarray, Tensor)):
        raise OptionError(
            f"data is a {type(data).__name__} alone, without labels; give a pair: "
            "condense((X, y), ipc=5)"
        )
    if is_hugging_face(data):
        return from_hugging_face(data, test)
    indexed = hasattr(data, "__getitem__") and hasattr(data, "__len__")
    if indexed and not isinstance(data, (Mapping, bytes)):
        return from_torch_dataset(data, test=test)
    raise OptionError(
        "data must be a data set's name, a path, a pair (inputs, labels) or a torch Dataset, got "
        f"{type(data).__name__}"
    )
