"""``table.json``: the rows of a condensed set that was made of a table, and what columns are."""

from __future__ import annotations

import json
from typing import Literal

import numpy as np
from pydantic import Field, FiniteFloat, model_validator
from typing_extensions import Self

from condense.engine.documents import Document
from condense.reading import EncodableText, Separator, shown
from condense.tabular.column import Column
from condense.tabular.table import Table

TABLE = "table.json"
PlainCell = EncodableText | bool | int | FiniteFloat | None
_KINDS = Literal["number", "category", "label", "carried"]


class ColumnDocument(Document):
    """A :class:`condense.tabular.column.Column`."""

    name: EncodableText
    kind: _KINDS
    dtype: EncodableText = Field(description="what its cells are for pandas, or text")
    values: tuple[PlainCell, ...] = Field(
        (), description="of a category in the order of its features, of a label in that of classes"
    )


class TableDocument(Document):
    """What ``table.json`` holds."""

    columns: tuple[ColumnDocument, ...] = Field(min_length=1)
    rows: tuple[tuple[PlainCell, ...], ...] = Field(
        description="of the sample that each one of the set is or started from"
    )
    separator: Separator = Field(",", description="of the CSV file that the rows came from")
    encoding: str = Field("utf-8", description="of its text")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        try:
            self.model_dump_json(include={"columns", "rows"}).encode(self.encoding)
        except (LookupError, UnicodeError):
            raise ValueError(f"rows are no text in {shown(self.encoding)}") from None
        ragged = {len(row) for row in self.rows} - {len(self.columns)}
        if ragged:
            raise ValueError(f"rows have {min(ragged)} cells for {len(self.columns)} columns")
        return self

    @staticmethod
    def of(table: Table) -> TableDocument:
        """``table``, written down."""
        return TableDocument(
            columns=tuple(ColumnDocument(**vars(column)) for column in table.columns),
            rows=tuple(tuple(row) for row in table.rows),
            separator=table.separator,
            encoding=table.encoding,
        )

    def text(self) -> str:
        """As it is written: a line for each column and each row."""
        parts = self.to_json()
        lists = (
            f' "{key}": [\n  ' + ",\n  ".join(json.dumps(item) for item in parts[key]) + "\n ]"
            for key in ("columns", "rows")
        )
        how = (f' "{key}": {json.dumps(parts[key])}' for key in ("separator", "encoding"))
        return "{\n" + ",\n".join((*lists, *how)) + "\n}\n"

    def table(self) -> Table:
        """The table.

        Raises:
            DataError: for columns that do not make one.
        """
        columns = tuple(Column(**dict(column)) for column in self.columns)
        cells = np.full((len(columns), len(self.rows)), None, dtype=object)
        for number, row in enumerate(self.rows):
            cells[:, number] = row
        return Table(columns, tuple(cells), self.separator, self.encoding)


def fits(table: Table, samples: int, features: int, classes: int) -> bool:
    """Whether ``table`` is of a set with these shapes, and its cells stand for what they should."""
    label = next(column for column in table.columns if column.kind == "label")
    shapes = (len(table), table.width, len(label.values))
    if shapes != (samples, features, classes):
        return False
    try:
        for column, cells in zip(table.columns, table.cells, strict=True):
            for cell in cells.tolist():
                column.typed(cell)
    except ValueError:
        return False
    return True
