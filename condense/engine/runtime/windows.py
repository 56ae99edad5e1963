"""Memory figures from Windows, which has neither ``resource`` nor ``/proc``."""

from __future__ import annotations

import ctypes
from typing import Any

_SIZE, _U32, _U64 = ctypes.c_size_t, ctypes.c_uint32, ctypes.c_uint64


class _MemoryStatus(ctypes.Structure):
    """MEMORYSTATUSEX of sysinfoapi.h, up to the fields that are read."""

    _fields_ = (
        ("length", _U32),
        ("load", _U32),
        ("total_physical", _U64),
        ("available_physical", _U64),
        ("rest", _U64 * 5),
    )


class _ProcessMemory(ctypes.Structure):
    """PROCESS_MEMORY_COUNTERS of psapi.h, up to the fields that are read."""

    _fields_ = (
        ("length", _U32),
        ("page_faults", _U32),
        ("peak_working_set", _SIZE),
        ("rest", _SIZE * 7),
    )


def _kernel() -> Any:
    return ctypes.windll.kernel32  # type: ignore[attr-defined]


def memory_status() -> tuple[int, int]:
    """Bytes of physical memory (in all, available now)."""
    status = _MemoryStatus(length=ctypes.sizeof(_MemoryStatus))
    _kernel().GlobalMemoryStatusEx(ctypes.byref(status))
    return status.total_physical, status.available_physical


def peak_bytes() -> int:
    """Highest working set of this process so far."""
    kernel = _kernel()
    kernel.GetCurrentProcess.restype = ctypes.c_void_p  # a handle is as wide as a pointer
    counters = _ProcessMemory(length=ctypes.sizeof(_ProcessMemory))
    handle = ctypes.c_void_p(kernel.GetCurrentProcess())
    kernel.K32GetProcessMemoryInfo(handle, ctypes.byref(counters), counters.length)
    return int(counters.peak_working_set)
