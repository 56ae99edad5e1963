"""Files of arrays that a user gives beside the data: scores, embeddings."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from condense.errors import DataError
from condense.reading import in_one_line, read_regular

Arrays = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class ArrayFile:
    """A file with one array or several.

    Attributes:
        path: where it lies.
        what: it is, for messages: ``score file``.
        form: what it should hold.
        endings: that it may have, of those of :data:`READERS`; all if empty.
    """

    path: Path
    what: str
    form: str
    endings: tuple[str, ...] = ()

    def digest(self) -> str:
        """SHA-256 of its bytes.

        Raises:
            DataError: if it cannot be read.
        """
        try:
            return hashlib.sha256(read_regular(self.path)).hexdigest()
        except (OSError, ValueError):
            raise DataError(f"{self} cannot be read; is the path right?") from None

    def arrays(self, key: str) -> Arrays:
        """The arrays by name; a lone array is called ``key``.

        Raises:
            DataError: if it is missing or not of a known format.
        """
        endings = self.endings or tuple(READERS)
        if self.path.suffix not in endings:
            raise DataError(f"{self} must end in {', '.join(endings)}")
        if not self.path.is_file():
            raise DataError(f"{self} does not exist; is the path right?")
        try:
            return READERS[self.path.suffix](self.path, key)
        except (OSError, WrongContents) as error:
            raise DataError(f"{self} cannot be read: {in_one_line(error)}") from None
        except Exception as error:  # noqa: BLE001 – each library has words of its own
            objects = "pickle" in str(error) and _is_array(self.path)
            wrong = f"is no {self.path.suffix} file, or is damaged"
            raise DataError(
                f"{self} {'holds Python objects' if objects else wrong}; give {self.form}"
            ) from None

    def named(self, arrays: Arrays, key: str, option: str) -> npt.NDArray[Any]:
        """The one of its ``arrays`` that is called ``key``, which ``option`` names.

        Raises:
            DataError: if there is none.
        """
        if key not in arrays:
            there = ", ".join(arrays) or "nothing"
            raise DataError(f"{self} has no '{key}' (it has: {there}); set `{option}=NAME`")
        return np.asarray(arrays[key])

    def __str__(self) -> str:
        return f"{self.what} {self.path}"


class WrongContents(ValueError):
    """A file of the right format that holds something else."""


def _is_array(path: Path) -> bool:
    """Whether it begins as numpy's files do, which alone can hold Python objects."""
    with path.open("rb") as file:
        return file.read(6).startswith((b"\x93NUMPY", b"PK"))


def _read_npz(path: Path, key: str) -> Arrays:
    with np.load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def _read_csv(path: Path, key: str) -> Arrays:
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = [row for row in csv.reader(file) if row]
    if not rows:
        raise WrongContents("it is empty")
    if any(_number(cell) is None for cell in rows[0]):
        header, *rows = rows
    else:  # no header
        header = [key] if len(rows[0]) == 1 else [str(n) for n in range(len(rows[0]))]
    for number, row in enumerate(rows):
        if len(row) != len(header):
            raise WrongContents(f"sample {number} has {len(row)} columns instead of {len(header)}")
    return {name: _column(name, key, [row[n] for row in rows]) for n, name in enumerate(header)}


def _column(name: str, key: str, cells: list[str]) -> npt.NDArray[Any]:
    """Numbers if all ``cells`` are, else text, which the column of the scores must not be."""
    numbers = [_number(cell) for cell in cells]
    if None not in numbers:
        return np.array(numbers, dtype=np.float64)
    if name == key:
        wrong = numbers.index(None)
        raise WrongContents(f"score {wrong} is '{cells[wrong]}', must be a number")
    return np.array(cells)


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None


def _read_safetensors(path: Path, key: str) -> Arrays:
    import safetensors.numpy

    return dict(safetensors.numpy.load(path.read_bytes()))


READERS: dict[str, Callable[[Path, str], Arrays]] = {
    ".npz": _read_npz,
    ".npy": lambda path, key: {key: np.load(path, allow_pickle=False)},
    ".csv": _read_csv,
    ".safetensors": _read_safetensors,
}
