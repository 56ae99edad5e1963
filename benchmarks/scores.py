"""How far the difficulty scores can be trusted: split halves, each other, the held-out estimator.

    python benchmarks/scores.py --data npz:cifar10.npz --threads 2

One training-dynamics pass of `--networks` networks serves the C-score's learning-speed form,
forgetting and EL2N (both modes); the held-out estimator trains its own subsets. Everything at the
scorers' defaults unless a flag says otherwise. ``--per-epoch`` adds forgetting counted by epoch,
which evaluates all samples after every epoch; ``-n 0`` leaves the held-out estimator out. Writes a
JSON file and a figure.
`--against FILE` (a published score file, .npz or .npy, in the data's order) adds correlations.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib.style
import numpy as np
import torch
from _common import HERE, begin, finish, parser
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from condense.api import bind
from condense.engine.context import EngineContext
from condense.engine.runtime.rng import Seed
from condense.engine.training.dynamics import DynamicsOptions
from condense.engine.training.ranking import end_overlap, rank_correlation, split_half
from condense.interfaces import LabeledData

PASS = ("cscore", "forgetting", "el2n", "el2n:online")  # the first trains
PER_EPOCH = "forgetting:epoch"  # where asked for the first: its pass serves the others too
FIGURE = HERE.parent / "docs" / "images" / "scores-split-half.png"
LEAST = 0.8  # split half asked of the C-score at its default number of networks


class Scored:
    """One scorer's estimates and what they cost."""

    def __init__(
        self, name: str, data: LabeledData, context: EngineContext, options: dict[str, Any]
    ) -> None:
        component, _, argument = name.partition(":")
        cls = context.host.registry("scorer").get(component)
        chosen = {cls.arg: argument} if argument else {}
        scorer = cls(cls.Options(**chosen, **options))
        wall, cpu = time.perf_counter(), time.process_time()
        self.name = name
        self.scores = scorer.score(data, context, Seed(0).fork("scorer").generator())
        self.seconds = time.perf_counter() - wall
        self.cpu_seconds = time.process_time() - cpu
        self.replicates: Tensor = scorer.replicates(
            data, context, Seed(0).fork("scorer").generator()
        )

    def curve(self) -> dict[str, float]:
        """Raw split-half ρ against the number of networks or repeats."""
        sizes = range(2, len(self.replicates) + 1, 2)
        return {str(n): split_half(self.replicates, n) for n in sizes}

    def row(self) -> dict[str, Any]:
        error = self.scores.standard_error
        return {
            "part": "scorer",
            "name": self.name,
            "estimator": self.scores.estimator,
            "replicates": len(self.replicates),
            "split_half": self.curve(),
            "standard_error": _quantiles(error) if error is not None else None,
            "standard_deviation_of_scores": float(self.scores.values.std()),
            "seconds": self.seconds,
            "cpu_seconds": self.cpu_seconds,
        }


def _quantiles(values: Tensor) -> dict[str, float]:
    marks = torch.tensor([0.1, 0.5, 0.9])
    low, middle, high = torch.quantile(values.float(), marks).tolist()
    return {"mean": float(values.mean()), "10%": low, "50%": middle, "90%": high}


def matrix_row(
    part: str, scored: Sequence[Scored], measure: Callable[[Tensor, Tensor], float]
) -> dict[str, Any]:
    """``measure`` of every two of ``scored``."""
    values = [one.scores.values for one in scored]
    return {
        "part": part,
        "names": [one.name for one in scored],
        "matrix": [[1.0 if a is b else measure(a, b) for b in values] for a in values],
    }


def published_row(path: Path, scored: Sequence[Scored], data: LabeledData) -> dict[str, Any]:
    """ρ with a published file's first samples, as the file counts; its labels are checked."""
    loaded = np.load(path, allow_pickle=False)
    values = loaded if isinstance(loaded, np.ndarray) else loaded["scores"]
    if not isinstance(loaded, np.ndarray) and "labels" in loaded:
        same = loaded["labels"][: len(data)] == data.labels.numpy()
        if not same.all():
            raise SystemExit(f"{path}: its labels are not those of the data")
    theirs = torch.from_numpy(values[: len(data)])
    ours = {one.name: rank_correlation(one.scores.values, theirs) for one in scored}
    return {"part": "published", "file": path.name, "rank_correlation": ours}


