"""Start of the command line: help and the list of plugins against a bare ``import torch``.

python benchmarks/startup.py
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from _common import HERE, begin, figures, finish, in_turns, parser

ROOT = HERE.parent
WAYS = {
    "python": ["-c", "pass"],
    "import torch": ["-c", "import torch"],
    "condense --help": ["-m", "condense.cli.main", "--help"],
    "condense plugins": ["-m", "condense.cli.main", "plugins"],
}


# a child starts with its parent's peak in getrusage, so it reads its own from /proc at its end
PEAK = """
import atexit, re, runpy, sys
def tell():
    found = re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())
    sys.stderr.write("\\npeak " + found[1])
atexit.register(tell)
kind, what, *sys.argv[1:] = sys.argv[1:]
exec(what) if kind == "-c" else runpy.run_module(what, run_name="__main__", alter_sys=True)
"""


def run(words: list[str]) -> str:
    """Runs a fresh interpreter to its end; its stderr."""
    path = os.pathsep.join(
        [str(ROOT), str(ROOT / "plugins"), *filter(None, [os.environ.get("PYTHONPATH")])]
    )
    done = subprocess.run(
        [sys.executable, *words], env=os.environ | {"PYTHONPATH": path}, check=True, text=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    return done.stderr


def peak(words: list[str]) -> float | None:
    """Peak resident memory in 2²⁰ bytes, where the system tells."""
    if not Path("/proc/self/status").exists():
        return None
    return int(run(["-c", PEAK, *words]).rpartition("peak ")[2]) / 1024


def main(argv: Sequence[str]) -> None:
    arguments = parser(__doc__).parse_args(argv)
    with tempfile.TemporaryDirectory() as store:
        device = begin(arguments, Path(store)).device
    ways = {name: partial(run, words) for name, words in WAYS.items()}
    seconds = in_turns(ways, arguments.repeats, device)
    rows = [{"form": name, **figures(seconds[name]), "peak_mb": peak(WAYS[name])} for name in WAYS]
    finish("startup", arguments, argv, rows, device)


if __name__ == "__main__":
    main(sys.argv[1:])
