"""Scores from a file: published ones, or what ``condense score`` wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field
from torch import Generator, Tensor

from condense.engine.ingest.arrays import names_of
from condense.errors import DataError, OptionError
from condense.interfaces import Context, LabeledData, Scores
from condense.options import Options as BaseOptions, PathOption
from condense.reading import parse_table
from condense_plugins._array_files import ArrayFile, Arrays
from condense_plugins._built_in import Instant

# Names of the arrays that `condense score` writes, of companions how they begin.
_SCORES, _ERROR, _COMPANION = "scores", "standard_error", "companion."
# Of the training dynamics, both high for easy samples (:class:`condense.interfaces.Scores`).
_EASY = tuple(_COMPANION + name for name in ("aum", "probability"))


class FileScorer(Instant):
    """Reads one score per training sample, in the data's order."""

    name: ClassVar[str] = "file"
    version: ClassVar[str] = "2"
    arg: ClassVar[str] = "path"

    class Options(BaseOptions):
        path: PathOption = Field(
            description=".npz, .npy, .csv or .safetensors file, or a folder of `condense score`"
        )
        key: str = Field(_SCORES, description="array or column that holds the scores")
        direction: Literal["auto", "higher-harder", "lower-harder"] = Field(
            "auto",
            description="what a high value means in the file; auto = lower-harder for "
            f"{' and '.join(_EASY)} of `condense score`, else higher-harder",
        )

    options: Options

    def cache_token(self) -> str:
        """SHA-256 of the file, so that a changed file is read again."""
        return _file(self._path()).digest()

    def score(self, data: LabeledData, context: Context, rng: Generator) -> Scores:
        """float32 [N], turned round if the file counts the other way.

        With its ``key`` unchanged a .safetensors file, which is one of ``condense score``, gives
        standard error and companions as well, float32 [N] each, as it holds them.

        Raises:
            DataError: for a missing file or key, a wrong length, other labels, other data.
            OptionError: for a companion of which only its scorer knows what a high value means.
        """
        path = self._path()
        arrays = _file(path).arrays(self.options.key)
        values = _scores(arrays, self.options.key, path, data)
        _check_labels(arrays.get("labels"), data, path)
        _check_fingerprint(path, data)
        sign = 1.0 if self._direction(context) == "higher-harder" else -1.0
        beside: dict[str, Tensor] = {}
        if path.suffix == ".safetensors" and self.options.key == _SCORES:
            names = [n for n in arrays if n == _ERROR or n.startswith(_COMPANION)]
            beside = {n: _scores(arrays, n, path, data) for n in names}
        error = beside.pop(_ERROR, None)
        companions = {name.removeprefix(_COMPANION): tensor for name, tensor in beside.items()}
        return Scores(values * sign, f"file {path.name}", error, companions)

    def _direction(self, context: Context) -> str:
        key, direction = self.options.key, self.options.direction
        if direction != "auto":
            return direction
        if key in _EASY:
            context.progress.note(
                f"note: `scorer.key={key}` is high for easy samples and is turned round; "
                "scorer.direction=higher-harder leaves it as it is"
            )
            return "lower-harder"
        if key.startswith(_COMPANION):
            raise OptionError(
                f"`scorer.key={key}`: only the scorer that gave it knows whether a high value "
                "means a hard sample; set scorer.direction to higher-harder or lower-harder"
            )
        return "higher-harder"

    def _path(self) -> Path:
        path = Path(self.options.path)
        return path / "scores.safetensors" if path.is_dir() else path


def _file(path: Path) -> ArrayFile:
    return ArrayFile(path, "score file", "one number per sample, as `condense score` writes them")


def _scores(arrays: Arrays, key: str, path: Path, data: LabeledData) -> Tensor:
    """float32 [N], finite: what ``arrays`` of the file at ``path`` hold of each sample."""
    values = _file(path).named(arrays, key, "scorer.key")
    if values.ndim != 1 or values.dtype.kind not in "fiu":
        raise DataError(
            f"score file {path}: '{key}' must be one number per sample, got shape "
            f"{values.shape} of {values.dtype}"
        )
    values = values.astype(np.float64)
    with np.errstate(over="ignore"):  # scores are float32, where 1e300 is not finite
        bad = np.flatnonzero(~np.isfinite(values.astype(np.float32)))
    if len(bad):
        raise DataError(
            f"score file {path}, '{key}': score {bad[0]} is {values[bad[0]]}, must be finite"
        )
    data.check_count(len(values), f"score file {path} has {len(values)} scores in '{key}'")
    return torch.from_numpy(values).float()


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
