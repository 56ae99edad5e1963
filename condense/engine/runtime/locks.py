"""Locks on files and folders themselves: even of a killed process nothing is left behind."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

if sys.platform != "win32":
    import fcntl


@contextlib.contextmanager
def locked(path: Path, wait: bool = False) -> Iterator[None]:
    """Inside, the lock of the file or folder at ``path`` is this caller's alone.

    Raises:
        BlockingIOError: if another has it and ``wait`` is false.
        OSError: if there is nothing at ``path``, or nothing that can be locked.
    """
    if sys.platform == "win32":
        raise OSError("folders have no locks here")
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield
    finally:
        os.close(handle)


def silent(*told: object) -> None:
    """Nobody is told."""


@contextlib.contextmanager
def locked_folder(folder: Path, tell: Callable[[], object] = silent) -> Iterator[None]:
    """Inside, nobody else is inside for the same ``folder``.

    Where nothing can be locked (Windows, some network file systems), nobody waits.

    Args:
        folder: that is there.
        tell: called before another process is waited for.
    """
    with contextlib.ExitStack() as held:
        with contextlib.suppress(OSError):
            try:
                held.enter_context(locked(folder))
            except BlockingIOError:
                tell()
                held.enter_context(locked(folder, wait=True))
        yield
