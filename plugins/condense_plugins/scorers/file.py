"""Scores from a file: published ones, or what ``condense score`` wrote."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field
from torch import Generator

from condense.engine.ingest.arrays import names_of
from condense.errors import DataError
from condense.interfaces import Context, LabeledData, Scores
from condense.options import Options as BaseOptions, PathOption
from condense.reading import parse_table, read_regular
from condense_plugins._built_in import Instant

Arrays = dict[str, npt.NDArray[Any]]


class FileScorer(Instant):
    """Reads one score per training sample, in the data's order."""

    name: ClassVar[str] = "file"
    version: ClassVar[str] = "1"
    arg: ClassVar[str] = "path"

    class Options(BaseOptions):
        path: PathOption = Field(
            description=".npz, .npy, .csv or .safetensors file, or a folder of `condense score`"
        )
        key: str = Field("scores", description="array or column that holds the scores")
        direction: Literal["higher-harder", "lower-harder"] = Field(
            "higher-harder", description="what a high value means in the file"
        )

    options: Options

    def cache_token(self) -> str:
        """SHA-256 of the file, so that a changed file is read again."""
        try:
            return hashlib.sha256(read_regular(self._path())).hexdigest()
        except (OSError, ValueError):
            raise DataError(
                f"score file {self.options.path} cannot be read; is the path right?"
            ) from None

    def score(self, data: LabeledData, context: Context, rng: Generator) -> Scores:
        """float32 [N], turned round if the file counts the other way.

        Raises:
            DataError: for a missing file or key, a wrong length, other labels, other data.
        """
        path = self._path()
        arrays = read_arrays(path, self.options.key)
        values = _scores(arrays, self.options.key, path)
        if len(values) != len(data):
            raise DataError(
                f"score file {path} has {len(values)} scores, {data.name} has {len(data)} "
                "training samples; use a file made for this data, in its order"
            )
        _check_labels(arrays.get("labels"), data, path)
        _check_fingerprint(path, data)
        sign = 1.0 if self.options.direction == "higher-harder" else -1.0
        return Scores(torch.from_numpy(values * sign).float(), f"file {path.name}")

    def _path(self) -> Path:
        path = Path(self.options.path)
        return path / "scores.safetensors" if path.is_dir() else path


def read_arrays(path: Path, key: str) -> Arrays:
    """The arrays in ``path`` by name; a lone array is called ``key``.

    Raises:
        DataError: if it is missing or not of a known format.
    """
    readers: dict[str, Callable[[Path, str], Arrays]] = {
        ".npz": _read_npz,
        ".npy": lambda p, k: {k: np.load(p, allow_pickle=False)},
        ".csv": _read_csv,
        ".safetensors": _read_safetensors,
    }
    if path.suffix not in readers:
        raise DataError(f"score file {path} must end in {', '.join(readers)}")
    if not path.is_file():
        raise DataError(f"score file {path} does not exist; is the path right?")
    try:
        return readers[path.suffix](path, key)
    except DataError:
        raise
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise DataError(f"score file {path} cannot be read: {reason}") from None
    except WrongContents as error:
        raise DataError(f"score file {path} cannot be read: {error}") from None
    except Exception as error:  # noqa: BLE001 – each library has words of its own
        what = "holds Python objects" if "pickle" in str(error) and _is_array(path) else ""
        raise DataError(
            f"score file {path} {what or f'is no {path.suffix} file, or is damaged'}; give one "
            "number per sample, as `condense score` writes them"
        ) from None


class WrongContents(ValueError):
    """A file of the right format that holds something else than scores."""


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


def _scores(arrays: Arrays, key: str, path: Path) -> npt.NDArray[np.float64]:
    if key not in arrays:
        raise DataError(
            f"score file {path} has no '{key}' (it has: {', '.join(arrays) or 'nothing'}); "
            "set `scorer.key=NAME`"
        )
    values = np.asarray(arrays[key])
    if values.ndim != 1 or values.dtype.kind not in "fiu":
        raise DataError(
            f"score file {path}: '{key}' must be one number per sample, got shape "
            f"{values.shape} of {values.dtype}"
        )
    values = values.astype(np.float64)
    with np.errstate(over="ignore"):  # scores are float32, where 1e300 is not finite
        bad = np.flatnonzero(~np.isfinite(values.astype(np.float32)))
    if len(bad):
        raise DataError(f"score file {path}: score {bad[0]} is {values[bad[0]]}, must be finite")
    return values


def _check_labels(labels: npt.NDArray[Any] | None, data: LabeledData, path: Path) -> None:
    """That the file's labels, as numbers or names of classes, are those of ``data``."""
    if labels is None:
        return
    expected = data.labels.numpy()
    if labels.dtype.kind not in "biufUS":
        raise DataError(f"score file {path} holds labels of {labels.dtype}; give numbers or names")
    if labels.dtype.kind in "US" and labels.ndim == 1:
        labels = np.array(names_of(labels, f"labels of score file {path}"), dtype=str)
        expected = np.array(data.classes)[expected]
    if labels.shape != expected.shape:
        raise DataError(
            f"score file {path} holds labels of shape {labels.shape}, {data.name} has "
            f"{len(data)} training samples; use a file made for this data, in its order"
        )
    wrong = np.flatnonzero(labels != expected)
    if len(wrong):
        raise DataError(
            f"score file {path} holds labels that differ from {data.name} in {len(wrong)} places "
            f"(sample {wrong[0]}: {labels[wrong[0]]} instead of {expected[wrong[0]]}); "
            "it was made for other data or another order"
        )


def _check_fingerprint(path: Path, data: LabeledData) -> None:
    """That a file of ours was made for this very data."""
    manifest = path.with_name("manifest.json")
    if path.suffix != ".safetensors" or not manifest.is_file():
        return
    try:
        recorded = parse_table(manifest.read_bytes()).get("data_fingerprint")
    except (ValueError, OSError) as error:
        raise DataError(f"{manifest} is damaged ({error}); score the data again") from None
    if recorded is not None and recorded != data.fingerprint:
        raise DataError(
            f"score file {path} was made for other data (fingerprint {recorded}, {data.name} has "
            f"{data.fingerprint}); score this data with `condense score`"
        )
