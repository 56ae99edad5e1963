"""The formats of ``export``: each a line here, and a file beside this one that writes it."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from condense.errors import DataError, OptionError, closest

if TYPE_CHECKING:
    from condense.data import Modality
    from condense.engine.artefact.dataset import CondensedDataset


@dataclass(frozen=True)
class Form:
    """A format.

    Attributes:
        help: what it is, for ``--help``.
        writer: MODULE:FUNCTION in this folder, imported when it is called: from a set and a path to
            the path that was written.
        holds: what samples may be.
        originals: whether it holds what samples were before they became features, which distilled
            ones never were.
        soft: what is said of it where the set has soft labels; empty where there is nothing to say.
    """

    help: str
    writer: str
    holds: tuple[Modality, ...] = ("image", "features")
    originals: bool = False
    soft: str = ""


FORMS = {
    "folder": Form(
        "one folder of PNG images a class, as torchvision's ImageFolder (of OUT/train) reads, with "
        "Hugging Face's metadata.jsonl",
        "image_folder:write",
        holds=("image",),
        soft="images lie under their own class; soft labels are in train/metadata.jsonl, which "
        "load_dataset reads and ImageFolder does not",
    ),
    "npz": Form(
        "arrays for numpy.load",
        "npz:write",
        soft="train towards soft_labels; npz:PATH as data reads train_labels, the own classes",
    ),
    "csv": Form(
        "a row a sample of a table, as its file had it, or of features",
        "table:write_csv",
        holds=("features",),
        soft="rows have their own class, without their soft labels, which --to npz keeps",
    ),
    "parquet": Form(
        "the same in the types of the table (extra `table`)",
        "table:write_parquet",
        holds=("features",),
        soft="rows have their own class, without their soft labels, which --to npz keeps",
    ),
    "indices": Form(
        "CSV or JSON of which training samples are kept: index, source file, class, role, score",
        "indices:write",
    ),
    "hf": Form(
        "a data set of Hugging Face's, parquet and a dataset card, which load_dataset reads (extra "
        "hf)",
        "hugging_face:write",
    ),
    "items": Form(
        "the files or texts that data.items names, of real samples alone",
        "items:write",
        holds=("features",),
        originals=True,
    ),
    "webdataset": Form("tar shards of WebDataset", "webdataset:write"),
}
_NAMES = {"image": "images", "features": "feature vectors"}


def write_as(condensed: CondensedDataset, to: str, out: Path) -> Path:
    """Write ``condensed`` to ``out`` in the format ``to``.

    Raises:
        OptionError: for a format that there is not.
        DataError: for samples that it does not hold.
        OutputError: if ``out`` cannot be written, or is another's.
    """
    if to not in FORMS:
        raise OptionError(
            f"unknown format '{to}'{closest(to, FORMS)} (formats: {', '.join(FORMS)})"
        )
    form, modality = FORMS[to], condensed.geometry.modality
    if modality not in form.holds:
        others = ", ".join(name for name, other in FORMS.items() if modality in other.holds)
        raise DataError(
            f"this set holds {_NAMES[modality]}, which '{to}' cannot hold; formats that can: "
            f"{others} (`to`)"
        )
    distilled = int(condensed.distilled.sum())
    if form.originals and distilled:
        raise DataError(
            f"{distilled} of {len(condensed)} samples are distilled, of which '{to}' has no "
            "original; give `real-only` as well, which leaves them out"
        )
    module, _, function = form.writer.partition(":")
    writer: Any = getattr(importlib.import_module(f"{__package__}.{module}"), function)
    return Path(writer(condensed, out))
