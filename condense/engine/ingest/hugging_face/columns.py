"""Which columns of a data set hold the samples and the labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from condense.engine.ingest.arrays import CHANNELS
from condense.errors import DataError

Kind: TypeAlias = Literal["encoded", "image", "features"]  # images in files' bytes, or as arrays
TAKEN: dict[Kind, str] = {"encoded": "images", "image": "images", "features": "feature vectors"}
PREFERRED = ("image", "features")  # among several columns that samples could be in
LABELS = ("label", "labels")  # where no column says that it holds classes


@dataclass(frozen=True)
class Columns:
    """Which columns are read.

    Attributes:
        input: images or feature vectors; None = the only such column, or the one of those names.
        label: classes; None = the only ``ClassLabel``, or the column of that name.
        ask: how to set one, with KEY for it, for messages.
    """

    input: str | None = None
    label: str | None = None
    ask: str = "keep one by .select_columns([…]) or name it by .rename_column(…, 'KEY')"

    def of(self, features: Any) -> tuple[str, str, Kind]:
        """The columns of the samples and of the labels, and what the samples are in.

        Raises:
            DataError: where that is not to be told, or a column cannot be what it is to be.
        """
        kinds = {name: kind for name, one in features.items() if (kind := _kind_of(one))}
        vectors = [name for name, kind in kinds.items() if kind == "features"]
        images = [name for name in kinds if name not in vectors]
        there = f"columns: {', '.join(features)}"
        if self.input is not None and self.input not in kinds:
            can = ", ".join((*images, *vectors)) or "none"
            what = "holds" if self.input in features else "is not there, or would have to hold"
            raise DataError(
                f"the column '{self.input}' {what} neither images nor feature vectors; columns "
                f"that do: {can} ({there})"
            )
        found = images or vectors if self.input is None else [self.input]
        if len(found) > 1:
            found = [name for name in PREFERRED if name in found][:1] or found
        if len(found) != 1:
            which = "no column holds" if not found else "several columns hold"
            raise DataError(
                f"{which} images or feature vectors ({there}); "
                + (
                    "give data with an Image or a list of numbers"
                    if not found
                    else self._how("input")
                )
            )
        return found[0], self._label(features, there), kinds[found[0]]

    def _label(self, features: Any, there: str) -> str:
        if self.label is not None:
            if self.label not in features:
                raise DataError(f"there is no column '{self.label}' of labels ({there})")
            return self.label
        from datasets import ClassLabel

        classes = [name for name, one in features.items() if isinstance(one, ClassLabel)]
        named = [name for name in LABELS if name in features]
        found = classes if len(classes) == 1 else [n for n in named if n in classes] or named
        if not found or (len(classes) > 1 and found[0] not in classes):
            raise DataError(f"which column are the labels? {self._how('label')} ({there})")
        return found[0]

    def _how(self, key: str) -> str:
        return self.ask.replace("KEY", key)


def _kind_of(feature: Any) -> Kind | None:
    """What samples a column of ``feature`` would be; None where it cannot be any.

    ``encoded`` images, or arrays: of bytes with one or three channels, first or last, or none
    (grey), they are images, all others feature vectors.
    """
    from datasets import Array2D, Array3D, Image, LargeList, List, Value

    if isinstance(feature, Image) or (
        isinstance(feature, dict) and {*feature} == {"bytes", "path"}  # as it is encoded
    ):
        return "encoded"
    if isinstance(feature, Array2D | Array3D):
        is_image = isinstance(feature, Array2D) or {*feature.shape[::2]} & {*CHANNELS}
        return "image" if is_image and feature.dtype == "uint8" else "features"
    inner = feature.feature if isinstance(feature, List | LargeList) else None
    numbers = isinstance(inner, Value) and inner.dtype.startswith(("float", "int", "uint"))
    return "features" if numbers else None
