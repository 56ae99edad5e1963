"""Rows of the stress table: seeded cases, what came of them, and what repeats one that failed."""

import contextlib
import json
import math
import platform
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
import torch

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"
COMMAND = "pytest -m stress --stress-scale 1"
SHOWN = 8  # failures of a row that are told in full


class Row:
    """What was done how often, and what came of it.

    Args:
        test: its node, by which a case is repeated.
        name: what is done.
        full: how many cases a whole run has.
    """

    def __init__(self, test: str, name: str, full: int, scale: float, seed: int, only: int | None):
        self.test, self.name, self.full, self.seed, self.only = test, name, full, seed, only
        self.count = max(1, math.ceil(full * min(scale, 1)))
        self.outcomes: Counter[str] = Counter()
        self.failures: list[str] = []
        self.done = 0
        self.seconds = 0.0

    def random(self, number: int) -> Random:
        """The one source of chance of case ``number``: the same at every scale."""
        return Random(f"{self.seed} {self.test} {number}")

    def cases(self) -> Iterator[tuple[int, Random]]:
        """Number and randomness of every case, or of the one that was asked for."""
        for number in range(self.count) if self.only is None else [self.only]:
            yield number, self.random(number)

    @contextlib.contextmanager
    def case(self, number: object, what: object = "") -> Iterator[None]:
        """One case: what it raises is kept, and the others go on."""
        self.done += 1
        try:
            yield
        except Exception as error:
            told = str(error) or type(error).__name__
            self.failures.append(f"case {number} {what}\n{told}")
            self.outcomes["failed"] += 1

    def count_as(self, outcome: str) -> None:
        """Say what came of the case."""
        self.outcomes[outcome] += 1

    def end(self) -> None:
        """Fail if a case did."""
        if not self.failures:
            return
        repeat = f"pytest -m stress {self.test} --stress-seed {self.seed} --stress-case NUMBER"
        shown = "\n\n".join(self.failures[:SHOWN])
        pytest.fail(
            f"{len(self.failures)} of {self.done} cases of '{self.name}' failed; repeat one with\n"
            f"  {repeat}\n\n{shown}",
            pytrace=False,
        )

    @property
    def told(self) -> str:
        """What came of it, in words."""
        return ", ".join(f"{n} {name}" for name, n in sorted(self.outcomes.items()))

    def to_json(self) -> dict[str, object]:
        """As the table's file has it."""
        return {
            "row": self.name,
            "cases": self.done,
            "outcomes": dict(sorted(self.outcomes.items())),
            "failed": len(self.failures),
            "seconds": round(self.seconds, 1),
        }


class Rows:
    """All rows of a session."""

    def __init__(self, scale: float, seed: int, only: int | None):
        self.scale, self.seed, self.only = scale, seed, only
        self.rows: list[Row] = []
        self.whole = scale >= 1 and only is None  # a run of all there is, which the table is of

    @contextlib.contextmanager
    def row(self, test: str, name: str, full: int) -> Iterator[Row]:
        """A row; at its end the test fails if one of its cases did."""
        row = Row(test, name, full, self.scale, self.seed, self.only)
        self.rows.append(row)
        start = time.monotonic()
        try:
            yield row
        finally:
            row.seconds = time.monotonic() - start
        row.end()

    def write(self, folder: Path = RESULTS) -> None:
        """``stress.json`` and ``stress.md``, of a run that had every case."""
        document = {
            "command": f"{COMMAND} --stress-seed {self.seed}" if self.seed else COMMAND,
            "seed": self.seed,
            "seconds": round(sum(row.seconds for row in self.rows), 1),
            "environment": {
                "python": platform.python_version(),
                "system": platform.system(),
                "torch": torch.__version__,
            },
            "rows": [row.to_json() for row in self.rows],
        }
        (folder / "stress.json").write_text(json.dumps(document, indent=1) + "\n")
        (folder / "stress.md").write_text(as_markdown(document))


def as_markdown(document: dict[str, object]) -> str:
    """The table, out of the file's document."""
    lines = [
        "# What kills, damage, races, full disks and hostile files do",
        "",
        f"Written by `{document['command']}`, which runs `tests/stress` whole; what is promised",
        "stands in [SECURITY.md](../../SECURITY.md). A row's cases all follow from its seed.",
        "",
        "| what is done | cases | outcome | failed | seconds |",
        "|---|---|---|---|---|",
    ]
    for row in document["rows"]:
        outcomes = ", ".join(f"{n} {name}" for name, n in row["outcomes"].items())
        cells = (row["row"], row["cases"], outcomes, row["failed"], f"{row['seconds']:.0f}")
        lines.append("| " + " | ".join(str(c).replace("|", "\\|") for c in cells) + " |")
    total = sum(row["cases"] for row in document["rows"])
    failed = sum(row["failed"] for row in document["rows"])
    lines.append(f"| **all** | {total} | | {failed} | {document['seconds']:.0f} |")
    return "\n".join(lines) + "\n"
