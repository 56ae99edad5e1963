"""The three questions of docs/experiments.md, on the CIFAR-10 part at 50 images a class.

    python benchmarks/tuning.py --data npz:cifar10.npz --ipc 50
    python benchmarks/experiments.py --data npz:cifar10.npz

1. Accuracy over β: only drawn here, from the file that `tuning.py` wrote.
2. Coverage under full and partial update over the iterations, easy and hard test samples apart.
3. Accuracy under combined, DSA alone and crop and flip alone, easy and hard apart.

Runs the commands that a user would type, so whatever is in the store is not done again. Writes
`results/experiments-cpu.json` and the figures.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib.style
import torch
from _common import HERE, finish, parser
from matplotlib.axes import Axes
from matplotlib.figure import Figure

IMAGES = HERE.parent / "docs" / "images"
SETS = {
    "partial": ("-o", "policy.alpha=0.5"),
    "full": ("-o", "policy=full"),
    "random": ("--method", "random"),
}
AUGMENTATIONS = ("combined", "dsa", "simple")
HALVES = ("all", "easy", "hard")
COLOURS = {"all": "#333333", "easy": "#4271ae", "hard": "#c44e52"}


def condense(*arguments: str | Path) -> dict[str, Any]:
    """The document that ``condense … --json`` prints."""
    command = [sys.executable, "-m", "condense.cli.main", *map(str, arguments), "--json"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def make_sets(arguments: Any, work: Path) -> list[Path]:
    """The condensed sets, equal but for what :data:`SETS` says."""
    for name, own in SETS.items():
        matching = ("-o", f"matcher.iterations={arguments.iterations}")
        marks = [arguments.iterations * part // 6 for part in (1, 2, 4)]
        matching += ("-o", f"matcher.snapshots={marks}")
        condense(
            *("run", "--preset", arguments.preset, "--data", arguments.data, "--no-baselines"),
            *("-o", f"evaluator.repeats={arguments.repeats}", "--out", work / name, "--force"),
            *(() if name == "random" else matching),
            *own,
        )
    return [work / name for name in SETS]


def coverage_rows(sets: Sequence[Path], seeds: int, work: Path) -> list[dict[str, Any]]:
    """One row a set, iteration and feature network."""
    rows = []
    for seed in range(seeds):
        out = work / f"covered-{seed}"
        result = condense("coverage", *sets, "-o", f"evaluator.feature_seed={seed}", "--out", out)
        for run in result["runs"]:
            name = Path(run["artefact"]).name
            for point in run["iterations"]:
                rows.append({"part": "coverage", "set": name, "feature_seed": seed, **point})
    return rows


def difficulty_rows(made: Path, seeds: int) -> list[dict[str, Any]]:
    """One row an augmentation and seed: accuracy on all, easy and hard test samples."""
    rows = []
    for name in AUGMENTATIONS:
        for seed in range(seeds):
            given = ("--by-difficulty", "--seed", str(seed), "-o", f"augmentation={name}")
            result = condense("evaluate", made, *given)
            row = {"part": "difficulty", "augmentation": name, "seed": seed}
            rows.append(row | result["by_difficulty"] | {"networks": result["accuracy"]["n"]})
    return rows


def spread(values: Sequence[float]) -> tuple[float, float]:
    """Mean and standard error; 0 for one value."""
    error = statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else 0.0
    return statistics.fmean(values), error


def differences(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each augmentation less combined, in pairs over the seeds: mean and standard error."""
    found: list[dict[str, Any]] = []
    base = [r for r in rows if r["augmentation"] == "combined"]
    for name in AUGMENTATIONS[1:]:
        own = [r for r in rows if r["augmentation"] == name]
        row: dict[str, Any] = {"part": "to combined", "augmentation": name}
        for half in HALVES:
            pairs = zip(own, base, strict=True)
            row[half], row[f"{half} ±"] = spread([a[half] - b[half] for a, b in pairs])
        found.append(row)
    return found


