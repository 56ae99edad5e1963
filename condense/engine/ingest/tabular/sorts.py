"""What single cells are, and whether all of a column are one thing."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal

from condense.engine.ingest.tabular.rows import Rows
from condense.errors import DataError
from condense.reading import shown
from condense.tabular.column import TEXT, Cell

Sort = Literal["nothing", "number", "text", "true/false", "date"]
# what stands for a missing number or label; text may be such a word
_WORDS = {"na", "n/a", "#n/a", "nan", "null", "none", "?"}
_INFINITE = re.compile(r"-?inf")  # as a float is written that JSON does not have
_NUMBER = re.compile(r"\s*[+-]?((\d+\.?\d*|\.\d+)(e[+-]?\d+)?|inf|infinity)\s*", re.I | re.A)
_DATE = re.compile(
    r"\s*(\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{4}|\d{1,2}[-/]\d{1,2}[-/]\d\d)"
    r"([ T]\d{1,2}:\d\d.*)?\s*",
    re.ASCII,
)


def sorts_of(rows: Rows, name: str) -> list[Sort]:
    """What every cell of a column is; a word such as ``NA`` among numbers is nothing."""
    reads: Callable[[Cell], Sort] = _written if rows.dtypes[name] == TEXT else _sort
    cells = rows.cells[name].tolist()
    if rows.dtypes[name].startswith("date"):
        return ["nothing" if cell is None else "date" for cell in cells]
    sorts = [reads(cell) for cell in cells]
    texts = {cell for cell, sort in zip(cells, sorts, strict=True) if sort == "text"}
    if "number" in sorts and texts and all(map(is_word, texts)):
        return ["nothing" if sort == "text" else sort for sort in sorts]
    return sorts


def check_missing(rows: Rows, sorts: dict[str, list[Sort]], labels: bool = False) -> None:
    """That no cell of columns whose ``sorts`` these are is without a value.

    Args:
        labels: whether they are labels, which nothing can be done without.

    Raises:
        DataError: naming each column that has such, how many, and where the first is.
    """
    gaps = {name: found.count("nothing") for name, found in sorts.items() if "nothing" in found}
    if not gaps:
        return
    told = [
        f"'{name}' ({count}, the first in {rows.at(sorts[name].index('nothing'))})"
        for name, count in list(gaps.items())[:8]
    ]
    more = f" and {len(gaps) - 8} more columns" if len(gaps) > 8 else ""
    away = f", or carry the column along by {rows.wording.ignored(*gaps)}"
    raise DataError(
        f"values are missing in {', '.join(told)}{more}; fill them in, or drop these rows"
        + ("" if labels else away)
    )


def only_sort(rows: Rows, name: str, sorts: list[Sort], advice: str) -> Sort:
    """The one thing that the cells of a column are.

    Raises:
        DataError: if there are several, with ``advice``.
    """
    found = sorted(set(sorts), key=sorts.count)
    if len(found) == 1:
        return found[0]
    told = " and ".join(
        f"{sort} ({shown(rows.cells[name][sorts.index(sort)])} in {rows.at(sorts.index(sort))})"
        for sort in (found[-1], found[0])
    )
    raise DataError(f"column '{name}' mixes {told}; make them one{advice}")


def _written(cell: Cell) -> Sort:
    """What a cell of a CSV file is."""
    text = str(cell)
    if not text.strip():
        return "nothing"
    if _NUMBER.fullmatch(text):
        return "number"
    return "date" if _DATE.fullmatch(text) else "text"


def _sort(cell: Cell) -> Sort:
    """What a cell of a data frame is."""
    if cell is None:
        return "nothing"
    if isinstance(cell, bool):
        return "true/false"
    if isinstance(cell, str) and not _INFINITE.fullmatch(cell):
        return "date" if _DATE.fullmatch(cell) else "text" if cell.strip() else "nothing"
    return "number"


def is_word(cell: Cell) -> bool:
    """Whether text is a word for a missing number or label."""
    return str(cell).strip().lower() in _WORDS
