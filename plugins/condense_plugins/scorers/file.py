"""Scores from a file: published ones, or what ``condense score`` wrote."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field
from torch import Generator

from condense import hookimpl
from condense.errors import DataError
from condense.interfaces import Context, LabeledData, Scorer, Scores
from condense.options import Options as BaseOptions

Arrays = dict[str, npt.NDArray[Any]]


class FileScorer:
    """Reads one score per training sample, in the data's order."""

    name: ClassVar[str] = "file"
    version: ClassVar[str] = "1"
    arg: ClassVar[str] = "path"

    class Options(BaseOptions):
        path: str = Field(
            description=".npz, .npy, .csv or .safetensors file, or a folder of `condense score`"
        )
        key: str = Field("scores", description="array or column that holds the scores")
        direction: Literal["higher-harder", "lower-harder"] = Field(
            "higher-harder", description="what a high value means in the file"
        )

    def __init__(self, options: Options) -> None:
        self.options = options

    def cache_token(self) -> str:
        """SHA-256 of the file, so that a changed file is read again."""
        try:
            return hashlib.sha256(self._path().read_bytes()).hexdigest()
        except OSError:
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
        labels = arrays.get("labels")
        if labels is not None and not np.array_equal(labels.astype(np.int64), data.labels.numpy()):
            wrong = int((labels.astype(np.int64) != data.labels.numpy()).sum())
            raise DataError(
                f"score file {path} holds labels that differ from {data.name} in {wrong} places; "
                "it was made for other data or another order"
            )
        _check_fingerprint(path, data)
        sign = 1.0 if self.options.direction == "higher-harder" else -1.0
        return Scores(
            torch.from_numpy(values * sign).float(), data.fingerprint, f"file {path.name}"
        )

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
    except Exception as error:  # each format has errors of its own
        reason = " ".join(str(error).split())
        raise DataError(f"score file {path} cannot be read: {reason}") from None


def _read_npz(path: Path, key: str) -> Arrays:
    with np.load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def _read_csv(path: Path, key: str) -> Arrays:
    table: npt.NDArray[Any] = np.genfromtxt(path, delimiter=",", names=True, dtype=np.float64)
    if table.dtype.names and key in table.dtype.names:
        return {name: np.atleast_1d(table[name]) for name in table.dtype.names}
    return {key: np.atleast_1d(np.genfromtxt(path, delimiter=",", dtype=np.float64))}


def _read_safetensors(path: Path, key: str) -> Arrays:
    import safetensors.numpy

    return dict(safetensors.numpy.load(path.read_bytes()))


def _scores(arrays: Arrays, key: str, path: Path) -> npt.NDArray[np.float64]:
    if key not in arrays:
        raise DataError(
            f"score file {path} has no '{key}' (it has: {', '.join(arrays) or 'nothing'}); "
            "set -o scorer.key=NAME"
        )
    values = np.asarray(arrays[key])
    if values.ndim != 1 or values.dtype.kind not in "fiu":
        raise DataError(
            f"score file {path}: '{key}' must be one number per sample, got shape "
            f"{values.shape} of {values.dtype}"
        )
    values = values.astype(np.float64)
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        raise DataError(f"score file {path}: score {bad[0]} is {values[bad[0]]}, must be finite")
    return values


def _check_fingerprint(path: Path, data: LabeledData) -> None:
    """That a file of ours was made for this very data."""
    manifest = path.with_name("manifest.json")
    if path.suffix != ".safetensors" or not manifest.is_file():
        return
    try:
        told = json.loads(manifest.read_text()).get("data_fingerprint")
    except (ValueError, AttributeError):
        raise DataError(f"{manifest} is damaged; score the data again") from None
    if told is not None and told != data.fingerprint:
        raise DataError(
            f"score file {path} was made for other data (fingerprint {told}, {data.name} has "
            f"{data.fingerprint}); score this data with `condense score`"
        )


@hookimpl
def condense_register_scorers(register: Callable[[type[Scorer]], None]) -> None:
    register(FileScorer)
