"""The content-addressed store: each stage's result under the hash of all it depends on.

An entry is a folder ``ROOT/KIND/HASH/`` with ``tensors.safetensors`` and ``entry.json`` (the full
key, a checksum, JSON values). It appears by one rename, so a reader sees all of it or nothing; a
damaged one is recomputed with one warning line. Nothing is ever unpickled.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import shutil
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import filelock
import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from condense.engine.runtime.progress import SilentProgress
from condense.errors import OutputError
from condense.interfaces import Progress

ENVIRONMENT = "CONDENSE_STORE"
TENSORS = "tensors.safetensors"
ENTRY = "entry.json"


@dataclass(frozen=True, eq=False)
class Payload:
    """What an entry holds: tensors by name, and JSON-ready values by name."""

    tensors: dict[str, Tensor] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Entry:
    """One stored result, for listings."""

    kind: str
    key: str
    bytes: int
    created: float
    path: Path
    label: str


def digest(kind: str, key: Mapping[str, Any]) -> str:
    """32 hex digits for a JSON-ready key; equal keys, equal digits, on every machine."""
    text = json.dumps([kind, key], sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


class Store:
    """A folder of stage results, shared by any number of processes.

    Args:
        root: the folder; made when first written.
        progress: where a damaged entry is reported.
    """

    def __init__(self, root: Path, progress: Progress | None = None) -> None:
        self.root = root
        self.progress = progress or SilentProgress()
        self.hits = 0  # entries this object read
        self.misses = 0  # entries it had to compute

    @staticmethod
    def default(progress: Progress | None = None) -> Store:
        """$CONDENSE_STORE, else $XDG_CACHE_HOME/condense, else ~/.cache/condense."""
        named = os.environ.get(ENVIRONMENT)
        cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
        return Store(Path(named or f"{cache}/condense").expanduser(), progress)

    def path(self, kind: str, key: Mapping[str, Any]) -> Path:
        """Where the entry lies, or would lie."""
        return self.root / kind / digest(kind, key)

    def has(self, kind: str, key: Mapping[str, Any]) -> bool:
        """Whether an entry is there (not whether it is intact)."""
        return (self.path(kind, key) / ENTRY).is_file()

    def get(self, kind: str, key: Mapping[str, Any]) -> Payload | None:
        """The entry's payload, or None if it is absent or damaged (then it is removed)."""
        path = self.path(kind, key)
        try:
            return _read(path, kind, key) if path.exists() else None
        except PermissionError:  # another user's, who shares nothing
            self.progress.note(f"warning: cache entry {path} may not be read; computing it anew")
            return None
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            if not path.exists():  # another process cleaned it meanwhile
                return None
            reason = " ".join(str(error).split())
            self.progress.note(f"warning: cache entry {path} is damaged ({reason}); recomputing it")
            shutil.rmtree(path, ignore_errors=True)
            return None

    def put(self, kind: str, key: Mapping[str, Any], payload: Payload) -> None:
        """Keep ``payload``; the first of two writers wins.

        Raises:
            OutputError: if the store cannot be written.
        """
        path = self.path(kind, key)
        try:
            self._folder_of(path)
            draft = path.with_name(f".draft-{secrets.token_hex(8)}")
            draft.mkdir()
            try:
                _write(draft, kind, key, payload)
                try:
                    draft.rename(path)
                except OSError:
                    if not path.exists():  # else another writer was first
                        raise
            finally:
                shutil.rmtree(draft, ignore_errors=True)
        except OSError as error:
            raise OutputError(
                f"store {self.root} cannot be written ({error.strerror or error}); "
                f"set {ENVIRONMENT} to a folder that can"
            ) from None

    def fetch(
        self, kind: str, key: Mapping[str, Any], compute: Callable[[], Payload]
    ) -> tuple[Payload, bool]:
        """The payload under ``key`` and whether it was there already.

        A second process that wants the same entry waits for the first and reads its result.
        """
        payload = self.get(kind, key)
        if payload is not None:
            self.hits += 1
            return payload, True
        with self.lock(kind, key):
            payload = self.get(kind, key)
            if payload is not None:
                self.hits += 1
                return payload, True
            self.misses += 1
            payload = compute()
            self.put(kind, key, payload)
            return payload, False

    def tensors(
        self, kind: str, key: Mapping[str, Any], compute: Callable[[], dict[str, Tensor]]
    ) -> dict[str, Tensor]:
        """As :meth:`fetch`, for results that are tensors only."""
        return self.fetch(kind, key, lambda: Payload(compute()))[0].tensors

    def _folder_of(self, path: Path) -> Path:
        """The folder that holds the entries of a kind, made where it is missing.

        Who may write to the store may write to it, whatever the umask of the user who makes it.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            path.parent.mkdir()
            path.parent.chmod(stat.S_IMODE(self.root.stat().st_mode))
        return path.parent

    @contextlib.contextmanager
    def lock(self, kind: str, key: Mapping[str, Any]) -> Iterator[None]:
        """Hold the entry's lock, so that two processes do not compute it at once."""
        path = self.path(kind, key)
        try:
            folder = self._folder_of(path)
            mode = stat.S_IMODE(folder.stat().st_mode) & 0o666
            lock = filelock.FileLock(path.with_suffix(".lock"), mode=mode)
            lock.acquire()
        except OSError as error:
            raise OutputError(
                f"store {self.root} cannot be written ({error.strerror or error}); "
                f"set {ENVIRONMENT} to a folder that can"
            ) from None
        try:
            yield
        finally:
            lock.release()

    def entries(self) -> list[Entry]:
        """All entries, by kind and age; damaged ones are listed with what can be read."""
        found = []
        for path in sorted(self.root.glob(f"*/*/{ENTRY}")):
            folder = path.parent
            if folder.name.startswith(".draft-"):
                continue
            size = sum(f.stat().st_size for f in folder.iterdir())
            try:
                label = str(json.loads(path.read_text())["key"].get("component", ""))
            except (ValueError, KeyError, TypeError, AttributeError):
                label = "(damaged)"
            found.append(
                Entry(folder.parent.name, folder.name, size, path.stat().st_mtime, folder, label)
            )
        return sorted(found, key=lambda e: (e.kind, e.created))

    def clean(self, kind: str | None = None) -> tuple[int, int]:
        """Remove all entries (of ``kind``); returns how many, and their bytes."""
        gone = [e for e in self.entries() if kind in (None, e.kind)]
        for entry in gone:
            shutil.rmtree(entry.path, ignore_errors=True)
        for folder in [self.root / kind] if kind else list(self.root.glob("*")):
            for leftover in folder.glob("*.partial"):
                leftover.unlink(missing_ok=True)
            for path in folder.glob("*.lock"):  # but not one that is held right now
                with contextlib.suppress(OSError), filelock.FileLock(path, timeout=0):
                    path.unlink(missing_ok=True)
            for draft in folder.glob(".draft-*"):  # of a process that was killed
                shutil.rmtree(draft, ignore_errors=True)
        return len(gone), sum(e.bytes for e in gone)


def _write(folder: Path, kind: str, key: Mapping[str, Any], payload: Payload) -> None:
    tensors = {name: t.detach().cpu().contiguous() for name, t in payload.tensors.items()}
    blob = safetensors.torch.save(tensors)
    entry = {
        "kind": kind,
        "key": key,
        "sha256": hashlib.sha256(blob).hexdigest(),
        "values": payload.values,
        "values_sha256": _values_digest(payload.values),
        "created": time.time(),
    }
    for name, data in ((TENSORS, blob), (ENTRY, json.dumps(entry, indent=1).encode())):
        with (folder / name).open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())


def _read(folder: Path, kind: str, key: Mapping[str, Any]) -> Payload:
    entry = json.loads((folder / ENTRY).read_text())
    blob = (folder / TENSORS).read_bytes()
    if hashlib.sha256(blob).hexdigest() != entry["sha256"]:
        raise ValueError("checksum of its tensors does not match")
    if _values_digest(entry["values"]) != entry["values_sha256"]:
        raise ValueError("checksum of its values does not match")
    if digest(kind, entry["key"]) != digest(kind, key):
        raise ValueError("it was written for another key")
    return Payload(safetensors.torch.load(blob), entry["values"])


def _values_digest(values: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
