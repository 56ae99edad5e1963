"""A folder of images, one subfolder a class."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from condense.engine.artefact.exports.encoded import encoded
from condense.engine.artefact.exports.rows import lines, rows
from condense.engine.artefact.write import INDEX
from condense.engine.documents import kept_table
from condense.engine.runtime.folders import Layout, check_folder, replace_folder

if TYPE_CHECKING:
    from condense.engine.artefact.dataset import CondensedDataset

METADATA = "train/metadata.jsonl"
IMAGES = Layout(
    INDEX,
    ("train/*/*-real.png", "train/*/*-distilled.png", METADATA),
    lambda contents: contents.startswith(b"file,class,role,source_index"),
)


def write(condensed: CondensedDataset, folder: Path) -> Path:
    """``folder/train/CLASS/NNNNN-ROLE.png`` plus ``index.csv``; reads back as ``folder:PATH``.

    ``train/metadata.jsonl`` says the same and more to Hugging Face's ``imagefolder``.
    Distilled values are rounded and clamped to 0–255, so train on the artefact itself where the
    last tenth of a point matters.

    Raises:
        OutputError: if it cannot be written.
    """
    _, images = encoded(condensed)
    names = file_names(condensed, [".png"] * len(images))

    def fill(draft: Path) -> None:
        for name, image in zip(names, images, strict=True):
            (draft / "train" / name).parent.mkdir(parents=True, exist_ok=True)
            (draft / "train" / name).write_bytes(image)
        (draft / METADATA).write_bytes(lines(named_rows(condensed, names)))
        files = [f"train/{name}" for name in names]
        (draft / INDEX).write_bytes(kept_table(condensed.kept, files).encode())

    return replace_folder(folder, fill, partial(check_folder, folder, IMAGES))


def file_names(condensed: CondensedDataset, endings: Sequence[str]) -> list[str]:
    """``CLASS/00007-real.png``, or with another of ``endings`` [M], for every sample."""
    folders, places = folder_names(condensed.classes), condensed.labels.tolist()
    return [
        f"{folders[label]}/{i:05d}-{sample.role}{ending}"
        for i, (label, sample, ending) in enumerate(
            zip(places, condensed.kept, endings, strict=True)
        )
    ]


def named_rows(condensed: CondensedDataset, names: Sequence[str]) -> list[dict[str, Any]]:
    """:func:`rows` with the file of every sample, as Hugging Face's builders look for it."""
    return [{"file_name": n} | row for n, row in zip(names, rows(condensed), strict=True)]


def folder_names(classes: tuple[str, ...]) -> list[str]:
    """One safe name of a folder for each class, distinct on every file system.

    Also on those that know no case (Windows, macOS) or write é in one way alone (macOS).
    """
    names: list[str] = []
    taken = {Path(METADATA).name}
    for number, name in enumerate(classes):
        plain = re.sub("/+", "_", "".join(map(_safe, name))).strip(" .") or f"class-{number}"
        device = plain.partition(".")[0].strip().upper() in DEVICES
        safe = again = f"_{plain}" if device else plain
        while _folded(again) in taken:
            again = f"{safe}-{number}"
            number += 1
        taken.add(_folded(again))
        names.append(again)
    return names


def _safe(sign: str) -> str:
    """``sign`` where every file system takes it, accents that stand alone too; else a slash."""
    kept = sign.isalnum() or sign in "_.- ,'()&+" or unicodedata.category(sign).startswith("M")
    return sign if kept else "/"


# what Windows takes for a device, whatever the ending
DEVICES = {
    *("CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"),
    *(f"{port}{n}" for port in ("COM", "LPT") for n in "0123456789¹²³"),
}


def _folded(name: str) -> str:
    """Equal for names that some file system takes for one."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
