"""The files of a comparison: ``compare.json``, ``.csv``, ``.tex``, ``.png`` and ``.svg``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes

from condense.figures.files import PANEL
from condense.figures.plots import PERCENT, Dot, Line, paint_dots, paint_over_sizes
from condense.kinds import RANDOM, WHOLE
from condense.studies.binding import Bind, study_folder
from condense.studies.files import csv_text, dot_of, ends, study_layout, write_study
from condense.studies.methods.design import Comparison
from condense.studies.methods.result import CompareDocument, ComparedRow

OWNED = study_layout("compare", "methods", "rows", more=("compare.tex",))


def compare_folder(comparison: Comparison, bind: Bind) -> Path:
    """Its folder by default, named after all that its results depend on."""
    others = [entry.recipe for entry in comparison.entries]
    settings = [list(comparison.seeds), comparison.validation]
    named = replace(comparison.base, method=f"{len(comparison.methods)}-methods")
    return study_folder("compare", named, others, settings, bind)


def write_comparison(document: CompareDocument, folder: Path) -> Path:
    """The files in ``folder``, as :func:`~condense.studies.files.write_study` writes them."""
    files = {"compare.csv": to_csv(document), "compare.tex": to_latex(document)}
    panels, size = panels_of(document)
    return write_study(folder, OWNED, document.to_json(), files, panels, size)


def to_csv(document: CompareDocument) -> str:
    """One line a row: its figures with their intervals, every seed."""
    return csv_text([_line(document, row) for row in document.rows])


def _line(document: CompareDocument, row: ComparedRow) -> dict[str, Any]:
    return {
        "method": row.method,
        "labels": row.labels,
        "ipc": row.ipc,
        "fraction": row.fraction,
        "n": len(row.accuracies) - row.accuracies.count(None),
        **ends(document.measure.replace(" ", "_"), row.accuracy),
        **ends("to_random", row.to_random),
        **ends("to_best", row.to_best),
        "p_to_best": row.p_to_best,
        "worst_class": row.worst_class,
        "seconds": row.seconds,
        "bytes": row.bytes,
        **{f"seed_{s}": a for s, a in zip(document.seeds, row.accuracies, strict=True)},
        "error": row.error,
    }


def to_latex(document: CompareDocument) -> str:
    r"""A table for a paper (``booktabs``): methods by columns, mean ± half of the interval in %.

    The best of a column is bold; what is not significantly lower is underlined.
    """
    columns = document.columns
    several = len({column[0].labels for column in columns}) > 1
    heads = [
        " ".join([size_of(column[0]), *([f"({column[0].labels})"] if several else [])])
        for column in columns
    ]
    lines = [
        r"% \usepackage{booktabs}",
        f"% {document.split} {document.measure}, %, mean and half of the 95 % interval over "
        f"{len(document.seeds)} seeds; bold: best, underlined: not significantly lower (Holm)",
        rf"\begin{{tabular}}{{l{'r' * len(columns)}}}",
        r"\toprule",
        " & ".join(["method", *map(_escaped, heads)]) + r" \\",
        r"\midrule",
    ]
    for rows in zip(*columns, strict=True):
        lines.append(" & ".join([_escaped(rows[0].method), *map(_figure, rows)]) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def _escaped(text: str) -> str:
    return "".join("\\" + sign if sign in "_%&#$" else sign for sign in text)


def _figure(row: ComparedRow) -> str:
    if row.accuracy is None:
        return "--"
    mean, half = f"{100 * row.accuracy.mean:.1f}", row.accuracy.half
    if row.is_best:
        mean = rf"\textbf{{{mean}}}"
    elif row.is_level:
        mean = rf"\underline{{{mean}}}"
    return mean if half is None else rf"{mean} $\pm$ {100 * half:.1f}"


def unit_of(row: ComparedRow) -> str:
    """Of the sizes that methods are drawn over."""
    return "samples a class" if row.ipc is not None else "% of every class"


def size_of(row: ComparedRow) -> str:
    """``"ipc 5"`` or ``"10 %"``."""
    return f"ipc {row.ipc}" if row.ipc is not None else f"{100 * (row.fraction or 0):g} %"


def panels_of(
    document: CompareDocument,
) -> tuple[list[Callable[[Axes], None]], tuple[float, float]]:
    """What is drawn, a panel a label regime, and the width and height of each in inches.

    Accuracy over the size of the sets where there are several sizes, else a dot a method.
    """
    regimes, label = document.regimes, document.label
    if any(len(columns) > 1 for columns in regimes.values()):
        return [partial(_paint_sizes, label, *each) for each in regimes.items()], (7.0, 5.6)
    rows = max(len(columns[0]) for columns in regimes.values())
    return [partial(_paint_one, label, *each) for each in regimes.items()], (
        PANEL[0],
        1.4 + 0.3 * rows,
    )


def _paint_one(
    label: str, labels: str, columns: Sequence[Sequence[ComparedRow]], axes: Axes
) -> None:
    dots = dots_of(columns[0])
    paint_dots(f"{label} (95 % interval)", dots, axes, limits=PERCENT)
    axes.set_title(f"{size_of(columns[0][0])}, labels {labels}", loc="left")


def dots_of(column: Sequence[ComparedRow]) -> list[Dot]:
    """The rows of ``column`` with their intervals, the arms beside the methods in a colour."""
    beside = (RANDOM, WHOLE)
    return [dot_of(r.method, r.accuracy, 0 if r.method in beside else None) for r in column]


def lines_of(columns: Sequence[Sequence[ComparedRow]]) -> list[Line]:
    """Accuracy in % of every method over the size of its sets."""
    found = []
    for rows in zip(*columns, strict=True):
        there = [(row, row.accuracy) for row in rows if row.accuracy is not None]
        x = [float(r.ipc) if r.ipc is not None else 100 * (r.fraction or 0) for r, _ in there]
        y = [100 * accuracy.mean for _, accuracy in there]
        half = [None if a.half is None else 100 * a.half for _, a in there]
        name = rows[0].method
        beside = name in (RANDOM, WHOLE)
        level = name == WHOLE and len(set(y)) == 1
        found.append(Line(name, tuple(x), tuple(y), tuple(half), muted=beside, level=level))
    return [line for line in found if line.x]


def _paint_sizes(
    label: str, labels: str, columns: Sequence[Sequence[ComparedRow]], axes: Axes
) -> None:
    names = unit_of(columns[0][0]), f"{label}, labels {labels}"
    paint_over_sizes(names, lines_of(columns), "o", axes, limits=PERCENT)
