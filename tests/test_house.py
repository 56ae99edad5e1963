"""House rules that neither ruff nor import-linter knows; theirs stand in pyproject.toml."""

import ast
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

import condense

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


def imported(path):
    """(module, name) of all that a file imports from another, inside of functions too."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.module, alias.name) for alias in node.names)


def test_built_in_components_import_what_is_allowed_and_nothing_else():
    """By the list of CONTRIBUTING.md, so that a new module is closed until it stands there."""
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    (rule,) = re.findall(r"the built-in components import (.*?)`tests", text, re.DOTALL)
    modules, folders = (
        [f"{home}.{name}" for name in names.split(",")]
        for home, names in re.findall(r"`([\w.]+)\.\{([\w,]+)\}`", rule)
    )
    assert all((ROOT / f"{name.replace('.', '/')}.py").is_file() for name in modules)
    assert all((ROOT / name.replace(".", "/")).is_dir() for name in folders)
    for path in sorted((ROOT / "plugins").rglob("*.py")):
        for module, name in imported(path):
            if module == "condense":
                assert name in condense.__all__, (path, name)
            elif module.partition(".")[0] == "condense":
                room = ".".join(module.split(".")[:3])
                assert module in modules or room in folders, (path, module)


def test_the_map_names_every_room():
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    for folder in ("condense", "condense/engine", "condense/studies"):
        inside = [p for p in (ROOT / folder).iterdir() if not p.name.startswith("_")]
        rooms = {p.name for p in inside if p.suffix == ".py"}
        rooms |= {f"{p.name}/" for p in inside if p.is_dir()}
        assert {room for room in rooms if room not in text} == set(), folder


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
