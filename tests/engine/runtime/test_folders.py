"""Folders are told from strangers', and replaced at once or not at all."""

import os
import secrets
import shutil
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import pytest

from condense.engine.runtime import folders
from condense.engine.runtime.exchange import exchange
from condense.engine.runtime.files import YOUNG, draft_beside, sweep, write_file
from condense.engine.runtime.folders import (
    Layout,
    check_folder,
    json_with,
    replace_folder,
    unreplaced,
)
from condense.engine.runtime.locks import locked, locked_folder
from condense.errors import DataError, OutputError

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="Windows locks no folders")
OURS = Layout("mark.json", ("data-*.bin", "more/*.bin"), json_with("format", "kind"))
MARK = '{"format": 1, "kind": "x"}'


def put(target, value, **more):
    def fill(draft):
        (draft / "mark.json").write_text(MARK)
        (draft / "data-1.bin").write_text(value)

    return replace_folder(target, fill, partial(check_folder, target, OURS), **more)


def get(target):
    return (target / "data-1.bin").read_text()


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture(params=["swapped", "moved"])
def way(request, monkeypatch):
    """With and without a file system that can swap two names."""
    if request.param == "moved":
        monkeypatch.setattr(folders, "exchange", lambda *paths: False)
    return request.param


@pytest.fixture
def unlockable(monkeypatch):
    def none(path, wait=False):
        raise OSError("no locks here")

    monkeypatch.setattr("condense.engine.runtime.locks.locked", none)
    monkeypatch.setattr("condense.engine.runtime.files.locked", none)
    monkeypatch.setattr("condense.engine.runtime.folders.locked", none)


def test_a_folder_is_made_and_replaced(way, tmp_path):
    for value in ("one", "two", "three"):
        assert put(tmp_path / "deep" / "o", value) == tmp_path / "deep" / "o"
        assert get(tmp_path / "deep" / "o") == value
        assert names(tmp_path / "deep") == ["o"]


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"mark.json": '{"format": 1}'}, "mark.json, which is not as condense writes it"),
        ({"mark.json": "[" * 100_000}, "mark.json, which"),
        ({"mark.json": "\xff"}, "mark.json, which"),
        ({"mark.json/x": ""}, "mark.json/x"),
        ({"data-1.bin": ""}, "data-1.bin"),
        ({"mark.json": MARK, "notes": ""}, "notes"),
        ({"mark.json": MARK, "more/deep/1.txt": ""}, "more/deep/1.txt"),
        ({"mark.json": MARK, "more/deep/1.bin": ""}, "more/deep/1.bin"),
        ({"mark.json": MARK, "data-more/1.bin": ""}, "data-more/1.bin"),
    ],
)
def test_a_strangers_folder_is_told_by_its_contents(files, told, tmp_path):
    for name, text in files.items():
        path = tmp_path / "o" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="latin-1")
    with pytest.raises(OutputError) as caught:
        put(tmp_path / "o", "new")
    assert f"({told}" in str(caught.value)
    assert names(tmp_path) == ["o"]
    assert all((tmp_path / "o" / name).exists() for name in files)


def test_a_folder_within_one_of_ours_is_refused_as_that_could_not_be_replaced_then(tmp_path):
    put(tmp_path / "o", "old")
    with pytest.raises(OutputError, match="lies in a folder that `condense` wrote"):
        put(tmp_path / "o" / "deep" / "inner", "new")
    assert names(tmp_path / "o") == ["data-1.bin", "mark.json"]
    put(tmp_path / "o", "new")
    assert get(tmp_path / "o") == "new"
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "mark.json").write_text("{}")  # of somebody else
    put(tmp_path / "mine" / "inner", "new")


def test_links_in_a_folder_are_strangers(tmp_path):
    put(tmp_path / "o", "old")
    (tmp_path / "o" / "mine").symlink_to(tmp_path)
    with pytest.raises(OutputError, match="mine"):
        put(tmp_path / "o", "new")


def test_two_names_swap_places(tmp_path):
    put(tmp_path / "a", "one")
    put(tmp_path / "b", "two")
    if not exchange(tmp_path / "a", tmp_path / "b"):
        pytest.skip("this file system cannot")
    assert (get(tmp_path / "a"), get(tmp_path / "b")) == ("two", "one")
    with pytest.raises(FileNotFoundError):
        exchange(tmp_path / "a", tmp_path / "none")


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("fails_back", [False, True])
def test_what_was_there_comes_back_or_is_named(error, fails_back, tmp_path, monkeypatch):
    def rename(path, target):
        if path.name.endswith("-was") and fails_back:
            raise OSError(5, "Input/output error")
        if Path(target).name == "o" and not path.name.endswith("-was"):
            raise error
        return move(path, target)

    move, out = Path.rename, tmp_path / "o"
    put(out, "old")
    monkeypatch.setattr(folders, "exchange", lambda *paths: False)
    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises((OutputError, KeyboardInterrupt)) as caught:
        put(out, "new")
    if fails_back:
        (aside,) = tmp_path.iterdir()
        assert str(aside) in str(caught.value)
        monkeypatch.setattr(Path, "rename", move)
        sweep(out)  # which is what the next run does first
    assert get(out) == "old"
    assert names(tmp_path) == ["o"]


