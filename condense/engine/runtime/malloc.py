"""Freed memory kept for the next step, instead of given back to the system and fetched again.

glibc maps every block of more than 32 MiB afresh and unmaps it when it is freed. A training step
on a CPU frees and takes the same activations over and over, and each time the kernel clears every
page of them: nearly half the time of a CIFAR-sized step (docs/speed.md). Inside
:func:`retain_freed_memory` such blocks come from the heap; afterwards what is free goes back.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import platform
import threading
from collections.abc import Iterator

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_MMAP_MAX = -1, -3, -4  # of mallopt(3)
NEVER = 2**31 - 1
MAPS = 65536  # glibc's default of M_MMAP_MAX
LARGE = 32 * 2**20  # where glibc's own moving threshold ends; setting any stops it moving

_lock = threading.Lock()
_depth = 0


@functools.cache
def _glibc() -> ctypes.CDLL | None:
    if platform.libc_ver()[0] != "glibc":
        return None
    try:
        library = ctypes.CDLL(None)
        return library if hasattr(library, "malloc_trim") else None
    except OSError:
        return None


@contextlib.contextmanager
def retain_freed_memory() -> Iterator[None]:
    """Keep freed memory in the process while inside; may be nested. Does nothing without glibc."""
    global _depth
    library = _glibc()
    if library is None:
        yield
        return
    with _lock:
        _depth += 1
        if _depth == 1:
            library.mallopt(M_MMAP_MAX, 0)
            library.mallopt(M_TRIM_THRESHOLD, NEVER)
    try:
        yield
    finally:
        with _lock:
            _depth -= 1
            if _depth == 0:
                library.mallopt(M_MMAP_MAX, MAPS)
                library.mallopt(M_MMAP_THRESHOLD, LARGE)
                library.mallopt(M_TRIM_THRESHOLD, 2 * LARGE)
                library.malloc_trim(0)
