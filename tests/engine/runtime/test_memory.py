"""Main memory of this machine, of a container (its files stood in for), and of Windows."""

import ctypes
import sys

import pytest

from condense.engine.runtime import memory, windows

MIB = 2**20


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """1000 MiB, of which 600 are free; a function that writes the files of a control group."""
    monkeypatch.setattr(memory, "PROC", tmp_path / "proc")
    monkeypatch.setattr(memory, "CGROUPS", tmp_path / "cgroup")
    pages = {"SC_PHYS_PAGES": 1000, "SC_PAGE_SIZE": MIB}
    monkeypatch.setattr(memory.os, "sysconf", pages.__getitem__)

    def write(name, text):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)

    write("proc/meminfo", f"MemTotal: {1000 * 1024} kB\nMemAvailable: {600 * 1024} kB\n")
    return write


def mib(call):
    return call() / MIB


def group(write, folder, limit, used, inactive=0, active=0):
    """Files of a cgroup v2, in MiB; limit None is "max"."""
    write(f"cgroup/{folder}/memory.max", "max\n" if limit is None else f"{limit * MIB}\n")
    write(f"cgroup/{folder}/memory.current", f"{used * MIB}\n")
    stat = f"anon 1\nfile 5\ninactive_file {inactive * MIB}\nactive_file {active * MIB}\n"
    write(f"cgroup/{folder}/memory.stat", stat)


def test_without_a_container_it_is_the_machines(machine):
    assert (mib(memory.machine_memory), mib(memory.available_memory)) == (1000, 600)
    machine("proc/self/cgroup", "0::/\n")  # the root group, without a limit's file
    assert (mib(memory.machine_memory), mib(memory.available_memory)) == (1000, 600)


def test_a_containers_limit_less_what_it_uses(machine):
    machine("proc/self/cgroup", "0::/\n")
    group(machine, ".", 500, 300)
    assert (mib(memory.machine_memory), mib(memory.available_memory)) == (500, 200)
    group(machine, ".", 500, 300, inactive=80, active=20)  # cached files are given up when asked
    assert mib(memory.available_memory) == 300
    group(machine, ".", 500, 501)
    assert mib(memory.available_memory) == 0
    group(machine, ".", 900, 100)  # the machine itself has less
    assert (mib(memory.machine_memory), mib(memory.available_memory)) == (900, 600)
    group(machine, ".", None, 300)
    assert (mib(memory.machine_memory), mib(memory.available_memory)) == (1000, 600)


def test_the_narrowest_of_the_groups_around_counts(machine):
    machine("proc/self/cgroup", "1:name=systemd:/x\n0::/user.slice/job\n")
    group(machine, "user.slice/job", 700, 100)
    group(machine, "user.slice", 400, 350)
    group(machine, "user.slice/other", 10, 5)
    assert (mib(memory.machine_memory), mib(memory.available_memory)) == (400, 50)


def test_version_one(machine):
    machine("proc/self/cgroup", "5:cpu,cpuacct:/job\n4:memory:/job\n0::/\n")
    machine("cgroup/memory/job/memory.limit_in_bytes", f"{500 * MIB}\n")
    machine("cgroup/memory/job/memory.usage_in_bytes", f"{450 * MIB}\n")
    stat = f"inactive_file {MIB}\ntotal_inactive_file {60 * MIB}\ntotal_active_file {40 * MIB}\n"
    machine("cgroup/memory/job/memory.stat", stat)
    machine("cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n")  # no limit
    machine("cgroup/memory/memory.usage_in_bytes", f"{460 * MIB}\n")
    machine("cgroup/memory/memory.stat", stat)
    assert (mib(memory.machine_memory), mib(memory.available_memory)) == (500, 150)


def test_what_is_free_now_does_not_change_what_the_machine_has(machine):
    """Equal runs take the same form of the gradient by it, which decides about the last bits."""
    machine("proc/self/cgroup", "0::/\n")
    for used in (1, 400):
        group(machine, ".", 500, used)
        machine("proc/meminfo", f"MemAvailable: {used} kB\n")
        assert mib(memory.machine_memory) == 500


def test_figures_of_this_machine():
    assert 2**26 < memory.available_memory() <= memory.machine_memory() < 2**50
    before = memory.peak_memory_mb()
    block = bytearray(b"x" * (64 * MIB))
    assert memory.peak_memory_mb() >= max(before, len(block) / MIB)


class _Kernel:
    """What kernel32 would fill in, by the offsets that its documentation gives (64 bit)."""

    class GetCurrentProcess:
        def __new__(cls):
            return 2**64 - 1

    @staticmethod
    def GlobalMemoryStatusEx(pointer):
        block = pointer._obj
        assert ctypes.sizeof(block) == block.length == 64
        ctypes.c_uint64.from_buffer(block, 8).value = 16 * 2**30
        ctypes.c_uint64.from_buffer(block, 16).value = 3 * 2**30

    @staticmethod
    def K32GetProcessMemoryInfo(handle, pointer, size):
        assert handle.value == 2**64 - 1
        assert ctypes.sizeof(pointer._obj) == size == 72
        ctypes.c_size_t.from_buffer(pointer._obj, 8).value = 123 * MIB


def test_windows_is_asked_through_its_own_functions(monkeypatch):
    monkeypatch.setattr(windows, "_kernel", lambda: _Kernel)
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setitem(sys.modules, "resource", None)  # importing it would be an error
    monkeypatch.delattr(memory.os, "sysconf")
    assert memory.machine_memory() == 16 * 2**30
    assert memory.available_memory() == 3 * 2**30
    assert memory.peak_memory_mb() == 123
