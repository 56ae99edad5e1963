"""Memory of commands that only read the data, beside the same commands on digits.

python benchmarks/memory.py
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from _common import MIB, finish, numbers, parser
from numpy.typing import NDArray
from startup import peak

COMMANDS = {
    "run --dry-run": ("run", "--dry-run"),
    "select": ("select", "-o", "selector=random"),
}
FEATURES, SIDE, CLASSES = 100, 32, 10


def made_up(kind: str, size: int) -> NDArray[np.generic]:
    """``size`` · 2²⁰ bytes of random samples: float32 features or uint8 images."""
    rng = np.random.default_rng(0)
    if kind == "features":
        return rng.standard_normal((size * MIB // (4 * FEATURES), FEATURES), dtype=np.float32)
    shape = (size * MIB // (3 * SIDE**2), SIDE, SIDE, 3)
    return rng.integers(0, 256, shape, dtype=np.uint8)


def taken(command: str, data: str) -> float:
    """Peak resident memory in 2²⁰ bytes of ``command`` on ``data``, a tenth kept."""
    words = (*COMMANDS[command], "--data", data, "--fraction", "0.1")
    found = peak(["-m", "condense.cli.main", *words])
    assert found is not None, "peaks are read as Linux has them"
    return found


def main(argv: Sequence[str]) -> None:
    flags = parser(__doc__)
    flags.add_argument("--sizes", type=numbers, default=[50, 100, 400], help="of arrays, in MiB")
    arguments = flags.parse_args(argv)
    torch.set_num_threads(arguments.threads)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "data.npz"
        os.environ["CONDENSE_STORE"] = str(Path(folder) / "store")
        digits = {command: taken(command, "digits") for command in COMMANDS}
        for kind in ("features", "images"):
            for size in arguments.sizes:
                inputs = made_up(kind, size)
                np.savez(path, train_inputs=inputs, train_labels=np.arange(len(inputs)) % CLASSES)
                for command, base in digits.items():
                    row = {"command": command, "of": kind, "arrays_mb": size, "digits_mb": base}
                    row["peak_mb"] = taken(command, f"npz:{path}")
                    rows.append(row | {"times_the_arrays": (row["peak_mb"] - base) / size})
    finish("memory", arguments, argv, rows, torch.device("cpu"))


if __name__ == "__main__":
    main(sys.argv[1:])
