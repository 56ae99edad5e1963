"""An entry is worked out on one machine at a time; one that is silent is taken over."""

import errno
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import processes
import pytest

from condense.engine.runtime import claims
from condense.engine.runtime.claims import claimed, held_elsewhere
from condense.engine.runtime.store import Payload, Store

ELSEWHERE = {"node": "another-machine", "pid": 1, "token": "theirs"}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """A second of silence stands for thirty."""
    for name, value in (("BEAT", 0.1), ("SILENT", 0.6), ("LOOK", 0.05)):
        monkeypatch.setattr(claims, name, value)


@pytest.fixture
def path(tmp_path):
    return tmp_path / f"{'a' * 32}.claim"


def left(path):
    return sorted(p.name for p in path.parent.iterdir())


def test_its_holder_is_named_and_it_is_gone_afterwards(path):
    with claimed(path):
        held = json.loads(path.read_text())
        assert (held["node"], held["pid"]) == (claims.NODE, os.getpid())
        assert not held_elsewhere(path)
    assert left(path) == []


def test_it_is_kept_alive(path):
    with claimed(path):
        first = path.stat().st_mtime_ns
        time.sleep(0.35)
        assert path.stat().st_mtime_ns > first


def test_a_claim_that_cannot_be_read_for_a_moment_is_kept_alive(path, monkeypatch):
    failed, touched = threading.Event(), threading.Event()
    read, touch = Path.read_text, os.utime

    def read_text(self, *given, **named):
        if self == path and not failed.is_set():
            failed.set()
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
        return read(self, *given, **named)

    def utime(file, *given, **named):
        touch(file, *given, **named)
        if failed.is_set():
            touched.set()

    monkeypatch.setattr(Path, "read_text", read_text)
    monkeypatch.setattr(os, "utime", utime)
    with claimed(path):
        assert failed.wait(20)
        assert touched.wait(20)


@pytest.mark.parametrize("ahead", [-3600, 3600])
def test_the_clock_of_this_machine_says_nothing_of_a_servers_files(path, monkeypatch, ahead):
    """An hour apart from the one that stamps them."""
    monkeypatch.setattr(claims, "SILENT", 60.0)
    now, now_ns = time.time, time.time_ns
    monkeypatch.setattr(time, "time", lambda: now() + ahead)
    monkeypatch.setattr(time, "time_ns", lambda: now_ns() + ahead * 10**9)
    path.write_text(json.dumps(ELSEWHERE))
    assert held_elsewhere(path)
    long_ago = now() - 1800
    os.utime(path, (long_ago, long_ago))
    assert not held_elsewhere(path)
    assert left(path) == [path.name]


def test_a_claim_that_cannot_be_looked_at_counts_as_held(path, monkeypatch):
    assert not held_elsewhere(path)  # there is none
    path.write_text(json.dumps(ELSEWHERE))
    look = Path.stat

    def failing(self, **flags):
        if self == path:
            raise OSError(errno.EIO, "Input/output error")
        return look(self, **flags)

    monkeypatch.setattr(Path, "stat", failing)
    assert held_elsewhere(path)


def test_what_a_dead_process_of_this_machine_left_is_taken_at_once(path):
    path.write_text(json.dumps(ELSEWHERE | {"node": claims.NODE}))
    start = time.monotonic()
    with claimed(path):
        assert time.monotonic() - start < claims.SILENT / 2
    assert left(path) == []


def test_a_silent_machine_is_waited_for_and_then_taken_over(path):
    path.write_text(json.dumps(ELSEWHERE))
    assert held_elsewhere(path)
    start = time.monotonic()
    with claimed(path):
        assert time.monotonic() - start >= claims.SILENT
        assert json.loads(path.read_text())["node"] == claims.NODE
    assert left(path) == []


