"""Default names of what the commands write, and the permissions that it gets."""

import hashlib
import os
import stat
import sys
from pathlib import Path

import pytest

from condense.engine.runtime.files import default_path, write_file
from condense.engine.runtime.folders import Layout, check_folder, replace_folder
from condense.engine.runtime.store import Payload, Store
from condense.plugin.scaffold import write_package

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no umask")


@pytest.fixture(params=[0o002, 0o022, 0o077], ids=oct)
def umask(request):
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


@POSIX
def test_the_umask_rules_over_all_that_is_written(umask, tmp_path, host):
    def fill(draft):
        (draft / "inner").mkdir()
        (draft / "marker").write_text("x")

    root, ours = tmp_path / "made", Layout("marker", (), lambda contents: contents == b"x")
    root.mkdir()
    store = Store(root / "store")
    store.fetch("scores", {"k": 1}, lambda: Payload(values={"x": 1}))
    for _ in range(2):  # made, then replaced
        replace_folder(root / "folder", fill, lambda: check_folder(root / "folder", ours))
        write_file(root / "deep" / "file", b"x", lambda file: file.read() == b"x")
    write_package(host, "scorer", "mine", root)
    wanted = {True: oct(0o777 & ~umask), False: oct(0o666 & ~umask)}
    paths = [root, *root.rglob("*")]
    assert {p.suffix for p in paths} >= {".lock", ".json", ".toml"}
    assert {str(p): oct(stat.S_IMODE(p.stat().st_mode)) for p in paths} == {
        str(p): wanted[p.is_dir()] for p in paths
    }


def test_the_name_holds_what_it_was_made_of():
    short = hashlib.sha256(b'[1, {"a": 2}]').hexdigest()[:8]
    parts = [1, {"a": 2}]
    assert default_path("tune-m", "my data/é.1", parts) == Path(f"runs/tune-m-my-data-é.1-{short}")
    assert default_path("m", "//", parts, "ipc5-s0") == Path(f"runs/m-data-ipc5-s0-{short}")
    assert default_path("m", "d", [1]) != default_path("m", "d", [2])
