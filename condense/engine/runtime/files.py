"""Writing files and folders whole or not at all, and what they are called by default."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import json
import os
import re
import secrets
import shutil
import stat
import sys
import time
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, BinaryIO

from condense.engine.runtime.locks import locked, locked_folder
from condense.errors import OutputError
from condense.reading import in_one_line, read_regular

TRIES = 5  # at what another process may tidy away in the middle of it
YOUNG = 3600.0  # seconds for which a draft without a lock may be in use
DIGITS = 16  # at the end of a draft's name
ASIDE = "-was"  # after them: what gave way to a draft
LONGEST = 60  # characters of a data set's name in a default path
SEAL = hashlib.sha256().digest_size

Ours = Callable[[BinaryIO], bool]  # whether a file is as we write those of its kind


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


def discard(path: Path) -> None:
    """Remove what lies at ``path``, if it can be: a file, a link (not what it leads to), a folder.

    A folder goes under another name first, so that nobody reads half of it.
    """
    with contextlib.suppress(OSError):
        if path.is_dir() and not path.is_symlink() and not path.name.startswith("."):
            moved = draft_beside(path)
            path.rename(moved)
            path = moved
        erase(path)


def erase(path: Path) -> None:
    """As :func:`discard`, of what nobody reads, as drafts."""
    with contextlib.suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()


def draft_beside(path: Path) -> Path:
    """A hidden name in ``path``'s folder that nothing has.

    What is made under it has the permissions that the umask leaves, unlike :mod:`tempfile`'s.
    """
    return path.absolute().with_name(f".{path.name}-{secrets.token_hex(DIGITS // 2)}")


def sweep(path: Path) -> None:
    """Remove drafts of ``path`` whose writers are gone; in one's :func:`locked_folder`.

    What was moved aside for one that then never came goes back to ``path``.
    """
    of_path = re.compile(rf"\.{re.escape(path.name)}-[0-9a-f]{{{DIGITS}}}({ASIDE})?")
    try:
        names = sorted(os.listdir(path.parent))
    except OSError:  # one may write there, but not look
        return
    for name in names:
        found = of_path.fullmatch(name)
        if found is None:
            continue
        draft = path.with_name(name)
        with contextlib.suppress(OSError):  # gone meanwhile
            if not _in_use(draft):
                if found[1] and not os.path.lexists(path):
                    draft.rename(path)
                else:
                    erase(draft)


def _in_use(draft: Path) -> bool:
    try:
        with locked(draft):
            return False
    except BlockingIOError:
        return True
    except OSError:  # nothing can be locked here
        return time.time() - draft.lstat().st_mtime < YOUNG


def write_file(path: Path, data: bytes, ours: Ours) -> Path:
    """As :func:`write_atomic`, for a file that the user named; its folder is made.

    Raises:
        OutputError: as :func:`check_file`.
    """
    place = check_file(path, ours)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with locked_folder(place.parent):
            sweep(place)
            write_atomic(place, data)
    except OSError as error:
        raise not_written(path, error) from None
    return path


def not_written(path: Path, error: Exception) -> OutputError:
    """What ``error`` says, as a user who gave ``path`` is told."""
    return OutputError(
        f"{path} cannot be written: {in_one_line(error)}; choose another place (`out`)"
    )


def check_ending(path: Path, *endings: str) -> None:
    """That ``path`` ends in one of ``endings``, in letters of any case.

    Raises:
        OutputError: if it does not.
    """
    if path.suffix.lower() not in endings:
        raise OutputError(f"{path} must end in {' or '.join(endings)}; choose such a name (`out`)")


def private_folder(place: Path) -> Path:
    """``place``, made where it is missing, which nobody else can read or write.

    Raises:
        OutputError: if it cannot be made, or is somebody else's, who might have laid it out where
            everybody may write.
    """
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = place.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
            raise PermissionError("it is not a folder of yours; move it away")
        place.chmod(0o700)
    except OSError as error:
        raise OutputError(f"{place} cannot be kept private: {in_one_line(error)}") from None
    return place


def check_file(target: Path, ours: Ours) -> Path:
    """The place of the file ``target``, if it can be written, before any work is done for it.

    Raises:
        OutputError: as :func:`check_writable`, or if something else lies there; an empty file is
            anybody's.
    """
    place = check_writable(target)
    if place.is_dir():
        raise OutputError(f"{target} exists and is a folder; choose a file name (`out`)")
    if place.exists() and not place.is_file():
        raise OutputError(f"{target} exists and is no file; choose a file name (`out`)")
    try:
        foreign = place.exists() and place.stat().st_size > 0 and not _is_ours(place, ours)
    except OSError as error:
        raise not_written(target, error) from None
    if foreign:
        raise OutputError(
            f"{target} exists and is no {place.suffix} file that condense wrote; choose another "
            "name (`out`)"
        )
    return place


def _is_ours(place: Path, ours: Ours) -> bool:
    with place.open("rb") as file:
        return ours(file)


def csv_lines(rows: Iterable[Iterable[Any]], separator: str = ",") -> str:
    """``rows`` as CSV, each ending in a line feed; cells with any break of a line are quoted."""
    out, lines = io.StringIO(), []
    # Python 3.11's quotes no other breaks than those that its own terminator has
    writer = csv.writer(out, delimiter=separator, lineterminator="\r\n")
    for row in rows:
        writer.writerow(row)
        lines.append(out.getvalue().removesuffix("\r\n") + "\n")
        out.seek(0)
        out.truncate()
    return "".join(lines)


def npz_with(*keys: str) -> Ours:
    """Whether a file is an npz that has ``keys``."""

    def has_them(file: BinaryIO) -> bool:
        try:
            with zipfile.ZipFile(file) as archive:
                return {f"{key}.npy" for key in keys} <= set(archive.namelist())
        except (zipfile.BadZipFile, ValueError):
            return False

    return has_them


def check_writable(target: Path) -> Path:
    """The place that ``target``, a file or folder, leads to, if one can write there.

    Raises:
        OutputError: naming the path and what stands in the way.
    """
    try:
        _check_user(target)
        for path in (target.absolute(), *target.absolute().parents):
            if path.is_symlink() and not path.exists():
                raise ValueError(f"{path} is a link that leads nowhere")
        place = Path(os.path.realpath(target))
        parent = place.parent
        while not parent.exists():
            parent = parent.parent
        if not parent.is_dir() or not os.access(parent, os.W_OK):
            raise ValueError(f"{parent} is not a writable folder")
        _check_names(parent, place)
    except (OSError, ValueError) as error:
        raise not_written(target, error) from None
    return place


def _check_user(target: Path) -> None:
    try:
        target.expanduser()
    except RuntimeError:
        raise ValueError(f"there is no user {target.parts[0]}") from None


def _check_names(parent: Path, place: Path) -> None:
    """That every name on the way from ``parent`` to a draft of ``place`` is short enough."""
    if not place.name:
        raise ValueError("it is the root of a file system")
    longest = 255 if sys.platform == "win32" else os.pathconf(parent, "PC_NAME_MAX")
    names = [os.fsencode(name) for name in place.relative_to(parent).parts]
    more = len(os.fsencode(draft_beside(place).name + ASIDE)) - len(names[-1])
    for name, room in zip(names, (*[longest] * (len(names) - 1), longest - more), strict=True):
        if len(name) > room:
            raise ValueError(f"a name of {len(name)} bytes is too long, {room} are allowed there")


def default_path(what: str, data: str, parts: Any, middle: str = "") -> Path:
    """``runs/WHAT-DATA-HASH``, or ``runs/WHAT-DATA-MIDDLE-HASH``.

    Args:
        what: the command or method.
        data: name of the data, of which the start is used; what a file name should not hold
            becomes a dash.
        parts: JSON-ready, everything the content depends on; eight digits of its SHA-256 are used.
        middle: further words.
    """
    short = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:8]
    safe = re.sub(r"[^\w.]+", "-", data)[:LONGEST].strip("-") or "data"
    return Path("runs") / "-".join(part for part in (what, safe, middle, short) if part)
