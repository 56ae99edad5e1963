"""The content-addressed store: each stage's result under the hash of all it depends on.

An entry is a folder ``ROOT/KIND/HASH/`` with ``tensors.safetensors`` and ``entry.json`` (the full
key, a checksum, JSON values). It appears by one rename, so a reader sees all of it or nothing; a
damaged one, or one that is not what its stage expects, is recomputed with one warning line. Nothing
is ever unpickled. What else lies in the store: :mod:`condense.engine.runtime.housekeeping`.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import stat
import struct
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import filelock
import safetensors.torch
from pydantic import BaseModel, ConfigDict, Field
from safetensors import SafetensorError
from torch import Tensor

from condense.engine.runtime import housekeeping
from condense.engine.runtime.claims import CLAIM, claimed, sweep
from condense.engine.runtime.exhaustion import is_out_of_memory
from condense.engine.runtime.expected import Expected, check_tensors
from condense.engine.runtime.files import TRIES, discard, draft_beside, write_synced
from condense.engine.runtime.housekeeping import (
    ENTRY,
    MAX_ENTRY,
    TENSORS,
    Cleaned,
    StoredEntry,
    digest,
)
from condense.engine.runtime.ledger import Ledger, Work
from condense.engine.runtime.progress import SilentProgress
from condense.errors import OptionError, OutputError
from condense.interfaces import Progress
from condense.reading import in_one_line, read_regular

ENVIRONMENT = "CONDENSE_STORE"
# what reading an entry can come to that is not as it was written; RuntimeError: by torch
_DAMAGE = (OSError, ValueError, KeyError, TypeError, SafetensorError, RuntimeError)
# a file that is missing or is none; of other errors of the system the entry may be sound
_NO_FILE = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP)


@dataclass(frozen=True, eq=False)
class Payload:
    """What an entry holds: tensors by name, and JSON-ready values by name.

    ``seconds`` are what it takes to work out from nothing, None where that is not known.
    """

    tensors: dict[str, Tensor] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    seconds: float | None = None


Check = Callable[[Payload], object]


def _accept(payload: Payload) -> None:
    """Whatever it is."""


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
        self.ledger = Ledger()  # what all of them take from nothing
        self._tidied: set[str] = set()  # kinds whose folder it has looked after

    @staticmethod
    def default(progress: Progress | None = None) -> Store:
        """$CONDENSE_STORE, else $XDG_CACHE_HOME/condense, else ~/.cache/condense.

        Raises:
            OptionError: for ``~NAME`` where there is no user NAME.
        """
        named = os.environ.get(ENVIRONMENT)
        cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
        place = Path(named or f"{cache}/condense")
        try:
            return Store(place.expanduser(), progress)
        except RuntimeError:
            raise OptionError(
                f"store {place} is in the home folder of a user that does not exist; set "
                f"{ENVIRONMENT} to a folder"
            ) from None

    def path(self, kind: str, key: Mapping[str, Any]) -> Path:
        """Where the entry lies, or would lie."""
        return self.root / kind / digest(kind, key)

    def has(self, kind: str, key: Mapping[str, Any]) -> bool:
        """Whether an entry is there (not whether it is intact)."""
        return (self.path(kind, key) / ENTRY).is_file()

    def free_disk(self) -> tuple[str, int]:
        """The store's folder, or the one above it that is there, and the bytes free in it."""
        place = next(p for p in (self.root, *self.root.parents) if p.exists())
        return str(place), shutil.disk_usage(place).free

    def get(self, kind: str, key: Mapping[str, Any], check: Check = _accept) -> Payload | None:
        """The entry's payload; None if it is absent, cannot be read, or is damaged.

        One that was read and proved wrong is removed, and no other.

        Args:
            kind: folder in the store.
            key: of the entry.
            check: raises ValueError for a payload that is not what it must be.

        Raises:
            MemoryError, RuntimeError: if memory runs out.
        """
        path = self.path(kind, key)
        if not os.path.lexists(path):
            return None
        try:
            payload = _read(path, kind, key)
            check(payload)
            # of one that was killed in the moment between storing it and letting go
            sweep(path.parent, f"{path.name}{CLAIM}")
            return payload
        except _DAMAGE as error:
            if is_out_of_memory(error):
                raise
            if os.path.lexists(path):  # else another process cleaned it meanwhile
                self._refuse(path, error)
        return None

    def _refuse(self, path: Path, error: Exception) -> None:
        why = f"{error} is missing" if isinstance(error, KeyError) else in_one_line(error)
        # as of another user, who shares nothing, or of a disk or server that fails
        if isinstance(error, OSError) and error.errno not in _NO_FILE:
            self.progress.note(
                f"warning: cache entry {path} cannot be read ({why}); computing it anew"
            )
            return
        self.progress.note(f"warning: cache entry {path} is damaged ({why}); recomputing it")
        discard(path)

    def put(self, kind: str, key: Mapping[str, Any], payload: Payload) -> None:
        """Keep ``payload``; the first of two writers wins.

        Raises:
            OutputError: if the store cannot be written.
        """
        with self.lock(kind, key):
            self._put(kind, key, payload)

    def _put(self, kind: str, key: Mapping[str, Any], payload: Payload) -> None:
        """As :meth:`put`, under the entry's lock, by which others see that the draft is in use."""
        path = self.path(kind, key)
        with self._writing():
            for left in reversed(range(TRIES)):
                self._folder_of(kind)
                draft = draft_beside(path)
                try:
                    draft.mkdir()
                    _write(draft, kind, key, payload)
                    draft.rename(path)
                    return
                except FileNotFoundError:  # tidied away by someone: once more
                    if not left:
                        raise
                except OSError:
                    if not os.path.lexists(path):
                        raise
                    if path.is_dir() and not path.is_symlink():  # another writer was first
                        return
                    discard(path)
                finally:
                    shutil.rmtree(draft, ignore_errors=True)

    def fetch(
        self,
        kind: str,
        key: Mapping[str, Any],
        compute: Callable[[], Payload],
        check: Check = _accept,
    ) -> tuple[Payload, bool]:
        """The payload under ``key`` and whether it was there already; ``check`` as for :meth:`get`.

        A second process that wants the same entry waits for the first and reads its result.
        """
        with self.ledger.work(digest(kind, key)) as work:
            payload = self._got(work, kind, key, check)
            if payload is not None:
                return payload, True
            with self.lock(kind, key):
                payload = self._got(work, kind, key, check)
                if payload is not None:
                    return payload, True
                self.misses += 1
                start = time.perf_counter()
                payload = compute()
                work.add(time.perf_counter() - start - work.clock)
                self._put(kind, key, replace(payload, seconds=work.seconds))
                return payload, False

    def _got(self, work: Work, kind: str, key: Mapping[str, Any], check: Check) -> Payload | None:
        payload = self.get(kind, key, check)
        if payload is not None:
            self.hits += 1
            work.add(payload.seconds)
        return payload

    def tensors(
        self,
        kind: str,
        key: Mapping[str, Any],
        compute: Callable[[], dict[str, Tensor]],
        expected: Mapping[str, Expected] | None = None,
    ) -> dict[str, Tensor]:
        """As :meth:`fetch`, for results that are tensors only, those ``expected`` if given."""

        def check(payload: Payload) -> None:
            if expected is not None:
                check_tensors(payload.tensors, expected)

        return self.fetch(kind, key, lambda: Payload(compute()), check)[0].tensors

    def packed(self, kind: str, key: Mapping[str, Any]) -> bytes:
        """The entry as bytes, for another store's :meth:`unpack`.

        Raises:
            OSError, ValueError: if it is not there, or cannot be read.
        """
        path = self.path(kind, key)
        entry = read_regular(path / ENTRY, MAX_ENTRY)
        return struct.pack("<Q", len(entry)) + entry + read_regular(path / TENSORS)

    def unpack(self, packed: bytes) -> None:
        """Keep the entry that another store packed, if it is not there.

        Raises:
            ValueError: for bytes that are no sound entry.
            OutputError: if the store cannot be written.
        """
        (length,) = struct.unpack_from("<Q", packed)
        entry, payload = _parse(packed[8 : 8 + length], packed[8 + length :])
        if not self.has(entry.kind, entry.key):
            self.put(entry.kind, entry.key, payload)

    def _folder_of(self, kind: str) -> Path:
        """The folder that holds the entries of a kind, made where it is missing.

        Who may write to the store may write to it, whatever the umask of the user who makes it.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        folder = self.root / kind
        with contextlib.suppress(FileExistsError):
            folder.mkdir()
            folder.chmod(stat.S_IMODE(self.root.stat().st_mode))
        if kind not in self._tidied:
            self._tidied.add(kind)
            housekeeping.register(self.root, kind)
            housekeeping.tidy(folder)
        return folder

    @contextlib.contextmanager
    def lock(self, kind: str, key: Mapping[str, Any]) -> Iterator[None]:
        """Hold the entry, so that two processes do not compute it at once, nor two machines."""
        with contextlib.ExitStack() as held:
            with self._writing():
                folder = self._folder_of(kind)
                mode = stat.S_IMODE(folder.stat().st_mode) & 0o666
                path = self.path(kind, key)
                held.enter_context(filelock.FileLock(path.with_suffix(".lock"), mode=mode))
                held.enter_context(claimed(path.with_suffix(CLAIM)))
            yield

    def kinds(self) -> list[str]:
        """Those that the store has, sorted; of an older store its marker is written."""
        kinds = housekeeping.kinds_in(self.root)
        if kinds:
            housekeeping.register(self.root, *kinds)
        return kinds

    def entries(self) -> list[StoredEntry]:
        """All entries, by kind and age; damaged ones are listed with what can be read."""
        return [e for kind in self.kinds() for e in housekeeping.entries_in(self.root, kind)]

    def leftovers(self) -> dict[str, int]:
        """How many files and folders of unfinished runs there are, by kind."""
        return {kind: housekeeping.leftovers_in(self.root, kind) for kind in self.kinds()}

    def clean(self, kind: str | None = None) -> Cleaned:
        """Remove all (of ``kind``) but what living processes work on."""
        return housekeeping.clean(self.root, [k for k in self.kinds() if kind in (None, k)])

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise OutputError(
                f"store {self.root} cannot be written ({in_one_line(error)}); "
                f"set {ENVIRONMENT} to a folder that can"
            ) from None


class _EntryFile(BaseModel):
    """``entry.json``."""

    model_config = ConfigDict(strict=True)

    kind: str
    key: dict[str, Any]
    sha256: str
    values: dict[str, Any]
    values_sha256: str
    seconds: float | None = Field(None, ge=0, allow_inf_nan=False)  # of older entries not known


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
        "seconds": payload.seconds,
    }
    write_synced(folder / TENSORS, blob)
    write_synced(folder / ENTRY, json.dumps(entry, indent=1).encode())


def _read(folder: Path, kind: str, key: Mapping[str, Any]) -> Payload:
    text = read_regular(folder / ENTRY, MAX_ENTRY)
    entry, payload = _parse(text, read_regular(folder / TENSORS))
    if digest(kind, entry.key) != digest(kind, key):
        raise ValueError("it was written for another key")
    return payload


def _parse(text: bytes, blob: bytes) -> tuple[_EntryFile, Payload]:
    """What the two files of an entry hold.

    Raises:
        ValueError: for one that is damaged.
    """
    entry = _EntryFile.model_validate_json(text)
    if hashlib.sha256(blob).hexdigest() != entry.sha256:
        raise ValueError("checksum of its tensors does not match")
    if _values_digest(entry.values) != entry.values_sha256:
        raise ValueError("checksum of its values does not match")
    return entry, Payload(safetensors.torch.load(blob), entry.values, entry.seconds)


def _values_digest(values: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
