"""What crashes, neighbours and strange folders may do to results: through the commands and the API.

Nothing here knows how it is done, so that it can be held against any version.
"""

import ctypes
import errno
import json
import os
import shutil
import signal
import sys
from contextlib import contextmanager, nullcontext
from pathlib import Path

import numpy as np
import processes
import pytest

from condense import CondensedDataset, condense
from condense.cli.main import main

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="signals and flock are POSIX's")
SMALL = {
    "matcher": "none",
    "scorer": "random",
    "selector.beta": "0.1",
    "evaluator.steps": "2",
    "evaluator.repeats": "1",
    "evaluator.network": "mlp",
}
OPTIONS = [part for key, value in SMALL.items() for part in ("-o", f"{key}={value}")]
MATCHED = {
    "scorer": "random",
    "matcher.iterations": 30,
    "matcher.experts": 1,
    "matcher.max_start_epoch": 2,
    "matcher.steps": 2,
    "matcher.network.width": 8,
}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """A working folder with a tiny data set, and a store beside it."""
    work = tmp_path / "work"
    work.mkdir()
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 12)
    images = rng.integers(0, 200, (24, 8, 8, 1)).astype(np.uint8)
    half = {"test_images": images[::3, ::-1], "test_labels": labels[::3]}
    np.savez(tmp_path / "squares.npz", train_images=images, train_labels=labels, **half)
    monkeypatch.chdir(work)
    monkeypatch.setenv("CONDENSE_STORE", str(tmp_path / "store"))
    return work


@pytest.fixture
def call(calling, tmp_path):
    plain = calling()

    def go(command, *args, code=0):
        own = {str(word).partition("=")[0] for word in args}
        kept = [w for w in OPTIONS[1::2] if w.partition("=")[0] not in own]
        small = [part for word in kept for part in ("-o", word)]
        data = ["--data", f"npz:{tmp_path}/squares.npz", *small] if command == "run" else []
        result = plain(command, *data, *args, code=code)
        if code:
            assert result.stderr.count("error: ") == 1
            assert result.stderr.endswith("\n")
        return result

    return go


def contents(folder):
    return {p.name: p.read_bytes() for p in Path(folder).iterdir() if p.name != "run.log.json"}


def names(folder="."):
    return sorted(path.name for path in Path(folder).iterdir())


class Watched:
    """A progress that calls ``act`` at the third report of the matching."""

    def __init__(self, act):
        self.act, self.notes, self.reports = act, [], 0

    def note(self, message):
        self.notes.append(message)

    def stage(self, name, number, total):
        return nullcontext()

    @contextmanager
    def task(self, title, total, unit="it"):
        progress = self

        class Task:
            def advance(self, n=1, **figures):
                progress.reports += title == "matching"
                if title == "matching" and progress.reports == 3:
                    progress.act()

        yield Task()


def matched(act=lambda: None):
    progress = Watched(act)
    small = condense("digits", ipc=2, options=MATCHED, device="cpu", progress=progress)
    return small.to_bytes(), progress.notes


# the store


def test_cache_clean_removes_nothing_of_others(call, tmp_path, monkeypatch):
    shared = tmp_path / "shared"
    own = {"proj/poetry.lock": "a", "proj/f.partial": "b", "notes/.draft-x/t": "c"}
    own |= {"photos/trip/entry.json": "{}", "photos/trip/1.jpg": "d"}
    for name, text in own.items():
        (shared / name).parent.mkdir(parents=True, exist_ok=True)
        (shared / name).write_text(text)
    monkeypatch.setenv("CONDENSE_STORE", str(shared))
    call("cache", "clean", "--yes")
    call("run", "--out", "o")
    call("cache", "clean", "--yes")
    assert {name: (shared / name).read_text() for name in own if (shared / name).exists()} == own
    assert json.loads(call("cache", "list", "--json").stdout)["count"] == 0


