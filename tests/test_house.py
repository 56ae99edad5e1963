"""House rules that neither ruff nor import-linter knows; theirs stand in pyproject.toml."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = [p for top in ("condense", "plugins") for p in sorted((ROOT / top).rglob("*.py"))]
MOST_FILES, MOST_LINES = 24, 300


def test_folders_and_files_stay_small():
    assert len(SOURCES) > 150
    assert Counter(path.parent for path in SOURCES).most_common(1)[0][1] <= MOST_FILES
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        from code_lines import code_lines
    finally:
        sys.path.pop(0)
    long = {str(p.relative_to(ROOT)): code_lines(p.read_text("utf-8")) for p in SOURCES}
    assert {name: n for name, n in long.items() if n > MOST_LINES} == {}


def test_numpy_never_unpickles():
    asked = [p for p in SOURCES if "allow_pickle=True" in p.read_text("utf-8").replace(" ", "")]
    assert asked == []


FORBIDDEN = """
import pickle
import click
import torch
import sklearn.datasets
from .errors import DataError
def load(path):
    try:
        print(torch.load(path))
    except Exception:
        return None
"""


def test_the_linter_knows_the_house():
    """A rule that is switched off by mistake is missed by nobody; each fires on this file."""
    pytest.importorskip("ruff", reason="ruff comes with the dev extra")
    command = [sys.executable, "-m", "ruff", "check", "--no-cache", "--output-format", "concise"]
    done = subprocess.run(
        [*command, "--stdin-filename", "condense/engine/strange.py", "-"],
        input=FORBIDDEN,
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    wanted = {"TID251", "TID252", "TID253", "T201", "BLE001", "D103"}
    assert wanted <= {line.split(" ")[1] for line in done.stdout.splitlines() if ".py:" in line}
    for name in ("pickle", "click", "torch.load"):
        assert f"`{name}` is banned" in done.stdout
