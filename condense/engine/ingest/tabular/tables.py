"""Rows with a column of labels as :class:`LabeledData`."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from condense.data import LabeledData, Normalization
from condense.engine.ingest.from_user import channel_statistics, labeled_data
from condense.engine.ingest.holdout import test_part
from condense.engine.ingest.tabular.columns import (
    FEW_ROWS,
    check_like,
    feature_columns,
    label_column,
)
from condense.engine.ingest.tabular.rows import OF_LINES, Rows
from condense.errors import DataError
from condense.tabular.column import Column
from condense.tabular.table import Table

_NUMBER = re.compile(r"[+-]?\d*\.\d+(e[+-]?\d+)?", re.ASCII | re.I)  # not 0, 1, 2 of a frame


@dataclass(frozen=True)
class Roles:
    """What a user says of the columns.

    Attributes:
        label: the column of labels.
        ignore: columns that are no features, but carried along with real samples.
        categories: columns that are categories, whatever their cells look like.
    """

    label: str
    ignore: Sequence[str] = ()
    categories: Sequence[str] = ()


def table_data(
    rows: Rows,
    roles: Roles,
    *,
    test: Rows | float | None = None,
    name: str = "data",
    note: Callable[[str], object] = lambda message: None,
) -> LabeledData:
    """``rows`` as samples: numbers as they are, categories one-hot, the rows kept beside them.

    Networks see numbers standardised, and one-hot features as they are: two categories are then as
    far apart as two rows drawn at random are in a number, on average.

    Args:
        rows: of the training split.
        roles: of the columns.
        test: rows of the test split, in which a category that the training split does not have is
            none; or the share of ``rows`` that it gets, stratified, always the same ones.
        name: what to call the data.
        note: told of columns that say nothing.

    Raises:
        DataError: naming column, value and row.
    """
    label, ignore = roles.label, tuple(roles.ignore)
    rows.check_columns((label, *ignore, *roles.categories))
    if label in (*ignore, *roles.categories):
        raise DataError(f"column '{label}' is the label; leave it out of the other lists")
    rows = replace(rows, wording=replace(rows.wording, already=ignore))
    features = [column for column in rows.cells if column not in (label, *ignore)]
    if not features:
        raise DataError(f"no column is left beside the label '{label}' to be a feature")
    whole, (target, classes, codes) = rows, label_column(rows, label)
    held, held_codes = None, list[int]()
    if isinstance(test, Rows):
        held, held_codes = test, _codes_of(test, target, classes)
    elif test is not None:
        kept, out = (part.tolist() for part in test_part([classes[k] for k in codes], test))
        held, held_codes = rows.take(out), [codes[i] for i in out]
        rows, codes = rows.take(kept), [codes[i] for i in kept]
    found = {column.name: column for column in feature_columns(rows, features, roles.categories)}
    found |= {label: target} | {n: Column(n, "carried", rows.dtypes[n]) for n in ignore}
    columns = [found[column] for column in rows.cells]
    if held is not None:
        check_like(held, [column for column in columns if column.features])
    _note_doubtful(whole, [column for column in columns if column.kind == "number"], note)
    tables = [_table(part, columns) for part in (rows, held) if part is not None]
    inputs = [torch.from_numpy(_encoded(table)) for table in tables]
    data = labeled_data(
        inputs[0],
        codes,
        test=(inputs[1], held_codes) if held is not None else None,
        classes=classes,
        flip=False,
        name=name,
        normalization=_normalization(inputs[0], columns),
        items=(rows.items, None if held is None else held.items),
    )
    _note_constant(data, columns, note)
    tested = None if data.test is None else replace(data.test, table=tables[1])
    return replace(data, table=tables[0], test=tested)


def _table(rows: Rows, columns: Sequence[Column]) -> Table:
    nothing = np.full(len(rows), None, dtype=object)  # in carried columns of the training split
    cells = tuple(rows.cells.get(column.name, nothing) for column in columns)
    return Table(tuple(columns), cells, rows.separator, rows.encoding)


def _codes_of(held: Rows, target: Column, classes: tuple[str, ...]) -> list[int]:
    """Class numbers of the test split.

    Raises:
        DataError: for a class that the training split does not have.
    """
    held.check_columns([target.name])
    _, names, codes = label_column(held, target.name)
    unknown = [name for name in names if name not in classes]
    if unknown:
        row = codes.index(names.index(unknown[0]))
        raise DataError(
            f"label column '{target.name}' holds '{unknown[0]}' in {held.at(row)}, unknown "
            f"to the training split; allowed: {', '.join(classes[:10])}"
        )
    return [classes.index(names[code]) for code in codes]


def _encoded(table: Table) -> npt.NDArray[np.float32]:
    """float32 [N, width]."""
    features = np.empty((len(table), table.width), np.float32)
    start = 0
    for column, cells in zip(table.columns, table.cells, strict=True):
        end = start + len(column.features)
        if end > start:
            features[:, start:end] = column.encoded(cells)
        start = end
    return features


def _normalization(inputs: Tensor, columns: Sequence[Column]) -> Normalization:
    """Own mean and standard deviation of every number; one-hot features as they are."""
    own = channel_statistics(inputs)
    one_hot = [column.kind == "category" for column in columns for _ in column.features]
    return Normalization(
        tuple(0.0 if hot else mean for hot, mean in zip(one_hot, own.mean, strict=True)),
        tuple(1.0 if hot else std for hot, std in zip(one_hot, own.std, strict=True)),
    )


def _note_doubtful(rows: Rows, numbers: Sequence[Column], note: Callable[[str], object]) -> None:
    """What may have come into the features by mistake: the number of the row, the first sample."""
    for column in numbers:
        found = np.array([float(cell) for cell in rows.cells[column.name].tolist()])
        if len(rows) <= FEW_ROWS or np.ptp(found) != len(rows) - 1:
            continue
        if (np.diff(np.sort(found)) == 1).all():
            note(
                f"note: column '{column.name}' numbers the rows; unless their order means "
                f"something, carry it along by {rows.wording.ignored(column.name)}"
            )
    named = [name for name in rows.cells if _NUMBER.fullmatch(name)]
    if rows.wording.unit == OF_LINES.unit and 2 * len(named) > len(rows.cells):
        listed = ", ".join(f"'{name}'" for name in named[:3])
        note(
            f"note: columns are called {listed}; if these are values, the first line is a sample "
            "that is lost: add a line with names"
        )


def _note_constant(
    data: LabeledData, columns: Sequence[Column], note: Callable[[str], object]
) -> None:
    names = [column.name for column in columns for _ in column.features]
    same = (data.inputs == data.inputs[0]).all(0).tolist()
    if constant := [name for name, is_same in zip(names, same, strict=True) if is_same]:
        listed = ", ".join(f"'{name}'" for name in constant[:8])
        note(f"note: the same in every row and so without effect: {listed}")
