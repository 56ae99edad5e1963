"""The figures of docs/questions.md, out of the rows of every question."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import cycle
from pathlib import Path
from statistics import fmean

from matplotlib.axes import Axes

from _questions.answers.augmentations import HALVES, OTHERS, augmentation_pairs
from _questions.answers.common import Rows, by_set, grouped, name
from _questions.answers.scale import Cost, arms_of, cost_of, forecast
from _questions.answers.scores import Worth, by_data, worth
from _questions.answers.starts import start_pairs
from _questions.scale import SIZES
from condense.figures.files import save_figure
from condense.figures.palette import LIGHT
from condense.studies.statistics import difference, estimate

SIZE, MOST = (3.4, 3.2), 4  # of a panel, inches; panels in a row
SHOWN_BELOW = 20  # points below the top of the lowest curve
STYLES = ("-", "--", ":")  # in turn, where there are more curves than colours
Painters = Iterable[Callable[[Axes], None]]


def draw(rows: Mapping[str, Rows], folder: Path) -> list[Path]:
    """``question-NAME.png`` of what was run; their paths without an ending."""
    found = []
    for title, (question, painters) in FIGURES.items():
        own = list(painters(rows.get(question, ())))
        if own:
            found.append(folder / f"question-{title}")
            save_figure(found[-1], own, size=SIZE, most=MOST, endings=("png",))
    return found


def blocks(drawn: Iterable[Path]) -> dict[str, str]:
    """Of the page, the figures that there are, each described as its painter is."""
    there = {path.name for path in drawn}
    found = {}
    for title, (_, painters) in FIGURES.items():
        name, said = f"question-{title}", " ".join((painters.__doc__ or title).split()).rstrip(".")
        found[f"figure-{title}"] = f"![{said}](images/{name}.png)" if name in there else ""
    return found


def windows(rows: Rows) -> Iterator[Callable[[Axes], None]]:
    """Accuracy over β ± 95 %, a panel a data set and a curve a size; its top 20 points."""
    places = [row for row in rows if "accuracies" in row]
    sizes = sorted({row["fraction"] for row in places})
    for (data,), own in grouped(places, "set").items():
        yield partial(_window, data, own, dict(zip(sizes, LIGHT, strict=False)))


def _window(data: str, rows: Rows, colours: Mapping[float, str], axes: Axes) -> None:
    lowest: list[float] = []
    for (fraction,), curve in grouped(rows, "fraction").items():
        found = [estimate(row["accuracies"]) for row in curve]
        means = [100 * one.mean for one in found if one is not None]
        halves = [100 * (one.half or 0.0) for one in found if one is not None]
        style = {"color": colours[fraction], "marker": ".", "label": f"{100 * fraction:g} %"}
        axes.errorbar([row["beta"] for row in curve], means, halves, elinewidth=0.6, **style)
        lowest.append(max(means) - SHOWN_BELOW)
    axes.set(title=data, xlabel="β", ylabel="test accuracy, %")
    axes.set_ylim(bottom=max(axes.get_ylim()[0], min(lowest)))
    axes.legend(title="kept")


def scores(rows: Rows) -> Iterator[Callable[[Axes], None]]:
    """Accuracy over the share of flipped labels, a curve a score."""
    noises = sorted({row["noise"] for row in rows if "scorer" in row})
    if len(noises) > 1:
        yield partial(_scores, {noise: worth(rows, noise) for noise in noises})


def _scores(values: Mapping[float, Worth], axes: Axes) -> None:
    styles = cycle(style for style in STYLES for _ in LIGHT)
    for scorer in dict.fromkeys(scorer for own in values.values() for scorer in own):
        known = {n: own[scorer] for n, own in values.items() if own.get(scorer)}
        means = [100 * fmean(by_data(each)) for each in known.values()]
        axes.plot([100 * n for n in known], means, next(styles), marker=".", label=scorer)
    axes.set(xlabel="flipped labels, %", ylabel="test accuracy, %, mean over data sets")
    axes.legend(ncols=2)


def scale(rows: Rows) -> Iterator[Callable[[Axes], None]]:
    """Seconds, memory and what SelMatch is ahead of random samples by, over the number of images,
    a curve a number of classes; dashed where forecast."""
    if rows:
        yield partial(_costs, rows, "seconds", lambda cost: cost.seconds)
        yield partial(_costs, rows, "memory, MB", lambda cost: cost.memory)
        yield partial(_gains, rows)


def _costs(rows: Rows, what: str, value: Callable[[Cost], float], axes: Axes) -> None:
    for colour, ((classes,), own) in zip(LIGHT, grouped(rows, "classes").items(), strict=False):
        known = {row["samples"]: value(cost_of(row)) for row in own}
        style = {"color": colour, "marker": "."}
        axes.plot(list(known), list(known.values()), label=f"{classes} classes", **style)
        last = max(known)
        for samples in (n for n, many in SIZES if many == classes and n > last):
            cost = forecast(rows, samples, classes)
            if cost is not None:
                axes.plot([last, samples], [known[last], value(cost)], "--", **style)
    axes.set(xlabel="images", ylabel=what)
    axes.set_ylim(bottom=0)
    axes.legend()


def _gains(rows: Rows, axes: Axes) -> None:
    for colour, ((classes,), own) in zip(LIGHT, grouped(rows, "classes").items(), strict=False):
        points = [100 * (selmatch - random) for selmatch, random in map(arms_of, own)]
        label = f"{classes} classes"
        axes.plot([row["samples"] for row in own], points, ".-", color=colour, label=label)
    axes.set(xlabel="images", ylabel="SelMatch − random, points, one seed")
    axes.set_ylim(bottom=0)
    axes.legend()


def starts(rows: Rows) -> Iterator[Callable[[Axes], None]]:
    """Points over a random start by setting, a panel with and one without matching; beyond five
    points the axis is logarithmic."""
    for matcher, title in (("trajectory", "matched"), ("none", "as it is")):
        if any(row["matcher"] == matcher for row in rows):
            yield partial(_starts, rows, matcher, title)


def _starts(rows: Rows, matcher: str, title: str, axes: Axes) -> None:
    names = [start for start in dict.fromkeys(row["start"] for row in rows) if start != "random"]
    settings: list[str] = []
    for shift, start in enumerate(names):
        pairs = start_pairs(rows, matcher, start)
        settings = [name(key) for key in pairs]
        found = [difference(own, base) for own, base in pairs.values()]
        known = [(k, one) for k, one in enumerate(found) if one is not None]
        axes.errorbar(
            [100 * one.mean for _, one in known],
            [k + 0.2 * shift for k, _ in known],
            xerr=[100 * (one.half or 0.0) for _, one in known],
            fmt="o", label=start,
        )  # fmt: skip
    axes.axvline(0, color="grey", linewidth=0.8)
    axes.set_xscale("symlog", linthresh=5)
    axes.set_xticks([-50, -5, 0, 5, 20], ["−50", "−5", "0", "5", "20"])
    axes.set_xlabel(f"points over a random start, ± 95 %:\n{title}")
    axes.set_yticks(range(len(settings)), settings)
    _legend_above(axes)


def _legend_above(axes: Axes) -> None:
    """In one row over the axes, where its dots are not taken for some of theirs."""
    row = {"handlelength": 1.0, "handletextpad": 0.3, "columnspacing": 1.0, "ncols": 3}
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), **row)


def updates(rows: Rows) -> Iterator[Callable[[Axes], None]]:
    """Change of coverage over the iterations ± 95 % over runs, a panel a data set; the hard half
    drawn through, the easy one dashed."""
    for (data,), own in grouped(rows, "set").items():
        yield partial(_updates, data, own)


def _updates(data: str, rows: Rows, axes: Axes) -> None:
    by_alpha = sorted(grouped(rows, "alpha").items())
    ends = [by_alpha[0], *by_alpha[1:][-1:]]
    for shift, ((alpha,), own) in enumerate(ends):
        iterations = [at["iteration"] + shift for at in own[0]["coverage"]]
        for half, line in (("hard", "-"), ("easy", "--")):
            columns = zip(
                *([at[half] - row["coverage"][0][half] for at in row["coverage"]] for row in own),
                strict=True,
            )
            found = [one for one in map(estimate, columns) if one is not None]
            axes.errorbar(
                iterations, [100 * one.mean for one in found],
                [100 * (one.half or 0.0) for one in found],
                color=LIGHT[shift], linestyle=line, elinewidth=0.8, label=f"α = {alpha:g}, {half}",
            )  # fmt: skip
    axes.axhline(0, color="grey", linewidth=0.8)
    axes.set(title=data, xlabel="iteration", ylabel="change of coverage, points")
    axes.legend()


def augmentations(rows: Rows) -> Iterator[Callable[[Axes], None]]:
    """Points that combined is ahead of each of its halves, ± 95 % over seeds, a panel a data
    set."""
    for (data,), own in grouped(rows, "set").items():
        if any(augmentation_pairs(own, other, "all") for other in OTHERS):
            yield partial(_augmentations, data, own)


def _augmentations(data: str, rows: Rows, axes: Axes) -> None:
    for shift, other in enumerate(OTHERS):
        found = [by_set(augmentation_pairs(rows, other, half)).get(data) for half in HALVES]
        known = [(k, one) for k, one in enumerate(found) if one is not None]
        axes.errorbar(
            [k + 0.1 * shift for k, _ in known],
            [100 * one.mean for _, one in known],
            yerr=[100 * (one.half or 0.0) for _, one in known],
            fmt="o", label=f"combined − {other}",
        )  # fmt: skip
    axes.axhline(0, color="grey", linewidth=0.8)
    axes.set_xticks(range(len(HALVES)), HALVES)
    axes.set(xlabel=data, ylabel="points, ± 95 %")
    _legend_above(axes)


FIGURES: dict[str, tuple[str, Callable[[Rows], Painters]]] = {
    "window": ("1-window", windows),
    "scores": ("2-scores", scores),
    "scale": ("3-scale", scale),
    "starts": ("5-start", starts),
    "coverage": ("6-update", updates),
    "augmentation": ("6-update", augmentations),
}