def test_a_failed_swap_changes_nothing(tmp_path, monkeypatch):
    def fail(*paths):
        raise OSError(28, "No space left on device")

    put(tmp_path / "o", "old")
    monkeypatch.setattr(folders, "exchange", fail)
    with pytest.raises(OutputError, match="no space left"):
        put(tmp_path / "o", "new")
    assert get(tmp_path / "o") == "old"
    assert names(tmp_path) == ["o"]


@POSIX
def test_drafts_go_unless_their_writer_lives(tmp_path):
    out = tmp_path / "o"
    dead, file, alive = (draft_beside(out) for _ in range(3))
    for path in (dead, alive):
        (path / "more").mkdir(parents=True)
    file.write_text("x")
    others = [".o-notes", f".other-{secrets.token_hex(8)}", f".o-{secrets.token_hex(9)}"]
    for name in others:
        (tmp_path / name).mkdir()
    with locked(alive):
        put(out, "one")
        assert names(tmp_path) == sorted(["o", alive.name, *others])
    put(out, "two")
    assert names(tmp_path) == sorted(["o", *others])
    page = tmp_path / "page.html"
    draft_beside(page).write_text("half")
    write_file(page, b"x", lambda file: False)
    assert names(tmp_path) == sorted(["o", "page.html", *others])


def test_where_nothing_can_be_locked_only_old_drafts_go(unlockable, tmp_path):
    young, old = (draft_beside(tmp_path / "o") for _ in range(2))
    for path in (young, old):
        path.mkdir()
    before = old.stat().st_mtime - 2 * YOUNG
    os.utime(old, (before, before))
    put(tmp_path / "o", "one")
    assert names(tmp_path) == sorted(["o", young.name])


@POSIX
def test_who_writes_waits_for_its_turn_and_says_so(tmp_path):
    notes, out = [], tmp_path / "o"
    with locked_folder(tmp_path):
        writer = threading.Thread(target=put, args=(out, "one"), kwargs={"note": notes.append})
        writer.start()
        writer.join(0.3)
        assert not out.exists()
        assert notes == [f"note: another process is writing in {tmp_path}; waiting for it"]
    writer.join(30)
    assert get(out) == "one"


HOLDER = """
import os, sys
from pathlib import Path
from condense.engine.runtime.locks import locked_folder
with locked_folder(Path(sys.argv[1])):
    print("in", flush=True)
    sys.stdin.read()
    os._exit(9)
"""


@POSIX
def test_a_killed_process_holds_up_nobody(tmp_path):
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "in\n"
    with pytest.raises(BlockingIOError), locked(tmp_path):
        pass
    holder.communicate(timeout=30)
    put(tmp_path / "o", "one")
    assert names(tmp_path) == ["o"]


def test_what_came_meanwhile_is_asked_about_again(tmp_path):
    out = tmp_path / "o"

    def fill(draft):
        out.mkdir()
        (out / "mine").write_text("x")

    with pytest.raises(OutputError, match="mine"):
        replace_folder(out, fill, partial(check_folder, out, OURS))
    assert names(tmp_path) == ["o"]


def test_a_folder_that_is_replaced_while_it_is_read_is_read_again(way, tmp_path):
    out = tmp_path / "o"
    put(out, "0")
    reads = []

    def read():
        first = get(out)
        reads.append(first)
        if len(reads) < 3:
            put(out, str(len(reads)))
        if len(reads) == 1:
            raise DataError("halves of two")
        return first, get(out)

    assert unreplaced(out, read) == ("2", "2")
    assert reads == ["0", "1", "2"]


def test_what_is_wrong_with_a_folder_that_stays_is_said(tmp_path):
    reads = []

    def read():
        reads.append(1)
        raise DataError("damaged")

    with pytest.raises(DataError, match="damaged"):
        unreplaced(tmp_path, read)
    assert len(reads) == 1
    shutil.rmtree(tmp_path)
    with pytest.raises(DataError, match="damaged"):
        unreplaced(tmp_path, read)