def draw(scored: Sequence[Scored], default: int, data: LabeledData, path: Path) -> None:
    """The curves as a PNG."""
    with matplotlib.style.context("default"):
        figure = Figure(figsize=(6.4, 4), layout="constrained")
        axes = figure.subplots()
        for one in scored:
            curve = one.curve()
            style = "--" if one.name == "cscore:holdout" else "-"
            axes.plot(
                [int(n) for n in curve], list(curve.values()), style + "o", ms=4, label=one.name
            )
        axes.axvline(default, color="#8c8c8c", lw=1, ls=":")
        at = {"transform": axes.get_xaxis_transform(), "ha": "right"}
        axes.text(default, 0.02, "default ", color="#666666", **at)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.axhline(LEAST, color="#c44e52", lw=1, ls=":")
        axes.set_xlabel("networks, halved (holdout: repeats)")
        axes.set_ylabel("rank correlation of the two halves")
        axes.set_title(f"{data.name}, {len(data)} images", loc="left")
        axes.set_ylim(top=1)
        axes.grid(color="#e5e5e5", lw=0.8)
        axes.legend(frameon=False, fontsize=8)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=150, metadata={"Software": None})


def measure(arguments: Any, context: EngineContext, data: LabeledData) -> list[dict[str, Any]]:
    """All rows."""
    wall, cpu = time.perf_counter(), time.process_time()
    training: dict[str, Any] = {"epochs": arguments.epochs} if arguments.epochs else {}
    if arguments.width:
        training["network"] = {"component": "convnet", "width": arguments.width}
    networks = {"networks": arguments.networks} if arguments.networks else {}
    scored = []
    for name in ((PER_EPOCH,) if arguments.per_epoch else ()) + PASS:
        scored.append(Scored(name, data, context, {**training, **networks}))
        say(scored[-1])
    if arguments.repeats:
        left_out = {"epochs": arguments.holdout_epochs, "repeats": arguments.repeats}
        scored.append(Scored("cscore:holdout", data, context, {**training, **left_out}))
        say(scored[-1])
    default = DynamicsOptions().networks
    rows = [one.row() for one in scored]
    rows.append(matrix_row("rank correlation", scored, rank_correlation))
    for end in ("hardest", "easiest"):
        hard = end == "hardest"
        rows.append(
            matrix_row(
                f"{end} tenth shared",
                scored,
                lambda a, b, h=hard: end_overlap(a, b, 0.1, hardest=h),
            )
        )
    rows += [published_row(path, scored, data) for path in arguments.against]
    seconds = {"seconds": time.perf_counter() - wall, "cpu_seconds": time.process_time() - cpu}
    rows.append({"part": "all", "samples": len(data), "default_networks": default, **seconds})
    draw(scored, default, data, arguments.figure)
    return rows


def say(one: Scored) -> None:
    sys.stderr.write(f"{one.name}: {one.seconds:.0f} s, {one.curve()}\n")


def main(argv: Sequence[str]) -> None:
    flags = parser(__doc__)
    flags.add_argument("--data", default="cifar10", help="as for condense --data")
    flags.add_argument("--samples", type=int, default=10_000, help="the first so many")
    flags.add_argument(
        "--networks", type=int, default=None, help="of the dynamics pass; scorers' default"
    )
    flags.add_argument("--per-epoch", action="store_true", help="forgetting by epoch as well")
    flags.add_argument("--epochs", type=int, default=None, help="of the pass; scorers' default")
    flags.add_argument("--width", type=int, default=None, help="of the convnet; scorers' default")
    flags.add_argument("--holdout-epochs", type=int, default=12)
    flags.add_argument(
        "--store", type=Path, default=None, help="keep trainings; goes on from there"
    )
    flags.add_argument("--against", type=Path, action="append", default=[], metavar="FILE")
    flags.add_argument("--figure", type=Path, default=FIGURE, help="PNG to write")
    flags.set_defaults(repeats=2, out=HERE / "results" / "scores-cifar10-part.json")
    arguments = flags.parse_args(argv)
    data = bind(arguments.data).data.without_test()
    data = data.subset(torch.arange(min(arguments.samples, len(data))))
    with tempfile.TemporaryDirectory() as store:
        context = begin(arguments, arguments.store or Path(store))
        rows = measure(arguments, context, data)
    finish("scores", arguments, argv, rows, context.device)


if __name__ == "__main__":
    main(sys.argv[1:])
