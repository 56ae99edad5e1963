"""Rows of a table, as a CSV or a Parquet file."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from condense.engine.runtime.files import check_ending, check_writable, csv_lines, write_file
from condense.errors import OutputError
from condense.tabular.frame import frame_of, pyarrow_for
from condense.tabular.table import free_name

if TYPE_CHECKING:
    from condense.engine.artefact.dataset import CondensedDataset


def write_csv(condensed: CondensedDataset, path: Path) -> Path:
    """The rows of the set, cells as they stood in the file that they came from, between the same
    separators and in the same encoding.

    Where a sample is distilled a last column ``role`` says which; ``condense_role`` where the table
    has a column ``role``. Plain features have the columns ``feature_0`` … and ``class``.

    Raises:
        OutputError: if it cannot be written, is there already or does not end in .csv.
    """
    _check(path, ".csv")
    name, roles = _roles(condensed)
    table = condensed.rows
    made = ([*row, *role] for row, role in zip(table.rows, roles, strict=True))
    text = csv_lines([[*table.names, *name], *made], table.separator)
    return write_file(path, text.encode(table.encoding), lambda file: False)


def write_parquet(condensed: CondensedDataset, path: Path) -> Path:
    """As :func:`write_csv`, every column of the type that it came in.

    Raises:
        OptionError: if pandas or pyarrow are not installed, naming the extra.
        OutputError: if it cannot be written, is there already or does not end in .parquet.
    """
    pyarrow_for("export to Parquet")
    _check(path, ".parquet")
    frame = frame_of(condensed.rows)
    name, roles = _roles(condensed)
    if name:
        frame[name[0]] = [role for (role,) in roles]
    out = io.BytesIO()
    frame.to_parquet(out, index=False, engine="pyarrow")
    return write_file(path, out.getvalue(), lambda file: False)


def _roles(condensed: CondensedDataset) -> tuple[list[str], list[list[str]]]:
    """The name of the column of roles and a role a row; nothing where no sample is distilled."""
    if not condensed.distilled.any():
        return [], [[] for _ in condensed.kept]
    name = free_name("role", condensed.rows)
    return [name], [[sample.role] for sample in condensed.kept]


def _check(path: Path, ending: str) -> None:
    check_ending(path, ending)
    place = check_writable(path)
    if place.is_file() and place.stat().st_size:
        raise OutputError(
            f"{path} exists, and might be a table of your own; remove it or choose another name "
            "(`out`)"
        )