@POSIX
def test_a_damaged_checkpoint_is_not_believed(tmp_path, monkeypatch):
    with pytest.raises(KeyboardInterrupt):
        matched(lambda: signal.raise_signal(signal.SIGINT))
    stopped = tmp_path / "store"
    (file,) = stopped.rglob("*.partial")
    monkeypatch.setenv("CONDENSE_STORE", str(tmp_path / "other"))
    whole, _ = matched()
    size, told = file.stat().st_size, []
    for at in (0.3, 0.5, 0.7, 0.9):
        store = tmp_path / f"store-{at}"
        shutil.copytree(stopped, store)
        (copy,) = store.rglob("*.partial")
        data = bytearray(copy.read_bytes())
        data[int(at * size)] ^= 64
        copy.write_bytes(data)
        monkeypatch.setenv("CONDENSE_STORE", str(store))
        made, notes = matched()
        assert made == whole, at
        told.append([note for note in notes if "checkpoint" in note])
    assert [len(notes) for notes in told] == [1] * 4


def test_a_run_is_not_lost_to_cache_clean_beside_it(call, real_host, monkeypatch):
    sync, times = os.fsync, []

    def cleaned(handle):
        sync(handle)
        times.append(handle)
        if len(times) in (1, 2, 4):
            main.main(["cache", "clean", "--yes"], obj=real_host, standalone_mode=False)

    call("run", "--out", "alone")
    shutil.rmtree(os.environ["CONDENSE_STORE"])
    monkeypatch.setattr(os, "fsync", cleaned)
    call("run", "--out", "beside")
    assert len(times) > 4
    assert contents("alone") == contents("beside")


def test_what_lies_in_the_place_of_an_entry_is_replaced_once(call, tmp_path):
    call("run", "--out", "o")
    entries = [path.parent for path in (tmp_path / "store").glob("*/*/entry.json")]
    assert len(entries) > 1
    (tmp_path / "elsewhere").mkdir()
    for number, entry in enumerate(entries):
        shutil.rmtree(entry)
        if number % 2:
            entry.write_text("a file")
        else:
            entry.symlink_to(tmp_path / "elsewhere")
    call("run", "--out", "o")
    (told,) = call("run", "--out", "o").stderr.splitlines()
    assert told.startswith("warning: trained on the whole split")  # eight tests, half of them right
    assert all(entry.is_dir() and not entry.is_symlink() for entry in entries)
    assert names(tmp_path / "elsewhere") == []


# folders


def test_a_replacement_that_fails_leaves_what_was_there(call, monkeypatch):
    class Old:  # a system that cannot swap two names
        def __getattr__(self, name):
            if "rename" in name:
                raise AttributeError(name)
            return getattr(libc, name)

    def rename(path, target):
        if Path(target).name == "o" and path.name.startswith(".o-") and "was" not in path.name:
            raise OSError(errno.ENOSPC, "No space left on device")
        return move(path, target)

    libc, move = ctypes.CDLL(None), Path.rename
    call("run", "--out", "o")
    before = contents("o")
    monkeypatch.setattr(ctypes, "CDLL", lambda *args, **more: Old())
    monkeypatch.setattr(Path, "rename", rename)
    error = call("run", "--no-baselines", "--out", "o", code=1).stderr
    assert "no space left" in error.lower()
    assert contents("o") == before
    assert names() == ["o"]
    monkeypatch.setattr(Path, "rename", move)
    call("run", "--no-baselines", "--out", "o")
    assert contents("o") != before
    assert names() == ["o"]


SAVER = """
import sys
from pathlib import Path
from condense import CondensedDataset
source, target, stop = map(Path, sys.argv[1:])
small = CondensedDataset.load(source)
source.with_name(source.name + "-ready").touch()
while not stop.exists():
    small.save(target)
"""


