"""What lies in a store and may go: entries by name, and what unfinished runs left beside them.

``ROOT/condense-store.json`` lists the kinds whose folders are ours. In those only names of our own
count (32 hex digits and what is derived from them), so that a store may share its folder with
anything else: that is neither listed nor removed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

import filelock
from pydantic import BaseModel, ConfigDict

from condense.engine.runtime.claims import CLAIM, held_elsewhere
from condense.engine.runtime.files import (
    discard,
    sweep,
    write_atomic,
)
from condense.engine.runtime.locks import locked_folder
from condense.reading import read_regular

MARKER = "condense-store.json"
TENSORS = "tensors.safetensors"
ENTRY = "entry.json"
MAX_ENTRY = 64 * 2**20  # bytes of entry.json or the marker
_NAME = re.compile(r"([0-9a-f]{32})(\.lock|\.partial|\.claim)?")
_DRAFT = re.compile(r"\.([0-9a-f]{32})(?:\.partial)?-[0-9a-f]{16}")  # of an entry or checkpoint


@dataclass(frozen=True)
class StoredEntry:
    """One stored result, for listings."""

    kind: str
    key: str
    bytes: int
    created: float
    path: Path
    label: str


class Cleaned(NamedTuple):
    """What was removed: entries, their bytes, and files and folders that belonged to none."""

    entries: int
    bytes: int
    leftovers: int


@dataclass
class _Leavings:
    """What goes by one name: an entry if there is one, its lock, and what is left of runs."""

    entry: Path | None = None
    others: list[Path] = field(default_factory=list)

    @property
    def beside(self) -> list[Path]:
        """``others``, but for the lock of an entry that is there."""
        return [p for p in self.others if self.entry is None or p.suffix != ".lock"]


class _Marker(BaseModel):
    """``condense-store.json``."""

    model_config = ConfigDict(strict=True)

    format: Literal[1]
    kinds: list[str]


class _Key(BaseModel):
    """As much of ``entry.json`` as says what it is an entry of."""

    model_config = ConfigDict(strict=True)

    kind: str
    key: dict[str, Any]


def digest(kind: str, key: Mapping[str, Any]) -> str:
    """32 hex digits for a JSON-ready key; equal keys, equal digits, on every machine."""
    text = json.dumps([kind, key], sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def kinds_in(root: Path) -> list[str]:
    """Kinds of results in the store at ``root``, sorted.

    A store without a marker, by an older condense, has those with an entry whose key hashes to
    its name.
    """
    marked = _marked_kinds(root)
    if marked is not None:
        return marked
    with contextlib.suppress(OSError):
        folders = [path for path in root.iterdir() if path.is_dir()]
        return sorted(f.name for f in folders if any(_is_entry(path) for path in _listed(f)))
    return []


def _marked_kinds(root: Path) -> list[str] | None:
    """What the marker says; None where there is none that can be read."""
    with contextlib.suppress(OSError, ValueError):
        return sorted(_Marker.model_validate_json(read_regular(root / MARKER, MAX_ENTRY)).kinds)
    return None


def _is_entry(path: Path) -> bool:
    with contextlib.suppress(OSError, ValueError):
        if re.fullmatch(r"[0-9a-f]{32}", path.name):
            own = _Key.model_validate_json(read_regular(path / ENTRY, MAX_ENTRY))
            return own.kind == path.parent.name and digest(own.kind, own.key) == path.name
    return False


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def register(root: Path, *kinds: str) -> None:
    """Have the marker of the store at ``root`` name ``kinds``, if it can be written."""
    marker = root / MARKER
    with contextlib.suppress(OSError):
        if set(kinds) <= set(_marked_kinds(root) or ()):
            return
        with locked_folder(root):
            sweep(marker)
            known = sorted({*kinds_in(root), *kinds})
            text = _Marker(format=1, kinds=known).model_dump_json(indent=1) + "\n"
            write_atomic(marker, text.encode())


def entries_in(root: Path, kind: str) -> list[StoredEntry]:
    """Entries of ``kind``, by age; damaged ones are listed with what can be read."""
    found = []
    for name, left in _leavings(root / kind).items():
        if left.entry is None or not (left.entry / ENTRY).is_file():
            continue
        with contextlib.suppress(OSError):  # gone meanwhile
            created = (left.entry / ENTRY).stat().st_mtime
            size = sum(f.stat().st_size for f in left.entry.iterdir())
            try:
                own = _Key.model_validate_json(read_regular(left.entry / ENTRY, MAX_ENTRY))
                label = str(own.key.get("component", ""))
            except ValueError:
                label = "(damaged)"
            found.append(StoredEntry(kind, name, size, created, left.entry, label))
    return sorted(found, key=lambda e: e.created)


def leftovers_in(root: Path, kind: str) -> int:
    """How many files and folders of ``kind`` belong to no entry."""
    return sum(len(left.beside) for left in _leavings(root / kind).values())


def tidy(folder: Path) -> None:
    """Remove drafts in the folder of a kind whose writers are gone; checkpoints stay."""
    for name, left in _leavings(folder).items():
        drafts = [path for path in left.others if path.name.startswith(".")]
        if drafts:
            _remove(folder, name, drafts)


def clean(root: Path, kinds: Sequence[str]) -> Cleaned:
    """Remove all of ``kinds`` but what living processes work on."""
    gone = Cleaned(0, 0, 0)
    for kind in kinds:
        sizes = {e.key: e.bytes for e in entries_in(root, kind)}
        for name, left in _leavings(root / kind).items():
            beside = len(left.beside)
            if not _remove(root / kind, name, [*filter(None, [left.entry]), *left.others]):
                continue
            entry = name in sizes
            gone = Cleaned(
                gone.entries + entry, gone.bytes + sizes.get(name, 0), gone.leftovers + beside
            )
    return gone


def _remove(folder: Path, name: str, paths: Sequence[Path]) -> bool:
    """Remove what goes by ``name``, unless a living process holds its lock; whether it was done."""
    if held_elsewhere(folder / f"{name}{CLAIM}"):
        return False
    lock = folder / f"{name}.lock"
    with contextlib.suppress(OSError):  # held, or not ours to remove
        mode = stat.S_IMODE(folder.stat().st_mode) & 0o666
        with filelock.FileLock(lock, timeout=0, mode=mode):
            for path in paths:
                if path != lock:
                    discard(path)
            lock.unlink()
        return True
    return False


def _leavings(folder: Path) -> dict[str, _Leavings]:
    """What of ours lies in the folder of a kind, by the entry's name."""
    found: dict[str, _Leavings] = {}
    for path in _listed(folder):
        named, draft = _NAME.fullmatch(path.name), _DRAFT.fullmatch(path.name)
        if named is not None and named[2] is None:
            if path.is_symlink() or {p.name for p in _listed(path)} <= {TENSORS, ENTRY}:
                found.setdefault(named[1], _Leavings()).entry = path
        elif (own := named or draft) is not None:
            found.setdefault(own[1], _Leavings()).others.append(path)
    return found