def test_a_machine_that_beats_is_never_taken_over(path):
    path.write_text(json.dumps(ELSEWHERE))
    stop, taken = threading.Event(), []

    def beat():
        while not stop.wait(0.1):
            os.utime(path)

    def take():
        with claimed(path):
            taken.append(time.monotonic())

    threads = [threading.Thread(target=beat), threading.Thread(target=take)]
    for thread in threads:
        thread.start()
    time.sleep(3 * claims.SILENT)
    assert taken == []
    stop.set()
    threads[0].join()
    released = time.monotonic()
    path.unlink()
    threads[1].join()
    assert taken[0] - released < claims.SILENT


def test_who_was_taken_over_does_not_remove_what_is_anothers(path):
    with claimed(path):
        path.write_text(json.dumps(ELSEWHERE))
    assert json.loads(path.read_text()) == ELSEWHERE


@pytest.mark.parametrize("text", ["", "[]", "{", '"x"'])
def test_a_claim_that_says_nothing_is_taken_once_it_is_silent(path, text):
    path.write_text(text)
    with claimed(path):
        assert json.loads(path.read_text())["pid"] == os.getpid()


def test_a_store_waits_for_the_entry_of_another_machine(tmp_path):
    """Which appears while it waits, so that nothing is computed twice."""
    store, key = Store(tmp_path), {"x": 1}
    store.put("parts", {"x": 0}, Payload())
    claim = store.path("parts", key).with_suffix(".claim")
    claim.write_text(json.dumps(ELSEWHERE))
    ours = []

    def fetch():
        ours.append(store.fetch("parts", key, lambda: pytest.fail("computed twice"))[1])

    waiting = threading.Thread(target=fetch)
    waiting.start()
    time.sleep(0.2)
    other = Store(tmp_path)
    other._put("parts", key, Payload(values={"by": "them"}))
    claim.unlink()
    waiting.join()
    assert ours == [True]


def test_the_next_reader_removes_what_one_killed_after_storing_left(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    store, key = Store(tmp_path), {"x": 1}
    store.put("parts", key, Payload())
    claim = store.path("parts", key).with_suffix(".claim")
    for holder, stays in (({"node": claims.NODE, "pid": dead.pid}, False), (ELSEWHERE, True)):
        claim.write_text(json.dumps(holder))
        assert store.get("parts", key) is not None
        assert claim.exists() is stays


def test_clean_leaves_alone_what_another_machine_works_on(tmp_path):
    store = Store(tmp_path)
    store.put("parts", {"x": 1}, Payload())
    claim = store.path("parts", {"x": 1}).with_suffix(".claim")
    claim.write_text(json.dumps(ELSEWHERE))
    assert store.clean().entries == 0
    old = time.time() - 3600
    os.utime(claim, (old, old))
    assert store.clean().entries == 1


def test_a_sweep_removes_what_dead_holders_left_and_nothing_else(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    old = time.time() - 3600
    for name, node, pid in (
        ("x-dead", claims.NODE, dead.pid),
        ("x-own", claims.NODE, os.getpid()),
        ("x-theirs", "another-machine", 1),
        ("x-silent", "another-machine", 1),
        ("y-dead", claims.NODE, dead.pid),
    ):
        (tmp_path / name).write_text(json.dumps({"node": node, "pid": pid, "token": "t"}))
    os.utime(tmp_path / "x-silent", (old, old))
    claims.sweep(tmp_path, "x-*")
    assert left(tmp_path / "x") == ["x-own", "x-theirs", "y-dead"]


COUNT = """
import sys, time
from pathlib import Path
from condense.engine.runtime import claims
from condense.engine.runtime.store import Payload, Store
claims.NODE = sys.argv[2]
store = Store(Path(sys.argv[1]))
def compute():
    with open(Path(sys.argv[1]) / "log", "a") as log:
        log.write("computed\\n")
    time.sleep(0.02)
    return Payload()
for number in range(10):
    store.fetch("parts", {"x": number}, compute)
"""


@pytest.mark.parametrize("nodes", [("one", "one"), ("one", "two")])
def test_two_drivers_compute_every_piece_once(tmp_path, nodes):
    running = [processes.start(COUNT, tmp_path, node) for node in nodes]
    assert [process.wait() for process in running] == [0, 0]
    assert (tmp_path / "log").read_text().count("computed") == 10
