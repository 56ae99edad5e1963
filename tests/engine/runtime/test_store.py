"""The stage store: what goes in comes out, and nothing damaged or half-written ever does."""

import errno
import json
import os
import shutil
import tempfile
import textwrap
from pathlib import Path

import processes
import pytest
import torch

from condense.engine.runtime.expected import Expected, is_finite
from condense.engine.runtime.files import draft_beside, write_atomic
from condense.engine.runtime.housekeeping import ENTRY, MARKER, TENSORS, digest
from condense.engine.runtime.store import Payload, Store
from condense.errors import OutputError
from condense.testing.toys import Notes

KEY = {"component": "el2n", "options": {"epochs": 3, "lr": 0.1}, "seed": 7}


@pytest.fixture
def notes():
    return Notes()


@pytest.fixture
def store(tmp_path, notes):
    return Store(tmp_path / "store", notes)


def payload():
    tensors = {
        "float": torch.tensor([[1.5, -0.0], [float("nan"), float("inf")]]),
        "half": torch.arange(4).half(),
        "bytes": torch.arange(256, dtype=torch.uint8).reshape(16, 16),
        "flags": torch.tensor([True, False]),
        "long": torch.tensor([2**62, -1]),
        "scalar": torch.tensor(0.25, dtype=torch.float64),
        "empty": torch.empty(0, 3),
    }
    return Payload(tensors, {"counts": [1, 2], "label": "π", "nested": {"x": None, "y": 0.1}})


def refuse():
    raise AssertionError("computed although it was stored")


def drafts(store):
    return [p for p in store.root.rglob("*") if p.name.startswith(".") and p.is_dir()]


def test_an_entry_comes_back_to_the_bit(store):
    given = payload()
    assert store.get("scores", KEY) is None
    first, cached = store.fetch("scores", KEY, lambda: given)
    assert (first, cached) == (given, False)
    again, cached = Store(store.root).fetch("scores", KEY, refuse)
    assert cached
    assert again.values == given.values
    assert again.tensors.keys() == given.tensors.keys()
    for name, tensor in given.tensors.items():
        got = again.tensors[name]
        assert (got.dtype, got.shape) == (tensor.dtype, tensor.shape)
        assert got.numpy().tobytes() == tensor.numpy().tobytes(), name


def test_a_view_is_stored_as_what_it_shows(store):
    base = torch.arange(12.0).reshape(3, 4)
    store.put("scores", KEY, Payload({"t": base.t(), "row": base[1]}))
    got = store.get("scores", KEY).tensors
    assert torch.equal(got["t"], base.t())
    assert torch.equal(got["row"], base[1])


def test_kind_and_every_part_of_the_key_count(store):
    store.put("scores", KEY, payload())
    assert store.has("scores", KEY)
    for other in (
        {**KEY, "seed": 8},
        {**KEY, "options": {"epochs": 3, "lr": 0.10000000000000002}},
        {**KEY, "extra": None},
        {k: v for k, v in KEY.items() if k != "seed"},
    ):
        assert not store.has("scores", other)
    assert not store.has("selections", KEY)


def test_the_order_of_keys_does_not_count_and_nan_is_refused():
    assert digest("a", {"x": 1, "y": 2}) == digest("a", {"y": 2, "x": 1})
    assert len(digest("a", {})) == 32
    with pytest.raises(ValueError, match=r"NaN|nan|range float"):
        digest("a", {"x": float("nan")})


def test_a_failed_computation_leaves_nothing(store):
    with pytest.raises(ZeroDivisionError):
        store.fetch("scores", KEY, lambda: 1 // 0)
    assert not store.has("scores", KEY)
    assert store.entries() == []
    assert drafts(store) == []
    assert store.fetch("scores", KEY, payload)[1] is False  # and its lock is free again


def test_a_failed_write_leaves_nothing(store, monkeypatch):
    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="no space left on device"):
        store.fetch("scores", KEY, payload)
    monkeypatch.undo()
    assert not store.has("scores", KEY)
    assert drafts(store) == []


