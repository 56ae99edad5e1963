"""condense as a user types it, and a piece of a question's work."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from condense.cli.main import main

Row = dict[str, Any]
INTERRUPTED = (130, 143)


@dataclass(frozen=True)
class Piece:
    """What is run in one go.

    Attributes:
        name: its own among those of its question.
        work: gives its rows; what it comes to is in the store, so that an interrupted one goes on.
    """

    name: str
    work: Callable[[], list[Row]]


def condense(*words: str | Path) -> dict[str, Any]:
    """The document that the command prints with ``--json``.

    Raises:
        RuntimeError: where it fails, with its message.
        KeyboardInterrupt: where it was interrupted.
    """
    result = CliRunner().invoke(main, [*map(str, words), "--json"])
    if result.exit_code in INTERRUPTED:
        raise KeyboardInterrupt
    if result.exit_code:
        raise RuntimeError(f"condense {' '.join(map(str, words))}: {result.stderr.strip()}")
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def condense_apart(store: Path, *words: str | Path) -> dict[str, Any]:
    """As :func:`condense`, in a process of its own that stores in ``store``.

    Raises:
        subprocess.CalledProcessError: where it fails.
        KeyboardInterrupt: where it was interrupted.
    """
    command = [sys.executable, "-m", "condense.cli.main", *map(str, words), "--json"]
    env = os.environ | {"CONDENSE_STORE": str(store)}
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True, env=env)
    if done.returncode in INTERRUPTED:
        raise KeyboardInterrupt
    done.check_returncode()
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def accuracies(found: dict[str, Any]) -> list[float]:
    """One a run of ``condense run --seeds``."""
    return [run["accuracy"]["mean"] for run in found["runs"]]


def scanned(found: dict[str, Any], key: str) -> dict[float, list[float]]:
    """Of ``condense ablate``: accuracies by the value of the number ``key``.

    Raises:
        RuntimeError: if one of them failed.
    """
    cells = {float(c["values"][key]): c["accuracies"] for c in found["cells"] if c["in_grid"]}
    if any(value is None for values in cells.values() for value in values):
        raise RuntimeError(f"a cell of {key} failed: {found['cells']}")
    return cells
