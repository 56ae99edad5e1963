"""What columns are, by their cells; what cannot be used is refused by column, value and row."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import numpy as np

from condense.engine.ingest.arrays import Array, merged
from condense.engine.ingest.tabular.rows import Rows
from condense.engine.ingest.tabular.sorts import Sort, check_missing, is_word, only_sort, sorts_of
from condense.errors import DataError
from condense.options import FLOAT32_MAX
from condense.reading import shown
from condense.tabular.column import TEXT, Cell, Column

MOST_VALUES = 1000  # of a category: one feature each
FEW_ROWS = 20  # in which categories may all be different
_WHOLE = re.compile(r"\s*[+-]?\d{1,18}\s*", re.ASCII)
_WITH_COMMA = re.compile(r"\s*[+-]?[\d.]*\d,\d+(e[+-]?\d+)?\s*", re.ASCII | re.I)


def feature_columns(rows: Rows, names: Sequence[str], categories: Iterable[str]) -> list[Column]:
    """The columns ``names`` of ``rows`` as features.

    Raises:
        DataError: for missing values, naming each column that has some, how many, and where the
            first is; for dates, infinite numbers, numbers among text.
    """
    sorts = {name: sorts_of(rows, name) for name in names}
    check_missing(rows, sorts)
    return [_feature(rows, name, sorts[name], name in categories) for name in names]


def label_column(rows: Rows, name: str) -> tuple[Column, tuple[str, ...], list[int]]:
    """The column of labels, the names of its classes, and the class number of every row.

    Numbers are in their order, text in that of the alphabet.

    Raises:
        DataError: for missing values, and for what are no classes.
    """
    sorts = sorts_of(rows, name)
    if "text" in sorts:  # a class called "nan" is nobody's
        pairs = zip(sorts, rows.cells[name].tolist(), strict=True)
        sorts = ["nothing" if sort == "text" and is_word(cell) else sort for sort, cell in pairs]
    check_missing(rows, {name: sorts}, labels=True)
    sort = only_sort(rows, name, sorts, "")
    if sort == "date":
        _refuse_dates(rows, name)
    given = rows.cells[name].tolist()
    keys = given if sort != "number" else [_class_number(rows, name, i) for i in range(len(given))]
    classes = sorted(set(keys))
    if len(classes) > MOST_VALUES:
        raise DataError(
            f"label column '{name}' has {len(classes)} different values, at most {MOST_VALUES} "
            "classes are allowed; group them"
        )
    number = {key: k for k, key in enumerate(classes)}
    codes = [number[key] for key in keys]
    first = dict(zip(reversed(keys), reversed(given), strict=True))  # as it stands in a row
    column = Column(name, "label", rows.dtypes[name], tuple(first[key] for key in classes))
    if sort == "number" and column.dtype == TEXT:
        whole = all(_WHOLE.fullmatch(str(cell)) for cell in given)
        column = Column(name, "label", "int64" if whole else "float64", column.values)
    return column, tuple(str(key) for key in classes), codes


def check_like(rows: Rows, columns: Sequence[Column]) -> None:
    """That ``rows``, of the test split, can be features of ``columns``, of the training split.

    Raises:
        DataError: naming the first column that cannot.
    """
    names = [column.name for column in columns]
    rows.check_columns(names)
    sorts = {name: sorts_of(rows, name) for name in names}
    check_missing(rows, sorts)
    for column in columns:
        if column.kind == "number":
            wrong = next((i for i, s in enumerate(sorts[column.name]) if s != "number"), None)
            if wrong is not None:
                raise DataError(
                    f"column '{column.name}' holds {shown(rows.cells[column.name][wrong])} in "
                    f"{rows.at(wrong)}, and numbers alone in the training split; give numbers"
                )
            _in_range(rows, column.name)


def _feature(rows: Rows, name: str, sorts: list[Sort], as_category: bool) -> Column:
    cells, dtype = rows.cells[name], rows.dtypes[name]
    if as_category or dtype == "category":
        return _category(rows, name, cells.tolist())
    said, away = rows.wording.as_category(name), rows.wording.ignored(name)
    _refuse_commas(rows, name, sorts, said)
    sort = only_sort(rows, name, sorts, f", set {said}, or carry it along by {away}")
    if sort == "date":
        _refuse_dates(rows, name)
    if sort != "number":
        return _category(rows, name, cells.tolist())
    _refuse_merged(rows, name, _in_range(rows, name))
    if dtype == TEXT:
        dtype = "int64" if all(map(_WHOLE.fullmatch, cells.tolist())) else "float64"
    return Column(name, "number", dtype)


def _category(rows: Rows, name: str, cells: list[Cell]) -> Column:
    values = sorted(set(cells), key=lambda value: (str(type(value)), value))
    away = rows.wording.ignored(name)
    if len(values) > MOST_VALUES:
        raise DataError(
            f"column '{name}' has {len(values)} different values, at most {MOST_VALUES} can be a "
            f"feature each; group them, or carry it along by {away}"
        )
    if len(values) == len(cells) > FEW_ROWS:
        raise DataError(
            f"column '{name}' has another text in every row ({shown(cells[0])}, "
            f"{shown(cells[1])}, …): it names rows and does not describe them; carry it along by "
            f"{away}"
        )
    return Column(name, "category", rows.dtypes[name], tuple(values))


def _refuse_commas(rows: Rows, name: str, sorts: list[Sort], said: str) -> None:
    """Numbers such as ``3,14`` would be categories, silently, or text among numbers."""
    pairs = zip(sorts, rows.cells[name].tolist(), strict=True)
    commas = [sort == "text" and bool(_WITH_COMMA.fullmatch(cell)) for sort, cell in pairs]
    if not any(commas) or not all(c or s == "number" for c, s in zip(commas, sorts, strict=True)):
        return
    row = commas.index(True)
    raise DataError(
        f"column '{name}' holds {shown(rows.cells[name][row])} in {rows.at(row)}, a number with a "
        "comma; write it without: pandas.read_csv reads it with decimal=',' (or thousands=',') and "
        f"to_csv writes it so, or set {said}"
    )


def _refuse_dates(rows: Rows, name: str) -> None:
    raise DataError(
        f"column '{name}' holds dates ({shown(rows.cells[name][0])} in {rows.at(0)}), which are no "
        "features; give numbers in their place, such as days since the first, or carry it along by "
        f"{rows.wording.ignored(name)}"
    )


def _in_range(rows: Rows, name: str) -> Array:
    """The numbers of a column, float64 [N], all of which float32 must reach."""
    numbers = np.array([float(cell) for cell in rows.cells[name].tolist()])
    wrong = ~(np.abs(numbers) <= FLOAT32_MAX)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise DataError(
            f"column '{name}' holds {rows.cells[name][row]} in {rows.at(row)}, all must lie within "
            f"±{FLOAT32_MAX:g}, the range of float32; drop that row, or carry the column along by "
            f"{rows.wording.ignored(name)}"
        )
    return numbers


def _refuse_merged(rows: Rows, name: str, numbers: Array) -> None:
    if (found := merged(numbers[:, None])) is not None:
        _, one, other = found
        raise DataError(
            f"column '{name}' holds {one:.15g} and {other:.15g}, which are one number in float32, "
            "like most of it; subtract what they have in common, or carry the column along by "
            f"{rows.wording.ignored(name)}"
        )


def _class_number(rows: Rows, name: str, row: int) -> int:
    value = float(rows.cells[name][row])
    if not value.is_integer() or abs(value) >= 2**53:
        raise DataError(
            f"label column '{name}' holds {rows.cells[name][row]} in {rows.at(row)}; classes are "
            "whole numbers, text or true/false; group its values into classes"
        )
    return int(value)