def flip(path):
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)


def truncate(path):
    path.write_bytes(path.read_bytes()[:-5])


def change_values(path):
    entry = json.loads(path.read_text())
    entry["values"]["label"] = "other"
    path.write_text(json.dumps(entry))


def other_key(path):
    entry = json.loads(path.read_text())
    entry["key"]["seed"] = 99
    path.write_text(json.dumps(entry))


def no_checksum(path):
    entry = json.loads(path.read_text())
    del entry["sha256"]
    path.write_text(json.dumps(entry))


DAMAGE = {
    "tensors-flipped": (TENSORS, flip),
    "tensors-truncated": (TENSORS, truncate),
    "tensors-gone": (TENSORS, Path.unlink),
    "tensors-empty": (TENSORS, lambda p: p.write_bytes(b"")),
    "entry-truncated": (ENTRY, truncate),
    "entry-empty": (ENTRY, lambda p: p.write_bytes(b"")),
    "entry-binary": (ENTRY, lambda p: p.write_bytes(b"\xff\xfe\x00")),
    "entry-not-a-table": (ENTRY, lambda p: p.write_text("[]")),
    "entry-null": (ENTRY, lambda p: p.write_text("null")),
    "entry-gone": (ENTRY, Path.unlink),
    "values-changed": (ENTRY, change_values),
    "key-changed": (ENTRY, other_key),
    "checksum-gone": (ENTRY, no_checksum),
    "entry-nested": (ENTRY, lambda p: p.write_text('{"key":' + "[" * 100_000)),
    "entry-surrogate": (ENTRY, lambda p: p.write_text(p.read_text().replace("el2n", "\\ud800"))),
    "entry-nan": (ENTRY, lambda p: p.write_text(p.read_text().replace("0.1", "NaN"))),
    "entry-a-folder": (ENTRY, lambda p: (p.unlink(), p.mkdir())),
    "entry-a-pipe": (ENTRY, lambda p: (p.unlink(), os.mkfifo(p))),
    "tensors-a-folder": (TENSORS, lambda p: (p.unlink(), p.mkdir())),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_entry_is_recomputed_with_one_warning(store, notes, name):
    file, damage = DAMAGE[name]
    store.put("scores", KEY, payload())
    damage(store.path("scores", KEY) / file)
    store.entries()  # a listing survives it
    fresh = Payload({"x": torch.ones(2)}, {"fresh": True})
    got, cached = store.fetch("scores", KEY, lambda: fresh)
    assert not cached
    assert got is fresh
    assert len(notes.lines) == 1
    assert notes.lines[0].startswith("warning: ")
    assert "\n" not in notes.lines[0]
    assert str(store.path("scores", KEY)) in notes.lines[0]
    again, cached = store.fetch("scores", KEY, refuse)
    assert cached
    assert again.values == {"fresh": True}
    assert len(notes.lines) == 1


@pytest.mark.parametrize("number", [errno.EMFILE, errno.EIO, errno.ESTALE, errno.EACCES])
def test_an_entry_that_cannot_be_read_now_is_kept(store, notes, monkeypatch, number):
    """Its bytes may be what they should be: only what was read can have proved wrong."""
    store.put("scores", KEY, payload())

    def fail(path):
        raise OSError(number, os.strerror(number), str(path))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", fail)
        fresh = Payload(values={"fresh": True})
        assert store.fetch("scores", KEY, lambda: fresh) == (fresh, False)
    assert "cannot be read" in notes.lines[0]
    assert os.strerror(number).lower() in notes.lines[0]
    again, cached = store.fetch("scores", KEY, refuse)
    assert cached
    assert again.values == payload().values


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"),
        torch.OutOfMemoryError("CUDA out of memory"),
    ],
)
def test_memory_that_runs_out_while_an_entry_is_read_is_no_damage(store, notes, error):
    store.put("scores", KEY, payload())

    def check(_):
        raise error

    with pytest.raises(type(error)):
        store.fetch("scores", KEY, refuse, check)
    assert notes.lines == []
    assert store.fetch("scores", KEY, refuse)[1]


