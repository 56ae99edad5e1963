"""The original items of real samples: copies of their files, or their texts."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from condense.engine.artefact.exports.image_folder import METADATA, folder_names
from condense.engine.artefact.exports.rows import lines, rows
from condense.engine.ingest.items import Items, read_items
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
    items, places = _items_of(condensed)
    told = rows(condensed)
    names = folder_names(condensed.classes)

    def fill(draft: Path) -> None:
        (draft / "train").mkdir()
        own_rows = []
        for i, row in enumerate(told):
            value = items.values[places[i]]
            own: dict[str, Any] = {"text": value}
            if items.kind == "file":
                source = Path(value)
                file = f"{names[row['label_index']]}/{i:05d}-real{source.suffix}"
                own = {"file_name": file}
                (draft / "train" / file).parent.mkdir(exist_ok=True)
                shutil.copyfile(items.folder / source, draft / "train" / file)
            own_rows.append(own | row)
        (draft / METADATA).write_bytes(lines(own_rows))

    return replace_folder(folder, fill, partial(check_folder, folder, ORIGINALS))


def _items_of(condensed: CondensedDataset) -> tuple[Items, list[int]]:
    """The items of the data, and the place of each sample's among them."""
    if "data.items" not in condensed.paths:
        raise DataError(
            "this set carries no items, or its recipe does not say where they lie; set "
            "`data.items=FILE` when it is made, with FILE below the working folder"
        )
    path = Path(condensed.paths["data.items"])
    items = read_items(path)
    place_of = {name: place for place, name in enumerate(items.names)}
    places = []
    for name in condensed.items or ():
        if name not in place_of:
            raise DataError(
                f"{path} has changed: it has no item '{name}', which the set was made of; put the "
                "file back, or make the set anew"
            )
        places.append(place_of[name])
        file = items.folder / items.values[places[-1]]
        if items.kind == "file" and not file.is_file():
            raise DataError(f"the item {file} is not there; put it back, or make the set anew")
    return items, places
