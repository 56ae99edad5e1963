"""Rows of a CSV file, cells as they stand there; the standard library suffices."""

from __future__ import annotations

import codecs
import contextlib
import csv
import io
from pathlib import Path

import numpy as np

from condense.engine.ingest.tabular.rows import Rows
from condense.errors import DataError, nearby
from condense.reading import in_one_line, read_regular, shown
from condense.tabular.column import TEXT


def read_csv(path: Path, separator: str = ",", encoding: str = "utf-8") -> Rows:
    """The rows of ``path``, whose first line names the columns.

    Args:
        path: a file with a header; empty lines are skipped.
        separator: between cells.
        encoding: of the text; a byte order mark of UTF-8 is no part of it.

    Raises:
        DataError: for what is no such file, naming the line.
    """
    text, encoding = _text(path, encoding)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    rows: list[list[str]] = []
    lines: list[int] = []
    before = 0
    try:
        for row in reader:
            if row:
                rows.append(row)
                lines.append(before + 1)
            before = reader.line_num
    except csv.Error as error:
        raise DataError(
            f"{path}: the row that begins in line {before + 1} is no CSV ({error}); close its "
            "quotes, and double those within a cell"
        ) from None
    if not rows:
        raise DataError(f"{path} is empty; its first line must name the columns")
    header = rows.pop(0)
    lines.pop(0)
    _check_header(path, header, separator)
    for line, row in zip(lines, rows, strict=True):
        if len(row) != len(header):
            raise DataError(
                f"{path}: line {line} has {len(row)} cells, the header {len(header)}; mend it, "
                'or put quotes around a cell that holds the separator ("a, b")'
            )
    if not rows:
        raise DataError(f"{path} has a header and no rows; add some")
    columns = np.array(rows, dtype=object).T
    return Rows(
        dict(zip(header, columns, strict=True)),
        dict.fromkeys(header, TEXT),
        lines,
        source=path.name,
        separator=separator,
        encoding=encoding,
    )


def _text(path: Path, encoding: str) -> tuple[str, str]:
    """What the file holds, and its encoding, which says whether it has a byte order mark."""
    try:
        contents = read_regular(path)
    except FileNotFoundError:
        raise DataError(
            f"{path} does not exist; give a CSV file with a header{nearby(path)}"
        ) from None
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read ({in_one_line(error)}); give a CSV file") from None
    with contextlib.suppress(LookupError):
        encoding = codecs.lookup(encoding).name  # UTF8, utf_8 … are one
    if contents.startswith((b"\xff\xfe", b"\xfe\xff")) and encoding == "utf-8":
        raise DataError(f"{path} is no UTF-8 but UTF-16; set `data.encoding=utf-16`")
    if encoding == "utf-8" and contents.startswith(codecs.BOM_UTF8):
        encoding = "utf-8-sig"
    try:
        return contents.decode(encoding), encoding
    except LookupError:
        raise DataError(f"there is no encoding '{encoding}'; set `data.encoding=utf-8`") from None
    except UnicodeError as error:
        start = error.start if isinstance(error, UnicodeDecodeError) else 0
        line = contents.count(b"\n", 0, start) + 1
        raise DataError(
            f"{path}: line {line} holds the byte 0x{contents[start]:02x}, which is no "
            f"{encoding.upper()}; save it as UTF-8, or set `data.encoding=latin-1` or what it is"
        ) from None


def _check_header(path: Path, header: list[str], separator: str) -> None:
    for number, name in enumerate(header, 1):
        if not name.strip():
            raise DataError(
                f"{path}: column {number} has no name; name it, or leave it out "
                "(pandas: to_csv(…, index=False))"
            )
        if header.index(name) != number - 1:
            raise DataError(f"{path} has two columns '{name}'; rename one or leave it out")
    other = next((sign for sign in (";", "\t", "|") if sign in header[0]), None)
    if len(header) == 1 and other is not None and other != separator:
        sign = r"\t" if other == "\t" else other
        raise DataError(
            f"{path} has one column, {shown(header[0])}; set `data.separator={sign}` if that "
            "stands between cells"
        )
    if all(_is_number(name) for name in header):
        raise DataError(
            f"{path}: the first line is {shown(separator.join(header))}, numbers alone; put the "
            "names of the columns above it"
        )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
