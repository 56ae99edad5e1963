"""Who works an entry out, on whichever machine: a file beside it that its holder keeps alive.

File locks keep the processes of one machine apart, and let go the moment a process dies. Across
machines they are not to be relied on, and nobody there sees that a process has died. So its holder
also writes down who it is, and touches that file every :data:`BEAT` seconds. One that has been
silent for :data:`SILENT` seconds is taken over.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

CLAIM = ".claim"  # how its name ends
BEAT = 5.0
SILENT = 30.0
LOOK = 0.5  # seconds between two looks at another machine's claim
NODE = socket.gethostname()


@contextlib.contextmanager
def claimed(path: Path) -> Iterator[None]:
    """Hold ``path``, of which this machine's file lock is held already.

    Waits for another machine that holds it.

    Raises:
        OSError: if it cannot be written.
    """
    token = secrets.token_hex(8)
    draft = path.with_name(f".{path.stem}-{token}")
    draft.write_text(json.dumps({"node": NODE, "pid": os.getpid(), "token": token}))
    try:
        while not _linked(draft, path):
            _wait(path)
    finally:
        draft.unlink()
    stop = threading.Event()
    beating = threading.Thread(target=_beat, args=(path, token, stop), daemon=True)
    beating.start()
    try:
        yield
    finally:
        stop.set()
        beating.join()
        with contextlib.suppress(OSError, ValueError):
            if _holder(path).get("token") == token:  # else it was taken over
                path.unlink()


def held_elsewhere(path: Path) -> bool:
    """Whether another machine holds ``path`` and was heard of lately, as far as can be read."""
    try:
        heard = path.stat().st_mtime_ns
    except FileNotFoundError:
        return False
    except OSError:  # to remove what somebody works on would be worse
        return True
    if _holder(path).get("node") == NODE:
        return False
    return now_in(path.parent) - heard < SILENT * 1e9


def sweep(folder: Path, pattern: str) -> None:
    """Remove the claims of that name whose holders are gone: dead here, or silent elsewhere."""
    for path in folder.glob(pattern):
        holder = _holder(path)
        here, pid = holder.get("node") == NODE, holder.get("pid")
        if not held_elsewhere(path) and not (here and isinstance(pid, int) and _is_alive(pid)):
            with contextlib.suppress(OSError):  # gone meanwhile, or not ours to remove
                path.unlink()


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # another user's
        return True
    return True


def _linked(draft: Path, path: Path) -> bool:
    """Whether ``path`` is now what ``draft`` is; of two that try at once, one is."""
    try:
        os.link(draft, path)
    except FileExistsError:
        return False
    return True


def _wait(path: Path) -> None:
    """Until ``path`` is free, or was taken from who is not there any more."""
    heard, since = _beat_of(path), time.monotonic()
    # of this machine nobody can be alive, as its file lock is ours
    while heard is not None and _holder(path).get("node") != NODE:
        if time.monotonic() - since >= SILENT:
            break
        time.sleep(LOOK)
        now = _beat_of(path)
        if now != heard:
            heard, since = now, time.monotonic()
    if heard is not None:
        _take_away(path, heard)


def _take_away(path: Path, heard: int) -> None:
    """Remove the claim last touched at ``heard``; by a rename, as several may be at it."""
    gone = path.with_name(f".{path.stem}-{secrets.token_hex(8)}")
    with contextlib.suppress(OSError):
        path.rename(gone)
        if _beat_of(gone) != heard:  # another waiter was first, and this is its own
            _linked(gone, path)
        gone.unlink()


def _beat_of(path: Path) -> int | None:
    """When it was last touched, by the clock of :func:`now_in`; None if it is not there."""
    with contextlib.suppress(OSError):
        return path.stat().st_mtime_ns
    return None


def now_in(folder: Path) -> int:
    """Nanoseconds by the clock that stamps the files of ``folder``: on NFS that of the server.

    By this machine's where nothing can be written there, nor removed.
    """
    with contextlib.suppress(OSError), tempfile.TemporaryFile(dir=folder, prefix=".") as touched:
        return os.fstat(touched.fileno()).st_mtime_ns
    return time.time_ns()


def _holder(path: Path) -> dict[str, object]:
    with contextlib.suppress(OSError, ValueError):
        found = json.loads(path.read_text())
        if isinstance(found, dict):
            return found
    return {}


def _beat(path: Path, token: str, stop: threading.Event) -> None:
    """Touch ``path`` until told to stop, or until it is another's."""
    while not stop.wait(BEAT):
        found = _holder(path)
        if found and found.get("token") != token:  # nothing is found where it cannot be read
            return
        with contextlib.suppress(OSError):
            os.utime(path)
