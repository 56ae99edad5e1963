"""Tables as data frames of pandas."""

from __future__ import annotations

from typing import Any

from condense.errors import importing
from condense.tabular.column import DATE, TEXT, Cells, Column
from condense.tabular.table import Table

# of a column that has cells without a value, where the type that it came in has none
WITH_NOTHING = {"bool": "boolean"} | {
    f"{sign}int{bits}": f"{sign.upper()}Int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)
}


def pandas_for(what: str) -> Any:
    """The module pandas, which ``what`` needs.

    Raises:
        OptionError: if it is not installed, naming the extra.
    """
    with importing("pandas", f"{what} needs pandas", "pandas"):
        import pandas
    return pandas


def pyarrow_for(what: str) -> Any:
    """The module pyarrow, which ``what`` needs, as it needs pandas.

    Raises:
        OptionError: if one of them is not installed, naming the extra.
    """
    with importing("table", f"{what} needs pandas and pyarrow", "pandas", "pyarrow"):
        import pandas  # noqa: F401 – both make each other's tables
        import pyarrow.parquet
    return pyarrow


def frame_of(table: Table) -> Any:
    """``table`` as a ``pandas.DataFrame``, every column of the type that it came in."""
    pandas = pandas_for("a data frame")
    pairs = zip(table.columns, table.cells, strict=True)
    return pandas.DataFrame({column.name: _series(pandas, column, own) for column, own in pairs})


def _series(pandas: Any, column: Column, cells: Cells) -> Any:
    values = [column.typed(cell) for cell in cells.tolist()]
    dtype: Any = column.dtype
    if dtype in (TEXT, DATE):
        return pandas.Series(values, dtype=object if dtype == DATE else None)
    if dtype == "category" and column.kind != "carried":
        dtype = pandas.CategoricalDtype(list(column.values))
    elif None in values:
        dtype = WITH_NOTHING.get(dtype, dtype)
    return pandas.Series(values, dtype=dtype)
