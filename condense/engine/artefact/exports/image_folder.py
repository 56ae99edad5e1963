"""A folder of images, one subfolder a class."""

from __future__ import annotations

import re
import unicodedata
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

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
    names = folder_names(condensed.classes)

    def fill(draft: Path) -> None:
        (draft / "train").mkdir()
        files = []
        for i, (image, label) in enumerate(zip(images, condensed.labels.tolist(), strict=True)):
            role = "distilled" if condensed.distilled[i] else "real"
            path = draft / "train" / names[label] / f"{i:05d}-{role}.png"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(image)
            files.append(path.relative_to(draft).as_posix())
        below = [file.removeprefix("train/") for file in files]
        told = [{"file_name": f} | row for f, row in zip(below, rows(condensed), strict=True)]
        (draft / METADATA).write_bytes(lines(told))
        (draft / INDEX).write_bytes(kept_table(condensed.kept, files).encode())

    return replace_folder(folder, fill, partial(check_folder, folder, IMAGES))


def folder_names(classes: tuple[str, ...]) -> list[str]:
    """One safe name of a folder for each class, distinct on every file system.

    Also on those that know no case (Windows, macOS) or write é in one way alone (macOS).
    """
    names: list[str] = []
    taken = {Path(METADATA).name}
    for number, name in enumerate(classes):
        plain = re.sub(r"[^\w.\- ]+", "_", name).strip(" .") or f"class-{number}"
        device = plain.partition(".")[0].strip().upper() in DEVICES
        safe = again = f"_{plain}" if device else plain
        while _folded(again) in taken:
            again = f"{safe}-{number}"
            number += 1
        taken.add(_folded(again))
        names.append(again)
    return names


# what Windows takes for a device, whatever the ending
DEVICES = {
    *("CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"),
    *(f"{port}{n}" for port in ("COM", "LPT") for n in "0123456789¹²³"),
}


def _folded(name: str) -> str:
    """Equal for names that some file system takes for one."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
