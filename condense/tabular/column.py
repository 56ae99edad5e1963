"""A column of a table: how its cells become features, and features a cell."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

Cell: TypeAlias = str | int | float | bool | None
Cells: TypeAlias = npt.NDArray[Any]  # object [N] of Cell; None where there is nothing
Kind = Literal["number", "category", "label", "carried"]
TEXT = "text"  # dtype of a column of text
DATE = "date"  # of one of days without a time, as Python's own


@dataclass(frozen=True)
class Column:
    """What a column is.

    Attributes:
        name: in the header.
        kind: ``number`` is one feature, ``category`` one for each of its values (one-hot),
            ``label`` the class, ``carried`` no feature: it is handed on with real samples.
        dtype: what its cells are for pandas, ``int64``, or :data:`TEXT`. A cell may be text that
            stands for it, as in a CSV file.
        values: the cells that a category or label may be, in the order of features or classes.
    """

    name: str
    kind: Kind
    dtype: str
    values: tuple[Cell, ...] = ()

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the features that it becomes."""
        if self.kind == "category":
            return tuple(f"{self.name}={value}" for value in self.values)
        return (self.name,) if self.kind == "number" else ()

    @property
    def is_whole(self) -> bool:
        """Whether its numbers are whole ones."""
        return self.dtype.lower().startswith(("int", "uint"))

    def encoded(self, cells: Cells) -> npt.NDArray[np.float64]:
        """Its features [N, width]; all 0 for a category that is none of ``values``."""
        if self.kind == "number":
            return np.array([float(cell) for cell in cells.tolist()])[:, None]
        place = {value: k for k, value in enumerate(self.values)}
        features = np.zeros((len(cells), len(self.values)))
        for row, cell in enumerate(cells.tolist()):
            if cell in place:
                features[row, place[cell]] = 1
        return features

    def decoded(self, features: npt.NDArray[Any]) -> Cells:
        """The cells [M] that stand for ``features`` [M, width].

        A number in its own unit, rounded where the column has whole ones; of a category the value
        whose feature is largest; nothing where the column is no feature.
        """
        cells = np.full(len(features), None, dtype=object)
        if self.kind == "category":
            cells[:] = [self.values[k] for k in features.argmax(1).tolist()]
        elif self.kind == "number" and self.is_whole:
            bounds = np.iinfo(self.dtype.lower().partition("[")[0])
            cells[:] = [min(max(round(v), bounds.min), bounds.max) for v in features[:, 0].tolist()]
        elif self.kind == "number":  # str of a float32 is the shortest number that it is
            cells[:] = [float(str(value)) for value in features[:, 0].astype(np.float32)]
        return cells

    def typed(self, cell: Cell) -> Any:
        """``cell`` as what it stands for; None where that is nothing."""
        if not isinstance(cell, str) or self.dtype == TEXT:
            return cell
        if self.is_whole:
            return int(cell) if cell.strip() else None
        if self.dtype.lower().startswith("float"):
            return float(cell) if cell.strip() else None
        return datetime.date.fromisoformat(cell) if self.dtype == DATE else cell