def test_nothing_in_the_store_is_a_pickle(store):
    store.put("scores", KEY, payload())
    files = sorted(p.name for p in store.path("scores", KEY).iterdir())
    assert files == [ENTRY, TENSORS]
    assert json.loads((store.path("scores", KEY) / ENTRY).read_text())["key"] == KEY


WORKER = textwrap.dedent(
    """
    import os, sys, time
    from pathlib import Path
    import torch
    from condense.engine.runtime.store import Payload, Store
    root, log, me, die = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], sys.argv[4] == "die"
    def compute():
        with log.open("a") as file:
            file.write(me + "\\n")
        if die:
            os._exit(9)
        time.sleep(0.4)
        return Payload({"x": torch.tensor([float(me)])})
    (log.parent / f"ready-{me}").touch()
    while len(list(log.parent.glob("ready-*"))) < int(sys.argv[5]):
        time.sleep(0.005)
    payload, cached = Store(root).fetch("scores", {"a": 1}, compute)
    print(cached, payload.tensors["x"].item())
    """
)


def worker(store, tmp_path, me, die="live", together=1):
    return processes.start(WORKER, store.root, tmp_path / "log", me, die, together)


def test_two_processes_compute_one_key_once(store, tmp_path):
    both = [worker(store, tmp_path, me, together=2) for me in (1, 2)]
    ended = [p.wait() for p in both]
    said = [p.told() for p in both]
    assert ended == [0, 0], said
    assert len((tmp_path / "log").read_text().split()) == 1
    (first,) = (tmp_path / "log").read_text().split()
    assert sorted(out.split() for out, _ in said) == [
        ["False", f"{first}.0"],
        ["True", f"{first}.0"],
    ]


def test_a_killed_process_blocks_nobody(store, tmp_path):
    assert worker(store, tmp_path, 1, die="die").wait() == 9
    assert store.fetch("scores", {"a": 1}, payload)[1] is False
    assert len(store.entries()) == 1


def test_the_first_of_two_writers_wins(store):
    store.put("scores", KEY, Payload(values={"n": 1}))
    store.put("scores", KEY, Payload(values={"n": 2}))
    assert store.get("scores", KEY).values == {"n": 1}
    assert drafts(store) == []


@pytest.mark.parametrize("write", ["fetch", "put"])
def test_an_unwritable_root_is_named_before_any_work(tmp_path, write):
    (tmp_path / "file").write_text("in the way")
    store = Store(tmp_path / "file" / "store")
    argument = {"fetch": refuse, "put": payload()}[write]
    with pytest.raises(OutputError) as caught:
        getattr(store, write)("scores", KEY, argument)
    assert str(store.root) in str(caught.value)
    assert "CONDENSE_STORE" in str(caught.value)
    assert (tmp_path / "file").read_text() == "in the way"


def test_clean_removes_one_kind_or_all(store):
    for kind, seeds in {"scores": 2, "experts": 3}.items():
        for seed in range(seeds):
            store.fetch(kind, {"component": "c", "seed": seed}, payload)
    left = "0123456789abcdef" * 2
    (store.root / "experts" / f"{left}.partial").write_bytes(b"x")
    draft = store.root / "experts" / f".{left}-{left[:16]}"
    draft.mkdir()
    (draft / ENTRY).write_text("{")
    listed = store.entries()
    assert [(e.kind, e.label) for e in listed] == [("experts", "c")] * 3 + [("scores", "c")] * 2
    assert store.leftovers() == {"experts": 2, "scores": 0}
    on_disk = sum(f.stat().st_size for e in listed if e.kind == "scores" for f in e.path.iterdir())
    assert store.clean("scores") == (2, on_disk, 0)
    assert [e.kind for e in store.entries()] == ["experts"] * 3
    assert draft.exists()
    assert store.clean()[::2] == (3, 2)
    assert [p.name for p in store.root.rglob("*") if p.is_file()] == [MARKER]
    assert store.clean() == (0, 0, 0)


