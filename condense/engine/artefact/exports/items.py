"""The original items of real samples: copies of their files, or their texts."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from condense.engine.artefact.exports.image_folder import METADATA, file_names, named_rows
from condense.engine.artefact.exports.rows import lines, rows
from condense.engine.ingest.items import read_items
from condense.engine.runtime.folders import Layout, check_folder, replace_folder
from condense.errors import DataError

if TYPE_CHECKING:
    from condense.engine.artefact.dataset import CondensedDataset

ORIGINALS = Layout(
    METADATA, ("train/*/*-real*",), lambda contents: b'"source_index"' in contents[:10_000]
)


def write(condensed: CondensedDataset, folder: Path) -> Path:
    """``folder/train/metadata.jsonl``, a row a sample, beside ``train/CLASS/NNNNN-real.EXT``.

    The row names its file in ``file_name``, as Hugging Face's ``audiofolder`` reads, or has the
    ``text`` itself, for its ``json``.

    Raises:
        DataError: for a set without items, or whose items are not there any more.
        OutputError: if it cannot be written.
    """
    files = [] if condensed.texts is not None else _files_of(condensed)
    names = file_names(condensed, [file.suffix for file in files]) if files else []
    told = named_rows(condensed, names) if files else rows(condensed)

    def fill(draft: Path) -> None:
        (draft / "train").mkdir()
        for name, file in zip(names, files, strict=True):
            (draft / "train" / name).parent.mkdir(exist_ok=True)
            shutil.copyfile(file, draft / "train" / name)
        (draft / METADATA).write_bytes(lines(told))

    return replace_folder(folder, fill, partial(check_folder, folder, ORIGINALS))


def _files_of(condensed: CondensedDataset) -> list[Path]:
    """The file of each sample."""
    if "data.items" not in condensed.paths:
        raise DataError(
            "this set carries no items, or its recipe does not say where they lie; set "
            "`data.items=FILE` when it is made, with FILE below the working folder"
        )
    path = Path(condensed.paths["data.items"])
    found = read_items(path)
    if found.kind == "text":  # as of before sets kept their texts
        raise DataError(
            f"{path} holds texts, and this set carries none; make the set anew, which keeps them, "
            "or take the rows, `export --to indices`"
        )
    there, files = set(found.names), []
    for name in condensed.items or ():
        if name not in there:
            raise DataError(
                f"{path} has changed: it has no item '{name}', which the set was made of; put the "
                "file back, or make the set anew"
            )
        files.append(path.parent / name)
        if not files[-1].is_file():
            raise DataError(f"the item {files[-1]} is not there; put it back, or make the set anew")
    return files
