"""Writing files and folders whole or not at all, and what they are called by default."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import secrets
import shutil
import stat
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from condense.errors import OutputError
from condense.reading import damage

TRIES = 5  # at what another process may tidy away in the middle of it
SEAL = hashlib.sha256().digest_size


def write_atomic(path: Path, data: bytes) -> None:
    """Write ``data`` so that ``path`` holds all of it or what it held before."""
    draft = draft_beside(path)
    try:
        write_synced(draft, data)
        os.replace(draft, path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def write_synced(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path``, which is not there yet, down to the disk."""
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def write_sealed(path: Path, data: bytes) -> None:
    """As :func:`write_atomic`, with a checksum at the end; its folder is made."""
    for left in reversed(range(TRIES)):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            write_atomic(path, data + hashlib.sha256(data).digest())
            break
        except FileNotFoundError:  # tidied away by someone: once more
            if not left:
                raise


def read_sealed(path: Path) -> bytes:
    """What :func:`write_sealed` was given.

    Raises:
        OSError: if it cannot be read; FileNotFoundError if there is nothing, not even a link.
        ValueError: if it is not as it was written.
    """
    stored = read_regular(path)
    data, seal = stored[:-SEAL], stored[-SEAL:]
    if hashlib.sha256(data).digest() != seal:
        raise ValueError("its checksum does not match")
    return data


def read_regular(path: Path, limit: int | None = None) -> bytes:
    """The bytes of a file; what is no file, as a pipe, is not waited for.

    Raises:
        OSError: if it cannot be read.
        ValueError: if it is none, or larger than ``limit`` bytes.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise ValueError(f"{path.name} is not a file")
    if limit is not None and status.st_size > limit:
        raise ValueError(f"{path.name} has {status.st_size} bytes, expected {limit} at most")
    return path.read_bytes()


def in_one_line(error: Exception) -> str:
    """What an error says, of a document only the first that is wrong with it."""
    if isinstance(error, ValidationError):
        return damage(error)
    if isinstance(error, OSError):
        return (error.strerror or str(error)).lower()
    return " ".join(str(error).split())


def discard(path: Path) -> None:
    """Remove what lies at ``path``, if it can be: a file, a link (not what it leads to), a folder.

    A folder goes under another name first, so that nobody reads half of it.
    """
    with contextlib.suppress(OSError):
        if path.is_symlink() or not path.is_dir():
            path.unlink()
            return
        moved = draft_beside(path)
        path.rename(moved)
        shutil.rmtree(moved, ignore_errors=True)


def draft_beside(path: Path) -> Path:
    """A hidden name in ``path``'s folder that nothing has.

    What is made under it has the permissions that the umask leaves, unlike :mod:`tempfile`'s.
    """
    return path.absolute().with_name(f".{path.name}-{secrets.token_hex(8)}")


def write_file(path: Path, data: bytes) -> Path:
    """As :func:`write_atomic`, for a file that the user named; its folder is made.

    Raises:
        OutputError: naming the path and what stands in the way.
    """
    check_writable(path)
    try:
        path.absolute().parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, data)
    except OSError as error:
        raise _not_written(path, error) from None
    return path


def _not_written(path: Path, error: OSError) -> OutputError:
    reason = (error.strerror or str(error)).lower()
    return OutputError(f"{path} cannot be written: {reason}; choose another place (`out`)")


def check_writable(target: Path, owned: Sequence[str] = ()) -> None:
    """That ``target`` can be written, before any work is done for it.

    Args:
        target: a file, or a folder where ``owned`` is given.
        owned: patterns of what an existing folder may hold to be replaced, its marker first.

    Raises:
        OutputError: naming the path and what stands in the way.
    """
    parent = target.absolute().parent
    while not parent.exists():
        parent = parent.parent
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise OutputError(
            f"{target} cannot be written: {parent} is not a writable folder; choose another place "
            "(`out`)"
        )
    if not target.exists():
        return
    if not owned:
        if target.is_dir():
            raise OutputError(f"{target} exists and is a folder; choose a file name (`out`)")
        return
    if not target.is_dir():
        raise OutputError(f"{target} exists and is a file; choose another place (`out`)")
    if not os.access(target, os.W_OK):
        raise OutputError(f"{target} cannot be written; choose another place (`out`)")
    foreign = _foreign_file(target, owned)
    if foreign is not None:
        raise OutputError(
            f"{target} exists and holds other files ({foreign}); choose a new or empty folder "
            "(`out`)"
        )


def _foreign_file(folder: Path, owned: Sequence[str]) -> str | None:
    """A file in ``folder`` that none of ``owned`` matches, or any where the marker is missing."""
    ours = (folder / owned[0]).is_file()
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if not path.is_dir() and not (ours and any(fnmatchcase(name, o) for o in owned)):
            return name
    return None


def replace_folder(target: Path, fill: Callable[[Path], None], owned: Sequence[str]) -> Path:
    """``target`` filled by ``fill`` in a draft beside it, then put in place by rename.

    Args:
        owned: patterns of what an existing folder may hold to be replaced, its marker first.

    Raises:
        OutputError: if it cannot be written or holds something else.
    """
    check_writable(target, owned)
    draft, old = draft_beside(target), draft_beside(target)
    try:
        draft.mkdir(parents=True)
        try:
            fill(draft)
            if target.exists():
                target.rename(old)
            draft.rename(target)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise _not_written(target, error) from None
    return target


def default_path(what: str, data: str, parts: Any, middle: str = "") -> Path:
    """``runs/WHAT-DATA-HASH``, or ``runs/WHAT-DATA-MIDDLE-HASH``.

    Args:
        what: the command or method.
        data: name of the data; what a file name should not hold becomes a dash.
        parts: JSON-ready, everything the content depends on; eight digits of its SHA-256 are used.
        middle: further words.
    """
    short = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:8]
    safe = re.sub(r"[^\w.]+", "-", data).strip("-") or "data"
    return Path("runs") / "-".join(part for part in (what, safe, middle, short) if part)