def foreign(root):
    """Files that look a little like ours, in a folder that is shared with a store."""
    own = {
        "proj/poetry.lock": "a",
        "proj/f.partial": "b",
        "notes/.draft-x/t": "c",
        "scores/poetry.lock": "d",
        "scores/data/entry.json": "e",
        f"scores/{'ab' * 16}/{ENTRY}": "{}",
        f"scores/{'ab' * 16}/mine": "f",
        f"other/{'cd' * 16}/{ENTRY}": json.dumps({"kind": "other", "key": {}}),
        f"other/{'cd' * 16}.lock": "g",
    }
    for name, text in own.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return own


def test_what_is_not_ours_is_neither_listed_nor_removed(store):
    own = foreign(store.root)
    assert (store.kinds(), store.entries(), store.clean()) == ([], [], (0, 0, 0))
    assert not (store.root / MARKER).exists()
    store.put("scores", KEY, payload())
    assert (store.kinds(), len(store.entries())) == (["scores"], 1)
    assert store.clean().entries == 1
    assert {name: (store.root / name).read_text() for name in own} == own


@pytest.mark.parametrize("marker", [None, "[", '{"format": 2, "kinds": []}'])
def test_a_store_without_its_marker_is_known_by_its_entries(store, marker):
    for kind in ("scores", "experts"):
        store.put(kind, KEY, payload())
    foreign(store.root)
    (store.root / MARKER).unlink()
    if marker is not None:
        (store.root / MARKER).write_text(marker)
    assert len(Store(store.root).entries()) == 2
    told = json.loads((store.root / MARKER).read_text())
    assert told == {"format": 1, "kinds": ["experts", "scores"]}


def test_what_a_living_process_works_on_is_spared(store):
    draft = draft_beside(store.path("scores", KEY))
    partial = store.path("scores", KEY).with_suffix(".partial")
    with store.lock("scores", KEY):
        draft.mkdir()
        partial.write_text("x")
        assert Store(store.root).clean() == (0, 0, 0)
        Store(store.root).put("scores", {"seed": 1}, payload())  # the next run looks after drafts
        assert draft.exists()
        assert partial.exists()
    Store(store.root).put("scores", {"seed": 2}, payload())
    assert not draft.exists()
    assert partial.exists()  # a run goes on from it
    assert Store(store.root).clean().leftovers == 1
    assert not partial.exists()


def test_a_writer_whose_draft_vanished_tries_again(store, monkeypatch):
    sync, times = os.fsync, []

    def tidied(handle):
        sync(handle)
        times.append(1)
        if len(times) == 1:
            for path in drafts(store):
                shutil.rmtree(path)

    monkeypatch.setattr(os, "fsync", tidied)
    store.put("scores", KEY, payload())
    assert store.get("scores", KEY).values == payload().values
    assert len(times) > 2
    assert drafts(store) == []


PLACED = {
    "file": lambda path, other: path.write_text("mine"),
    "dangling": lambda path, other: path.symlink_to(other / "nothing"),
    "loop": lambda path, other: path.symlink_to(path),
    "folder": lambda path, other: path.symlink_to(other),
}


@pytest.mark.parametrize("what", PLACED)
def test_what_lies_in_an_entrys_place_is_replaced_once(store, notes, tmp_path, what):
    other = tmp_path / "other"
    other.mkdir()
    (other / "mine").write_text("x")
    store.put("scores", KEY, payload())
    path = store.path("scores", KEY)
    shutil.rmtree(path)
    PLACED[what](path, other)
    assert not store.fetch("scores", KEY, payload)[1]
    assert len(notes.lines) == 1
    assert store.fetch("scores", KEY, refuse)[1]
    assert (other / "mine").read_text() == "x"


