"""``CondensedDataset``: the small set as a torch Dataset and as a folder."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor
from torch.utils.data import Dataset

from condense.data import Normalization
from condense.engine import export
from condense.engine.condensed import CondensedSamples
from condense.engine.export import MANIFEST, TENSORS, snapshot_path
from condense.engine.preview import draw_preview
from condense.errors import DataError
from condense.results import Trace


@dataclass(frozen=True, eq=False, repr=False)
class CondensedDataset(CondensedSamples, Dataset[tuple[Tensor, int]]):
    """A condensed training set; ``dataset[i]`` is (normalised input, label).

    All attributes are those of :class:`condense.engine.condensed.CondensedSamples`.
    """

    def save(self, folder: str | Path) -> Path:
        """Write the artefact to ``folder``: tensors, manifest, recipe, trace, preview, snapshots.

        Raises:
            OutputError: if ``folder`` cannot be written or holds something else.
        """
        return export.save_artefact(self, Path(folder))

    @staticmethod
    def load(folder: str | Path) -> CondensedDataset:
        """The artefact in ``folder``.

        Raises:
            DataError: if there is none, or it is damaged.
        """
        return load_artefact(Path(folder))

    def to_image_folder(self, folder: str | Path) -> Path:
        """``folder/train/CLASS/*.png`` and ``folder/index.csv``; see ``export.to_image_folder``."""
        return export.to_image_folder(self, Path(folder))

    def to_npz(self, path: str | Path) -> Path:
        """One .npz that ``npz:PATH`` reads; see ``export.to_npz``."""
        return export.to_npz(self, Path(path))

    def preview(self, path: str | Path) -> Path:
        """Draw the set to a PNG: distilled samples beside the real ones they started from."""
        return draw_preview(self, Path(path))


def load_artefact(folder: Path) -> CondensedDataset:
    """See :meth:`CondensedDataset.load`."""
    try:
        manifest = dict(json.loads((folder / MANIFEST).read_text(encoding="utf-8")))
        blob = (folder / TENSORS).read_bytes()
    except OSError:
        raise DataError(
            f"{folder} is not a condensed set: it needs {TENSORS} and {MANIFEST}; "
            "make one with `condense run --out DIR`"
        ) from None
    except (ValueError, TypeError) as error:
        raise DataError(f"{folder / MANIFEST} is damaged: {error}; run the recipe again") from None
    if hashlib.sha256(blob).hexdigest() != manifest.get("sha256"):
        raise DataError(f"{folder / TENSORS} is damaged: checksum differs; run the recipe again")
    try:
        tensors = safetensors.torch.load(blob)
        mean, std = tensors["normalisation"].tolist()
        step = float(tensors["step_size"])
        return CondensedDataset(
            inputs=tensors["inputs"],
            labels=tensors["labels"],
            role=tensors["role"],
            source_index=tensors["source_index"],
            source_inputs=tensors["source_inputs"],
            classes=tuple(manifest["classes"]),
            normalization=Normalization(tuple(mean), tuple(std)),
            flip=manifest["flip"],
            step_size=None if step != step else step,
            method=manifest["method"],
            seed=manifest["seed"],
            recipe=manifest["recipe"],
            data_name=manifest["data"]["name"],
            data_fingerprint=manifest["data"]["fingerprint"],
            trace=_read_trace(folder / "trace.csv"),
            snapshots=_read_snapshots(folder, manifest["snapshots"]),
        )
    except (KeyError, IndexError, TypeError, ValueError, SafetensorError, OSError) as error:
        raise DataError(f"{folder} is damaged: {error}; run the recipe again") from None


def _read_snapshots(folder: Path, iterations: list[int]) -> dict[int, Tensor]:
    return {
        i: safetensors.torch.load(snapshot_path(folder, i).read_bytes())["inputs"]
        for i in iterations
    }


def _read_trace(path: Path) -> Trace:
    if not path.is_file():
        return Trace()
    rows = [line.split(",") for line in path.read_text().splitlines()[1:]]
    return Trace(tuple(float(r[1]) for r in rows), tuple(float(r[2]) for r in rows))
