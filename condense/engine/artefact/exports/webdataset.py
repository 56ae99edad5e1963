"""Shards of WebDataset: tar files in which the files of one sample share a name."""

from __future__ import annotations

import io
import json
import tarfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from condense.engine.artefact.exports.encoded import encoded
from condense.engine.artefact.exports.rows import rows
from condense.engine.runtime.folders import Layout, check_folder, json_with, replace_folder

if TYPE_CHECKING:
    from condense.engine.artefact.dataset import CondensedDataset

INDEX = "index.json"
SHARDS = Layout(INDEX, ("train-*.tar",), json_with("shards", "classes", "condense"))
PER_SHARD = 1000  # samples


def write(condensed: CondensedDataset, folder: Path) -> Path:
    """``folder/train-NNNNNN.tar`` and ``index.json`` with the names of classes and shards.

    Of each sample ``NNNNN.png`` (features: ``.npy``), ``.cls`` (the number of its class) and
    ``.json`` (:func:`rows`). Equal sets give equal bytes.

    Raises:
        OutputError: if it cannot be written.
    """
    ending, files = encoded(condensed)
    told = rows(condensed)

    def fill(draft: Path) -> None:
        names = []
        for start in range(0, len(files), PER_SHARD):
            names.append(f"train-{start // PER_SHARD:06d}.tar")
            with tarfile.open(draft / names[-1], "w", format=tarfile.USTAR_FORMAT) as shard:
                for i in range(start, min(start + PER_SHARD, len(files))):
                    _add(shard, f"{i:05d}.{ending}", files[i])
                    _add(shard, f"{i:05d}.cls", str(told[i]["label_index"]).encode())
                    _add(shard, f"{i:05d}.json", json.dumps(told[i]).encode())
        index = {
            "condense": condensed.method,
            "samples": len(condensed),
            "classes": list(condensed.classes),
            "shards": names,
        }
        (draft / INDEX).write_bytes((json.dumps(index, indent=1) + "\n").encode())

    return replace_folder(folder, fill, partial(check_folder, folder, SHARDS))


def _add(shard: tarfile.TarFile, name: str, contents: bytes) -> None:
    member = tarfile.TarInfo(name)  # of nobody and no time, as it is made
    member.size, member.mode = len(contents), 0o644
    shard.addfile(member, io.BytesIO(contents))
