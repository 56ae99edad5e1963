"""Hugging Face's data sets on disk: folders of ``save_to_disk``, and parquet files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from condense.errors import DataError, importing, nearby

LAYOUT = "a folder that save_to_disk wrote, a folder of parquet files, or one such file"
_SAVED = ("dataset_dict.json", "state.json")  # by save_to_disk
_KEYWORDS = {
    "train": "train|training",
    "test": "test|testing|eval|evaluation",
    "validation": "validation|valid|val|dev",
}


def opened(text: str) -> Mapping[str, Any]:
    """Data sets by split; what has no split is ``train``. Nothing is copied, nothing unpickled.

    Raises:
        OptionError: if ``datasets`` is not installed.
        DataError: if there is none at the path ``text``, or it cannot be read.
    """
    with importing("hf", "data 'hf' needs Hugging Face's datasets", "datasets"):
        import datasets
    path = Path(text).expanduser()
    if not path.exists():
        raise DataError(f"{path} does not exist; give {LAYOUT}{nearby(path)}")
    try:
        if any((path / name).is_file() for name in _SAVED):
            found = datasets.load_from_disk(str(path))
            return found if isinstance(found, datasets.DatasetDict) else {"train": found}
        return {split: _of_parquet(files) for split, files in _by_split(path).items()}
    except (DataError, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001 – of pyarrow or datasets, whatever is wrong with it
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{path} cannot be read ({reason[:200]}); write it again") from None


def looks_like_one(path: Path) -> bool:
    """Whether the folder ``path`` may be what :func:`opened` reads, by names of files."""
    saved = any((path / name).is_file() for name in _SAVED)
    found = (file for depth in ("*", "*/*") for file in path.glob(f"{depth}.parquet"))
    return saved or next(found, None) is not None


def _by_split(path: Path) -> dict[str, list[Path]]:
    """The parquet files of each split, by a word in their names or their folders'."""
    files = [path] if path.is_file() else sorted(path.rglob("*.parquet"))
    if not files or files[0].suffix != ".parquet":
        raise DataError(f"{path} is no data set of Hugging Face's: give {LAYOUT}")
    splits: dict[str, list[Path]] = {}
    for file in files:
        splits.setdefault(_split_of(file.relative_to(path).as_posix()), []).append(file)
    return splits


def _split_of(name: str) -> str:
    for split, words in _KEYWORDS.items():
        if re.search(rf"(?<![^\W_])({words})(?![^\W_\d])", name.lower()):
            return split
    return "train"


def _of_parquet(files: list[Path]) -> Any:
    from datasets import Dataset
    from datasets.table import InMemoryTable, concat_tables
    from pyarrow import parquet

    tables = [InMemoryTable(parquet.read_table(file, partitioning=None)) for file in files]
    first = tables[0].schema
    for file, table in zip(files, tables, strict=True):
        if not table.schema.equals(first):
            raise DataError(
                f"{file} has other columns than {files[0]}; give the folder of one configuration"
            )
    return Dataset(concat_tables(tables))
