"""The flags of headline.py."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from _arms import ARMS

STAGES = ("scores", "experts", "match", "evaluate")


def _names(allowed: Sequence[str] | None = None) -> Any:
    def parse(text: str) -> list[str]:
        names = [name.strip() for name in text.split(",") if name.strip()]
        wrong = [name for name in names if allowed is not None and name not in allowed]
        if wrong or not names:
            raise argparse.ArgumentTypeError(f"'{text}': choose from {', '.join(allowed or ())}")
        return names

    return parse


def parse(argv: Sequence[str], description: str | None = None) -> argparse.Namespace:
    """The flags, and as ``argv`` what was given; help begins with the description's first line."""
    p = argparse.ArgumentParser(description=(description or "").partition("\n")[0])
    p.add_argument("--preset", required=True, help="see condense plugins")
    p.add_argument("--budget-minutes", type=float, default=1e6, help="stop after these; no limit")
    p.add_argument("--data", default=None, help="other data than the preset's, e.g. npz:FILE")
    p.add_argument("--ipc", type=int, default=None, help="other than the preset's")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument(
        "--only",
        type=_names(STAGES),
        default=list(STAGES),
        metavar="STAGE,…",
        help="of scores, experts, match, evaluate; what they need is made all the same",
    )
    p.add_argument("--arms", type=_names(), default=list(ARMS), metavar="METHOD,…")
    p.add_argument(
        "--validation",
        type=float,
        default=None,
        metavar="SHARE",
        help="test on this share of the training split, held out",
    )
    p.add_argument("--work", type=Path, default=None, help="folder of the store; else the user's")
    p.add_argument("--keep", type=Path, default=None, help="folder of the small files")
    p.add_argument("--out", type=Path, default=None, help="JSON file of results")
    p.add_argument("--device", default=None, help="cpu or cuda; the first GPU by default")
    p.add_argument("--threads", type=int, default=torch.get_num_threads())
    p.add_argument("-o", dest="assignments", action="append", default=[], metavar="KEY=VALUE")
    arguments = p.parse_args(argv)
    arguments.argv = list(argv)
    return arguments
