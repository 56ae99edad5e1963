"""What feature vectors were made of: a file with an item, a path or a text, for each sample."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from condense.errors import DataError
from condense.reading import check_text, read_regular

FILES, TEXTS = ("file", "file_name", "path"), ("text",)  # columns that hold them
ENDINGS = (".csv", ".jsonl", ".txt")
FORM = (
    "a .csv or .jsonl with the column file (paths below its folder) or text, or a .txt with a text "
    "a line"
)
EXCERPT = 60  # characters


@dataclass(frozen=True)
class Items:
    """An item a sample, in their order.

    Attributes:
        kind: whether an item is a file or a text.
        values: paths below the folder of the file that they are from, or texts.
    """

    kind: Literal["file", "text"]
    values: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.values)

    @property
    def texts(self) -> tuple[str, ...] | None:
        """The items where they are texts."""
        return self.values if self.kind == "text" else None

    @property
    def names(self) -> list[str]:
        """What samples are called: the path, or the row with the start of its text."""
        if self.kind == "file":
            return list(self.values)
        return [f"{row}: {' '.join(t.split())[:EXCERPT]}" for row, t in enumerate(self.values)]


def read_items(path: Path) -> Items:
    """The items in ``path``.

    Raises:
        DataError: naming the file, the line and what is wrong with it.
    """
    if path.suffix.lower() not in ENDINGS:
        raise DataError(f"items {path} must end in {', '.join(ENDINGS)}; give {FORM}")
    try:
        text = read_regular(path).decode("utf-8-sig")
    except (OSError, ValueError):
        raise DataError(f"items {path} are no text in UTF-8; is the path right?") from None
    if path.suffix.lower() == ".txt":
        return Items("text", tuple(_lines(text)))
    rows = _csv(path, text) if path.suffix.lower() == ".csv" else _jsonl(path, text)
    if not rows:
        raise DataError(f"items {path} hold no row; give {FORM}")
    column = next((name for name in (*FILES, *TEXTS) if name in rows[0]), None)
    if column is None:
        there = ", ".join(map(str, rows[0]))
        raise DataError(f"items {path} have the columns {there}; give {FORM}")
    values = [_value(path, row, column, number) for number, row in enumerate(rows)]
    if column in TEXTS:
        return Items("text", tuple(values))
    return Items("file", tuple(_below(path, value) for value in values))


def _lines(text: str) -> list[str]:
    """Those that a line feed ends; other signs that split lines may stand within a text."""
    lines = text.replace("\r\n", "\n").split("\n")
    return lines[:-1] if lines[-1] == "" else lines


def _csv(path: Path, text: str) -> list[dict[str, Any]]:
    try:
        return [dict(row) for row in csv.DictReader(io.StringIO(text, newline=""), strict=True)]
    except csv.Error as error:
        raise DataError(f"items {path} are no CSV ({error}); give {FORM}") from None


def _jsonl(path: Path, text: str) -> list[dict[str, Any]]:
    rows = []
    for number, line in enumerate(text.split("\n"), 1):
        try:
            row = json.loads(line) if line.strip() else None
        except (ValueError, RecursionError):
            row = ()
        if row is None:
            continue
        if not isinstance(row, dict):
            raise DataError(f"items {path} hold no JSON object in line {number}; give {FORM}")
        rows.append(row)
    return rows


def _value(path: Path, row: dict[str, Any], column: str, number: int) -> str:
    value = row.get(column)
    if not isinstance(value, str) or not value:
        raise DataError(f"items {path} have no '{column}' in row {number}; give one a sample")
    try:
        return check_text(value)
    except ValueError as error:
        raise DataError(f"items {path} row {number}: {error}; give text in UTF-8") from None


def _below(path: Path, value: str) -> str:
    """``value`` relative to the folder of ``path``, if it lies in there."""
    file = Path(value)
    if file.is_absolute() and file.is_relative_to(path.parent.absolute()):
        return file.relative_to(path.parent.absolute()).as_posix()
    if file.is_absolute() or ".." in file.parts:
        raise DataError(f"items {path} name {value}, which lies outside of its folder; move one")
    return file.as_posix()
