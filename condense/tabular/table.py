"""The rows that samples are, as they came."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from condense.errors import DataError
from condense.tabular.column import TEXT, Cells, Column


@dataclass(frozen=True, eq=False)
class Table:
    """Rows, column by column.

    Attributes:
        columns: what they are, in the order of the header.
        cells: of every column one a row, [N].
        separator, encoding: of the CSV file that they came from, as it is to be written again.

    Raises:
        DataError: if there are not as many cells in one column as in another, two have one name,
            or one but not exactly one is the label.
    """

    columns: tuple[Column, ...]
    cells: tuple[Cells, ...]
    separator: str = ","
    encoding: str = "utf-8"

    def __post_init__(self) -> None:
        names = self.names
        if len(names) != len(self.cells) or len({len(cells) for cells in self.cells}) != 1:
            raise DataError(f"a table of {len(names)} columns must have cells for each, as many")
        if len(set(names)) < len(names):
            raise DataError(f"a table has two columns of one name among {', '.join(names)}")
        if [column.kind for column in self.columns].count("label") != 1:
            raise DataError("a table must have one column of labels")

    def __len__(self) -> int:
        return len(self.cells[0])

    @property
    def names(self) -> list[str]:
        """Of its columns."""
        return [column.name for column in self.columns]

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the features of a row."""
        return tuple(name for column in self.columns for name in column.features)

    @property
    def width(self) -> int:
        """Number of features of a row."""
        return len(self.features)

    @property
    def rows(self) -> list[list[Any]]:
        """The cells row by row."""
        return [list(row) for row in zip(*(c.tolist() for c in self.cells), strict=True)]

    def take(self, indices: Sequence[int] | npt.NDArray[Any]) -> Table:
        """The rows at ``indices``."""
        places = np.asarray(indices, dtype=np.int64)
        return replace(self, cells=tuple(cells[places] for cells in self.cells))

    def with_made(
        self, made: npt.NDArray[Any], features: npt.NDArray[Any], labels: npt.NDArray[Any]
    ) -> Table:
        """This table with rows of made samples in the place of some.

        Args:
            made: bool [M], which.
            features: float [M, width], in their own units.
            labels: int [M], numbers of classes.
        """
        cells, start = [], 0
        for column, own in zip(self.columns, self.cells, strict=True):
            end = start + len(column.features)
            new = own.copy()
            if column.kind == "label":
                new[made] = [column.values[k] for k in labels[made].tolist()]
            else:
                new[made] = column.decoded(features[made, start:end])
            cells.append(new)
            start = end
        return replace(self, cells=tuple(cells))


def free_name(name: str, table: Table) -> str:
    """``name`` for a column that is no column of ``table``'s, nor has the name of one."""
    return f"condense_{name}" if name in table.names else name


def plain_table(
    features: npt.NDArray[Any], labels: npt.NDArray[Any], classes: npt.NDArray[Any]
) -> Table:
    """Features [M, D] that are no table, as one: ``feature_0`` …, and ``class``."""
    values = tuple(classes.tolist())
    kind = TEXT if isinstance(values[0], str) else "int64"
    names = [f"feature_{number}" for number in range(features.shape[1])]
    numbers = [Column(name, "number", str(features.dtype)) for name in names]
    columns = [*numbers, Column("class", "label", kind, values)]
    cells = [column.decoded(features[:, k : k + 1]) for k, column in enumerate(numbers)]
    return Table(tuple(columns), (*cells, classes[labels].astype(object)))
