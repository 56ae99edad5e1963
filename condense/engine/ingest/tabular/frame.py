"""Rows of a pandas data frame, and of a Parquet file."""

from __future__ import annotations

import datetime
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from condense.engine.ingest.tabular.rows import OF_FRAME, OF_ROWS, Rows, Wording
from condense.errors import DataError, nearby
from condense.reading import check_text, in_one_line, shown
from condense.tabular.column import DATE, Cell
from condense.tabular.frame import WITH_NOTHING, pyarrow_for

LABEL = "label"  # the column of labels that have no name of their own
_ALLOWED = "allowed are numbers, text, true/false and, in columns that are no features, dates"


def rows_of(frame: Any, source: str | None = None, wording: Wording = OF_FRAME) -> Rows:
    """The rows of ``frame``, a ``pandas.DataFrame``; its index is left out.

    Raises:
        DataError: for columns of one name, or cells of a kind that cannot be kept.
    """
    names = [str(name) for name in frame.columns]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"there are two columns '{twice}'; rename one or leave it out")
    if not len(frame) or not names:
        raise DataError(f"there are {len(frame)} rows of {len(names)} columns; give some")
    rows = Rows({}, {}, range(len(frame)), source, wording)
    cells, dtypes = {}, {}
    for position, name in enumerate(names):
        series = frame.iloc[:, position]
        gaps = series.isna().to_numpy()
        own = np.full(len(frame), None, dtype=object)
        for row, value in enumerate(series.astype(object).tolist()):
            if not gaps[row]:
                own[row] = _cell(value, name, rows, row)
        cells[name], dtypes[name] = own, _dtype(series)
    return Rows(cells, dtypes, rows.numbers, source, wording)


def with_labels(rows: Rows, labels: Any, name: str | None = None) -> tuple[Rows, str]:
    """``rows`` with ``labels``, a Series or anything with one for each, as their last column.

    Returns:
        them, and the name of that column: ``name``, else the Series' own where no other has it.

    Raises:
        DataError: if there are not as many.
    """
    import pandas

    column = labels if isinstance(labels, pandas.Series) else pandas.Series(np.asarray(labels))
    if name is None:
        name = LABEL if column.name is None else str(column.name)
        while name in rows.cells:
            name += "_"
    column = column.rename(name)
    if len(column) != len(rows):
        raise DataError(f"there are {len(rows)} rows but {len(column)} labels; give one for each")
    last = rows_of(column.to_frame())
    cells, dtypes = {**rows.cells, **last.cells}, {**rows.dtypes, **last.dtypes}
    return replace(rows, cells=cells, dtypes=dtypes), name


def read_parquet(path: Path) -> Rows:
    """The rows of ``path``, a Parquet file.

    Raises:
        OptionError: if pandas or pyarrow are not installed, naming the extra.
        DataError: for what is no such file.
    """
    pyarrow = pyarrow_for("Parquet")
    if not path.is_file():
        if path.is_dir():
            raise DataError(f"{path} is a folder; give a Parquet file, or `data=hf:{path}`")
        raise DataError(f"{path} is no file; give a Parquet file{nearby(path)}")
    try:
        read = pyarrow.parquet.read_table(path)
        # an index is a column as the others; whole numbers with gaps would become floats
        frame = read.to_pandas(ignore_metadata=True, integer_object_nulls=True)
        pairs = zip(read.column_names, read.columns, strict=True)
        gaps = {name: str(column.type) for name, column in pairs if column.null_count}
        frame = frame.astype({n: WITH_NOTHING[t] for n, t in gaps.items() if t in WITH_NOTHING})
    except Exception as error:  # noqa: BLE001 – of pyarrow, whatever is wrong with it
        reason = in_one_line(error)
        raise DataError(f"{path} cannot be read as Parquet ({reason}); write it again") from None
    try:
        return rows_of(frame, path.name, OF_ROWS)
    except DataError as error:
        raise DataError(f"{path}: {error}") from None


def _cell(value: Any, name: str, rows: Rows, row: int) -> Cell:
    """A value that is there, as JSON has it."""
    plain = value.item() if isinstance(value, np.generic) else value
    if isinstance(plain, float) and not np.isfinite(plain):
        return str(plain)
    if isinstance(plain, bool | int | float):
        return plain
    if isinstance(plain, datetime.date):  # of which datetime, and pandas' own, are kinds
        return plain.isoformat()
    try:
        if isinstance(plain, str):
            return check_text(plain)
    except ValueError as error:
        raise DataError(f"column '{name}' in {rows.at(row)} {error}; mend it") from None
    raise DataError(
        f"column '{name}' holds a {type(plain).__name__} in {rows.at(row)} ({shown(plain)}), "
        f"{_ALLOWED}; turn it into one of these"
    )


def _dtype(series: Any) -> str:
    """What cells become again: pandas' own name, ``date`` for those of Python's dates alone."""
    values = series.dropna().tolist() if series.dtype == object else []
    dates = [type(value) is datetime.date for value in values]
    return DATE if values and all(dates) else str(series.dtype)
