"""Hugging Face's data sets on disk: folders of ``save_to_disk``, and parquet files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from condense.errors import DataError, importing, nearby
from condense.reading import in_one_line, shown

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
        reason = in_one_line(error)[:200]
        raise DataError(f"{path} cannot be read ({reason}); write it again") from None


def looks_like_one(path: Path) -> bool:
    """Whether the folder ``path`` may be what :func:`opened` reads, by names of files."""
    saved = any((path / name).is_file() for name in _SAVED)
    found = (file for depth in ("*", "*/*") for file in path.glob(f"{depth}.parquet"))
    return saved or next(found, None) is not None


def _by_split(path: Path) -> dict[str, list[Path]]:
    """The parquet files of each split, by the split's word in their names or their folders'.

    Where none says its split, all are ``train``; else what says none is a split of its own name.
    """
    files = [path] if path.is_file() else sorted(path.rglob("*.parquet"))
    if not files or files[0].suffix != ".parquet":
        raise DataError(f"{path} is no data set of Hugging Face's: give {LAYOUT}")
    told = {file: _split_of(file.relative_to(path).as_posix()) for file in files}
    splits: dict[str, list[Path]] = {}
    for file, split in told.items():
        own = _without_number(file) if any(told.values()) else "train"
        splits.setdefault(split or own, []).append(file)
    return splits


def _split_of(name: str) -> str | None:
    """The split that a path says, as it stands before the number of a shard or by a keyword."""
    shard = re.search(r"(\w+(?:\.\w+)*)-\d{5}-of-\d{5}[^/]*$", name)
    for split, words in _KEYWORDS.items():
        if (
            re.fullmatch(words, shard[1].lower())
            if shard
            else re.search(rf"(?<![^\W_])({words})(?![^\W_\d])", name.lower())
        ):
            return split
    return shard[1] if shard else None


def _without_number(file: Path) -> str:
    return re.sub(r"[\W\d_]+$", "", file.stem) or file.parent.name


def _of_parquet(files: list[Path]) -> Any:
    from datasets import Dataset, Features
    from datasets.table import InMemoryTable, concat_tables
    from pyarrow import parquet

    tables = [InMemoryTable(parquet.read_table(file, partitioning=None)) for file in files]
    first = tables[0].schema
    names = _class_names(Features.from_arrow_schema(first))
    for file, table in zip(files, tables, strict=True):
        if not table.schema.equals(first):
            raise DataError(
                f"{file} has other columns than {files[0]}; give the folder of one configuration"
            )
        own = _class_names(Features.from_arrow_schema(table.schema))
        other = next((key for key in own | names if own.get(key) != names.get(key)), None)
        if other is not None:
            raise DataError(
                f"{file} numbers the classes of '{other}' as {shown(own.get(other))}, {files[0]} "
                f"as {shown(names.get(other))}; write both with one list of names"
            )
    return Dataset(concat_tables(tables))


def _class_names(features: Any) -> dict[str, list[str]]:
    """The names of classes by column, in the order of their numbers."""
    from datasets import ClassLabel

    return {key: one.names for key, one in features.items() if isinstance(one, ClassLabel)}