def draw_beta(axes: Axes, document: dict[str, Any]) -> None:
    """Validation accuracy over β, with standard errors."""
    grid = [row for row in document["rows"] if row.get("arm") == "grid"]
    x, y = [r["value"] for r in grid], [100 * r["accuracy"] for r in grid]
    error = [100 * r["standard_error"] for r in grid]
    axes.errorbar(x, y, yerr=error, fmt="-o", ms=4, capsize=3, color=COLOURS["easy"])
    axes.set_xlabel("β, share of each class skipped")
    axes.set_ylabel("validation accuracy, %")


def draw_coverage(axes: Axes, rows: Sequence[dict[str, Any]]) -> None:
    """Mean over the feature networks; easy dashed, hard solid; random a level line."""
    styles = {"partial": COLOURS["easy"], "full": COLOURS["hard"], "random": "#8c8c8c"}
    last = max(row["iteration"] for row in rows)
    for name, colour in styles.items():
        own = [r for r in rows if r["set"] == name]
        places = sorted({r["iteration"] for r in own})
        for half, style in (("easy", "--"), ("hard", "-")):
            means = [
                100 * statistics.fmean(r[half] for r in own if r["iteration"] == at)
                for at in places
            ]
            level = len(places) == 1
            x, y = ([0, last], means * 2) if level else (places, means)
            marker = "" if level else "o"
            label = f"{name}, {half}"
            axes.plot(x, y, style, marker=marker, ms=4, color=colour, label=label)
    axes.set_xlabel("matching iteration")
    axes.set_ylabel("test samples covered, %")
    axes.legend(frameon=False, fontsize=8, ncols=3)


def draw_difficulty(axes: Axes, rows: Sequence[dict[str, Any]]) -> None:
    """Accuracy by augmentation, mean and standard error over the seeds."""
    for k, half in enumerate(HALVES):
        found = [spread([r[half] for r in rows if r["augmentation"] == a]) for a in AUGMENTATIONS]
        places = [i + (k - 1) * 0.25 for i in range(len(AUGMENTATIONS))]
        means, errors = [100 * m for m, _ in found], [100 * e for _, e in found]
        axes.bar(places, means, 0.23, yerr=errors, capsize=3, color=COLOURS[half], label=half)
    axes.set_xticks(range(len(AUGMENTATIONS)), AUGMENTATIONS)
    axes.set_ylabel("test accuracy, %")
    axes.legend(frameon=False, fontsize=8)


def save(name: str, draw: Any, *given: Any) -> None:
    """``docs/images/experiment-NAME.png``."""
    with matplotlib.style.context("default"):
        figure = Figure(figsize=(6.4, 4), layout="constrained")
        axes = figure.subplots()
        draw(axes, *given)
        axes.grid(axis="y", color="#e5e5e5", lw=0.8)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        figure.savefig(IMAGES / f"experiment-{name}.png", dpi=150, metadata={"Software": None})


def main(argv: Sequence[str]) -> None:
    flags = parser(__doc__)
    flags.add_argument("--data", default="cifar10", help="as for condense --data")
    flags.add_argument("--preset", default="cpu-cifar10-ipc50")
    flags.add_argument("--iterations", type=int, default=150, help="of matching")
    flags.add_argument("--seeds", type=int, default=3, help="of evaluation, in part 3")
    flags.add_argument("--feature-seeds", type=int, default=2, help="feature networks, in part 2")
    flags.add_argument(
        "--tuning", type=Path, default=HERE / "results/tuning-cifar10-ipc50-cpu.json"
    )
    flags.add_argument("--work", type=Path, default=None, help="where the sets go; temporary")
    flags.set_defaults(repeats=3)
    arguments = flags.parse_args(argv)
    torch.set_num_threads(arguments.threads)
    with tempfile.TemporaryDirectory() as temporary:
        work = arguments.work or Path(temporary)
        sets = make_sets(arguments, work)
        covered = coverage_rows(sets, arguments.feature_seeds, work)
        difficulty = difficulty_rows(sets[0], arguments.seeds)
    rows = [*covered, *difficulty, *differences(difficulty)]
    if arguments.tuning.is_file():
        save("beta", draw_beta, json.loads(arguments.tuning.read_text()))
    save("coverage", draw_coverage, covered)
    save("difficulty", draw_difficulty, difficulty)
    finish("experiments", arguments, argv, rows, torch.device("cpu"))


if __name__ == "__main__":
    main(sys.argv[1:])