@POSIX
def test_readers_and_writers_of_one_folder_never_miss_it(call, tmp_path):
    reads = 500
    for seed in (0, 1):
        call("run", "--seed", seed, "--out", tmp_path / f"s{seed}")
    stop, target = tmp_path / "stop", tmp_path / "shared" / "o"
    CondensedDataset.load(tmp_path / "s0").save(target)
    savers = [processes.start(SAVER, tmp_path / f"s{seed}", target, stop) for seed in (0, 1)]
    while not all((tmp_path / f"s{seed}-ready").exists() for seed in (0, 1)):
        assert all(saver.poll() is None for saver in savers)
    try:
        seen = [CondensedDataset.load(target).seed for _ in range(reads)]
    finally:
        stop.touch()
        ended = [saver.wait() for saver in savers]
    assert ended == [0, 0], [saver.told() for saver in savers]
    assert set(seen) == {0, 1}
    assert names(target.parent) == ["o"]


def test_a_folder_of_somebody_elses_with_a_manifest_is_left_alone(call, tmp_path):
    ext = Path("ext")
    ext.mkdir()
    own = {"manifest.json": '{"name": "my extension"}', "results.json": "mine"}
    for name, text in own.items():
        (ext / name).write_text(text)
    error = call("run", "--out", "ext", code=1).stderr
    assert "manifest.json" in error
    assert {path.name: path.read_text() for path in ext.iterdir()} == own
    assert not (tmp_path / "store").exists()  # refused before any work


KILLED = """
import os, sys
from PIL import Image
from condense.cli.main import main
Image.Image.save = lambda *args, **more: os._exit(9)
main()
"""


@POSIX
def test_the_next_run_removes_what_a_killed_one_left(call, tmp_path):
    data = ["--data", f"npz:{tmp_path}/squares.npz", *OPTIONS]
    assert processes.run(KILLED, "run", *data, "--out", "o").returncode == 9
    (left,) = names()
    assert left.startswith(".o-")
    Path(".o-notes").write_text("mine")
    call("run", "--out", "o")
    assert names() == [".o-notes", "o"]


KILLED_CHECKPOINT = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import test_reliability
sync = os.fsync
def die(handle):
    sync(handle)
    os._exit(9)
def stop():
    os.fsync = die
    signal.raise_signal(signal.SIGINT)
