"""The files of a tuning: ``tune.json``, ``tune.csv``, ``tune.png`` and ``recipe.toml``."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from condense.engine.runtime.files import default_path, replace_folder
from condense.figures.axes import PLAIN
from condense.figures.palette import SERIES
from condense.recipe import Recipe
from condense.studies.tuning.curve import CONCAVE, NOT_CONCAVE, WITHIN
from condense.studies.tuning.result import Arm, Stage, Tuning
from condense.studies.tuning.search import LIMIT, NARROW, NOISE
from condense.studies.tuning.settings import Settings

JSON = "tune.json"
OWNED = (JSON, "tune.*", "recipe.toml")
GUESS, FINAL = "#8c8c8c", "#dd8452"
SHAPES = {
    CONCAVE: "The curve is concave: every second difference is negative beyond its 95 % interval.",
    WITHIN: "The curve is concave within noise: no second difference is positive beyond its 95 % "
    "interval, but not all are negative beyond it.",
}


def tuning_folder(base: Recipe, over: Mapping[str, Sequence[str]], settings: Settings) -> Path:
    """``runs/tune-METHOD-DATA-HASH``; equal questions, equal folders."""
    parts = [base.to_dict(), {k: list(v) for k, v in over.items()}, vars(settings)]
    return default_path(f"tune-{base.method}", base["data"].name, parts)


def write_tuning(result: Tuning, folder: Path) -> Path:
    """The files in ``folder``, all or nothing; equal results give equal bytes.

    Args:
        result: what was found.
        folder: replaced if it holds a tuning already.

    Raises:
        OutputError: if it cannot be written or holds something else.
    """

    def fill(draft: Path) -> None:
        text = json.dumps(result.to_json(), indent=2, allow_nan=False)
        (draft / JSON).write_text(text + "\n", encoding="utf-8")
        (draft / "tune.csv").write_text(to_csv(result), encoding="utf-8")
        best = result.best
        if best is not None and best.tuned is not None:
            draw(result, draft / "tune.png")
            (draft / "recipe.toml").write_text(best.tuned.to_toml(), encoding="utf-8")

    return replace_folder(folder, fill, OWNED)


def to_csv(result: Tuning) -> str:
    """One line a place: arm, values, accuracy with its standard error, the guess, every seed."""
    stages = [(arm, stage) for arm in result.arms for stage in arm.stages]
    keys = list(dict.fromkeys(key for _, stage in stages for key in stage.keys))
    seeds = max((len(row.accuracies) for _, s in stages for row in s.rows), default=0)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    head = [
        "arm",
        *keys,
        "matched",
        "full_length",
        "best",
        "n",
        "accuracy",
        "standard_error",
        "guess",
    ]
    writer.writerow([*head, *(f"seed_{result.base.seed + i}" for i in range(seeds))])
    for arm, stage in stages:
        for row in (*stage.rows, *stage.finals):
            named = dict(zip(stage.keys, row.values, strict=True))
            point = row.point
            figures = [len(row.accuracies), point.mean, point.standard_error, row.guess]
            full = any(row is final for final in stage.finals)
            marks = [int(stage.matched), int(full), int(row is stage.top)]
            rest = [None] * (seeds - len(row.accuracies))
            values = [named.get(key) for key in keys]
            writer.writerow([arm.name, *values, *marks, *figures, *row.accuracies, *rest])
    return out.getvalue()


def in_words(stage: Stage) -> list[str]:
    """Where the best lies, how sure that is, and whether the curve is concave."""
    named = zip(stage.keys, stage.best.values, strict=True)
    top = ", ".join(f"{key} = {value:g}" for key, value in named)
    point = stage.top.point
    error = "" if point.standard_error is None else f" ± {100 * point.standard_error:.2f}"
    n = len(point.values)
    seeds = "1 seed" if n == 1 else f"{n} seeds"
    length = " at full length" if stage.finals else ""
    lines = [f"Best: {top}, at {100 * point.mean:.2f}{error} %{length} ({seeds})."]
    if stage.plateau is not None and stage.plateau[0] < stage.plateau[1]:
        low, high = stage.plateau
        lines.append(
            f"Plateau: from {low:g} to {high:g} no value tried is told apart from it "
            "by more than a paired standard error."
        )
    if stage.edge is not None:
        lines.append(
            f"It lies at the edge of the range {stage.ranges[0][0]:g} to "
            f"{stage.ranges[0][1]:g} ({stage.edge} value)."
        )
    why = {
        NARROW: "The search narrowed down to its tolerance.",
        NOISE: "The search stopped where noise hides the optimum.",
        LIMIT: "The search stopped at its limit of evaluations.",
    }
    lines += [why[stage.stop]] if stage.stop in why else []
    if stage.shape is None:
        return lines
    verdict, dents = stage.shape.verdict, stage.shape.dents
    if verdict == NOT_CONCAVE:
        places = ", ".join(f"{at:g}" for at in dents)
        lines.append(
            f"The curve is not concave: it bends upwards beyond its 95 % interval at {places}. "
            "Which samples are selected matters beside the value; other scores may move its top."
        )
    elif verdict in SHAPES:
        lines.append(SHAPES[verdict])
    else:
        lines.append("Whether the curve is concave takes three values and two seeds to tell.")
    return lines


def draw(result: Tuning, path: Path) -> Path:
    """A PNG at ``path``: a panel for every key, a curve with error bars for every arm."""
    done = [arm for arm in result.arms if arm.stages]
    keys = list(dict.fromkeys(k for arm in done for stage in arm.stages for k in stage.keys))
    with matplotlib.style.context(["default", PLAIN]):
        figure = Figure(figsize=(1.0 + 5.2 * len(keys), 4.2), layout="constrained")
        FigureCanvasAgg(figure)
        panels = figure.subplots(1, len(keys), squeeze=False)[0]
        for axes, key in zip(panels, keys, strict=True):
            for number, arm in enumerate(done):
                for stage in (s for s in arm.stages if key in s.keys):
                    _draw_stage(axes, arm, stage, key, number, alone=len(done) == 1)
            axes.set_xlabel(key)
            axes.grid(color="#e5e5e5", lw=0.8)
            axes.set_axisbelow(True)
            axes.spines[["top", "right"]].set_visible(False)
            axes.legend(loc="best", frameon=False, fontsize=8)
        panels[0].set_ylabel("validation accuracy, % (± standard error)")
        panels[0].set_title(f"{result.base.method} on {result.data}", loc="left")
        figure.savefig(path, dpi=150, metadata={"Software": None})
    return path


def _draw_stage(axes: Axes, arm: Arm, stage: Stage, key: str, number: int, alone: bool) -> None:
    colour = SERIES[number % len(SERIES)]
    place = stage.keys.index(key)
    rows = sorted(stage.rows, key=lambda row: row.values[place])
    at = [row.values[place] for row in rows]
    means = [100 * row.point.mean for row in rows]
    errors = [100 * (row.point.standard_error or 0.0) for row in rows]
    what = "matched" if stage.matched else "selection alone"
    label = what if alone else arm.name
    line = "-" if len(stage.keys) == 1 else ""
    axes.errorbar(at, means, yerr=errors, fmt="o" + line, color=colour, ms=4, lw=1.2, capsize=3,
                  label=label)  # fmt: skip
    best = stage.best
    axes.plot([best.values[place]], [100 * best.point.mean], "o", ms=10, mfc="none", color=colour)
    for row in stage.finals:
        axes.errorbar([row.values[place]], [100 * row.point.mean],
                      yerr=[100 * (row.point.standard_error or 0.0)], fmt="D", color=FINAL, ms=5,
                      capsize=3, label="at full length" if row is stage.finals[0] and alone
                      else None)  # fmt: skip
    if stage.plateau is not None and stage.plateau[0] < stage.plateau[1] and alone:
        axes.axvspan(*stage.plateau, color=colour, alpha=0.12, lw=0, label="plateau")
    if stage.guessed is not None and alone:
        curve = stage.guessed.curve
        axes.plot([x for x, _ in curve], [100 * y for _, y in curve], "--", color=GUESS, lw=1.2,
                  label="guess, without training")  # fmt: skip
