"""Data frames that are handed over in Python."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from condense.data import LabeledData
from condense.engine.ingest.tabular.frame import rows_of, with_labels
from condense.engine.ingest.tabular.rows import Rows
from condense.engine.ingest.tabular.tables import Roles, table_data
from condense.errors import OptionError

_FORMS = "condense(frame, label='COLUMN') or condense((frame, labels))"


def has_frame(data: Any) -> bool:
    """Whether ``data`` is a ``pandas.DataFrame``, or a pair of one and its labels."""
    return _is_frame(data) or (_is_pair(data) and _is_frame(data[0]))


def frame_data(
    data: Any, test: Any = None, label: str | None = None, ignore: Sequence[str] = ()
) -> LabeledData:
    """A data frame as samples, its rows kept beside them.

    Args:
        data: a frame, or a pair of one and its labels.
        test: the test split, in either form, or the share of ``data`` that it gets; or None.
        label: the column of labels, where they are in the frame.
        ignore: columns that are no features, but come back with real samples.

    Raises:
        OptionError: where the labels are not to be found.
        DataError: naming column, value and row.
    """
    if _is_frame(data) == (label is None):
        where = "alone, without labels" if label is None else "with labels, and label is given too"
        raise OptionError(f"data is a frame {where}; give one of {_FORMS}")
    rows, name = _rows(data, label)
    if not (test is None or isinstance(test, float) or has_frame(test)):
        raise OptionError(
            "test must be a frame as data is, a pair of one and its labels, or a share > 0, < 1, "
            f"got {type(test).__name__}"
        )
    held = replace(_rows(test, name)[0], apart=True) if has_frame(test) else test
    return table_data(rows, Roles(name, tuple(ignore)), test=held)


def _rows(given: Any, label: str | None) -> tuple[Rows, str]:
    if _is_frame(given):
        return rows_of(given), str(label)
    return with_labels(rows_of(given[0]), given[1], label)


def _is_frame(data: Any) -> bool:
    pandas = sys.modules.get("pandas")  # there, where one of its frames is
    return pandas is not None and isinstance(data, pandas.DataFrame)


def _is_pair(data: Any) -> bool:
    return isinstance(data, tuple | list) and len(data) == 2