test_reliability.matched(stop)
"""


@POSIX
def test_the_next_run_removes_what_a_killed_checkpoint_left(tmp_path):
    assert processes.run(KILLED_CHECKPOINT, Path(__file__).parent).returncode == 9
    (left,) = (tmp_path / "store" / "matching").glob(".*")
    assert ".partial-" in left.name
    matched()
    assert [p for p in (tmp_path / "store").rglob("*") if p.name.startswith(".")] == []


BAD_PLACES = {
    "long": lambda: Path("x" * 250),
    "too-long": lambda: Path("x" * 300),
    "long-above": lambda: Path("x" * 300, "o"),
    "dangling": lambda: Path("link").symlink_to("nothing"),
    "looping": lambda: Path("link").symlink_to("link"),
    "below-dangling": lambda: Path("link").symlink_to("nothing") or Path("link", "o"),
    "nobody": lambda: Path("~nosuchuser", "o"),
    "mount": lambda: Path("/proc"),
    "root": lambda: Path("/"),
}


@POSIX
@pytest.mark.parametrize("what", BAD_PLACES)
def test_what_cannot_be_written_is_refused_before_the_work(call, tmp_path, what):
    out = BAD_PLACES[what]() or Path("link")
    before = names()
    for command in ("run", "score"):
        error = call(command, "--out", out, code=1).stderr
        assert str(out) in error
        assert "--out" in error
        assert len(error.splitlines()) == 1
    assert names() == before
    assert not (tmp_path / "store").exists()


BAD_FILES = {
    "long": lambda path: Path("x" * 250 + ".npz"),
    "dangling": lambda path: path.symlink_to("nothing"),
    "looping": lambda path: path.symlink_to(path),
    "nobody": lambda path: Path("~nosuchuser", "i.npz"),
    "pipe": lambda path: os.mkfifo(path),
    "folder": lambda path: path.mkdir(),
}


@POSIX
@pytest.mark.parametrize("what", BAD_FILES)
def test_a_file_that_cannot_be_written_is_refused_before_the_work(call, tmp_path, what):
    out = BAD_FILES[what](Path("i.npz")) or Path("i.npz")
    before = names()
    error = call("select", "--out", out, code=1).stderr
    assert str(out) in error
    assert "--out" in error
    assert names() == before
    assert not (tmp_path / "store").exists()


def test_long_names_of_data_have_a_default_folder(call, tmp_path):
    name = "y" * 225
    shutil.copy(tmp_path / "squares.npz", tmp_path / f"{name}.npz")
    call("run", "--data", f"npz:{tmp_path}/{name}.npz")
    (made,) = names("runs")
    assert "y" * 50 in made


def test_a_link_to_a_folder_is_followed(call, tmp_path):
    big = tmp_path / "big" / "out"
    big.mkdir(parents=True)
    Path("out").symlink_to(big)
    for more in ((), ("--no-baselines",)):  # made, then replaced
        call("run", *more, "--out", "out")
        assert Path("out").is_symlink()
        assert CondensedDataset.load(big).to_bytes() == CondensedDataset.load("out").to_bytes()
    assert names(big.parent) == ["out"]
    page = tmp_path / "big" / "page.html"
    page.write_text("")
    Path("r.html").symlink_to(page)
    page.unlink()
    call("report", "out", "--out", "r.html", code=1)
    call("report", "out", "--out", "real.html")
    shutil.copy("real.html", page)
    call("report", "out", "--out", "r.html")
    assert Path("r.html").is_symlink()
    assert "condense report" in page.read_text()


def test_the_home_folder_is_meant_by_its_sign(call, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    call("run", "--out", "~/o")
    assert names(tmp_path / "home") == ["o"]
    assert names() == []


def test_another_recipes_result_is_replaced_only_when_told(call, tmp_path):
    call("run", "--out", "o")
    before = contents("o")
    call("run", "--out", "o")  # the same is
    assert contents("o") == before
    for more, told in (
        (("--seed", 1), "seed 0, now 1"),
        (("-o", "evaluator.steps=3"), "evaluator.steps 2, now 3"),
        (("-o", "scorer=el2n"), 'scorer "random", now "el2n"'),
    ):
        error = call("run", "--out", "o", *more, code=1).stderr
        assert f"o holds the result of another recipe ({told})" in error
        assert "--force" in error
    assert contents("o") == before
    call("run", "--out", "o", "--seed", 1, "--force")
    assert json.loads(Path("o/manifest.json").read_text())["seed"] == 1
    assert names() == ["o"]
    # one folder of several seeds is enough to refuse, before any of them runs
    error = call("run", "--seeds", 2, "--out", "several").stderr
    kept = contents("several/s1")
    error = call(
        "run", "--seeds", 2, "--seed", 1, "-o", "selector.beta=0.2", "--out", "several", code=1
    ).stderr
    assert "selector.beta 0.1, now 0.2" in error
    assert (contents("several/s1"), names("several")) == (kept, ["s0", "s1"])
    call("run", "--seeds", 2, "-o", "selector.beta=0.2", "--out", "several", "--force")
    assert contents("several/s1") != kept
    # what is not a result of ours is not
    Path("o/notes.txt").write_text("mine")
    assert "notes.txt" in call("run", "--out", "o", "--force", code=1).stderr


def test_other_data_are_another_recipe_and_moved_data_are_not(call, tmp_path):
    call("run", "--out", "o")
    moved = tmp_path / "moved" / "squares.npz"
    moved.parent.mkdir()
    shutil.copy(tmp_path / "squares.npz", moved)
    call("run", "--data", f"npz:{moved}", "--out", "o")
    with np.load(moved) as arrays:
        changed = dict(arrays)
    changed["train_images"][0] += 1
    np.savez(moved, **changed)
    error = call("run", "--data", f"npz:{moved}", "--out", "o", code=1).stderr
    assert "fingerprint of the data" in error


# signals


@POSIX
def test_an_interrupt_that_was_ignored_at_the_start_stays_ignored_in_matching():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as of a script's `command &`
    try:
        made, _ = matched(lambda: signal.raise_signal(signal.SIGINT))
    finally:
        signal.signal(signal.SIGINT, before)
    assert len(made) > 1000