def test_an_entry_that_its_stage_does_not_expect_is_recomputed(store, notes):
    expected = {"x": Expected(torch.float32, (2, None), low=0.0)}
    good = {"x": torch.ones(2, 5)}
    for bad in (
        {"x": torch.ones(3, 5)},
        {"x": torch.ones(2)},
        {"x": torch.ones(2, 5).double()},
        {"x": torch.tensor([[1.0, float("nan")]] * 2)},
        {"x": -torch.ones(2, 5)},
        {"y": torch.ones(2, 5)},
        {**good, "z": torch.ones(1)},
    ):
        store.clean()
        store.put("scores", KEY, Payload(bad))
        got = store.tensors("scores", KEY, lambda: good, expected)
        assert torch.equal(got["x"], good["x"])
        assert len(notes.lines) == 1, bad
        assert "\n" not in notes.lines.pop()
        store.tensors("scores", KEY, refuse, expected)


def test_large_finite_values_are_finite():
    assert is_finite(torch.full((4,), 3e38))
    assert is_finite(torch.empty(0))
    assert not is_finite(torch.tensor([float("inf"), float("-inf")]))
    assert not is_finite(torch.tensor([1.0, float("nan")]).half())


def test_the_default_place_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("CONDENSE_STORE", "~/mine")
    assert Store.default().root == tmp_path / "mine"
    monkeypatch.delenv("CONDENSE_STORE")
    assert Store.default().root == tmp_path / "xdg" / "condense"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert Store.default().root == tmp_path / ".cache" / "condense"


def test_an_atomic_write_keeps_the_old_file_when_it_fails(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_atomic(path, b"old")

    def fail(*args):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="Input/output"):
        write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


TWO_USERS = """
import os, sys
from pathlib import Path
from condense.engine.runtime.progress import SilentProgress
from condense.engine.runtime.store import Payload, Store

class Loud(SilentProgress):
    def note(self, message):
        print(message)

store = Store(Path(sys.argv[1]), Loud())

def fetch(uid, umask, seed):
    os.setegid(uid)
    os.seteuid(uid)
    os.umask(umask)
    found = store.fetch("scores", {"seed": seed}, lambda: Payload(values={"by": uid}))
    print(uid, found[0].values["by"], found[1])
    os.seteuid(0)

fetch(2001, 0o022, 1)
fetch(2002, 0o002, 1)  # reads what the other wrote
fetch(2002, 0o002, 2)  # writes into a folder that the other made
fetch(2001, 0o022, 2)
(store.path("scores", {"seed": 2}) / "entry.json").unlink()
(store.path("scores", {"seed": 2}) / "tensors.safetensors").unlink()
store.path("scores", {"seed": 2}).rmdir()
fetch(2001, 0o022, 2)  # takes a lock that the other made
fetch(2001, 0o077, 3)
fetch(2002, 0o002, 3)  # may not read it
"""


@pytest.mark.skipif(
    getattr(os, "geteuid", lambda: 1)() != 0, reason="only root can act as two users"
)
def test_users_with_different_umasks_share_a_store():
    with tempfile.TemporaryDirectory() as place:  # not in tmp_path, which is the caller's alone
        os.chmod(place, 0o755)
        root = Path(place) / "store"
        root.mkdir()
        root.chmod(0o777)
        done = processes.run(TWO_USERS, root)
    told = done.stdout.splitlines()
    assert told[:5] == [
        "2001 2001 False",
        "2002 2001 True",
        "2002 2002 False",
        "2001 2002 True",
        "2001 2001 False",
    ], done.stderr
    assert told[5] == "2001 2001 False"
    assert "cannot be read (permission denied)" in told[6]
    assert told[-1] == "2002 2002 False"
    assert done.returncode == 0
