"""Studies of how small a set may be: methods side by side, the smallest size that is enough."""

from __future__ import annotations

from functools import partial

from condense.engine.documents import OWN
from condense.figures.formats import counted
from condense.figures.plots import PERCENT, dots_figure, lines_figure, painted, present
from condense.kinds import RANDOM, WHOLE
from condense.report.page.study import StudyView, with_codes
from condense.report.page.tables import TableCell, TableView, cell, differing, mean
from condense.spelling import on_command_line
from condense.studies.methods.files import dots_of, lines_of, size_of, unit_of
from condense.studies.methods.result import CompareDocument, ComparedRow
from condense.studies.shrinking.files import lines_of as curves_of, paint_curve
from condense.studies.shrinking.result import ShrinkDocument


def methods_view(name: str, path: str, document: CompareDocument) -> StudyView:
    """A table a label regime and size, accuracy over the size, and what each method costs."""
    tables, drawn = [], []
    headers = (
        "method",
        f"{document.measure}, %",
        "over random, points",
        "worst class, %",
        "seconds",
        "kB",
        "note",
    )
    for number, column in enumerate(document.columns, 1):
        title = f"{size_of(column[0])}, labels {column[0].labels}"
        rows = [
            (
                TableCell(row.method, marked=row.is_best),
                mean(row.accuracy),
                differing(row.to_random),
                cell(None if row.worst_class is None else 100 * row.worst_class, "{:.1f}"),
                cell(row.seconds, "{:.1f}"),
                cell(None if row.bytes is None else row.bytes / 1000, "{:.1f}"),
                TableCell(_standing(row)),
            )
            for row in column
        ]
        caption = f"{title}: {document.split} {document.measure}, mean ± half of its 95 % interval"
        tables.append(
            TableView(f"{name}-{number}", caption, headers, tuple(rows), wide=2, remarks=True)
        )
    for labels, columns in document.regimes.items():
        if len(columns) > 1:
            axes = (unit_of(columns[0][0]), document.label)
            title = f"Accuracy over size, labels {labels}"
            drawing = f"{name}-{labels}", title, axes, lines_of(columns)
            figure = lines_figure(*drawing, marker="o", log=True, limits=PERCENT)
        else:
            dots = [dot for dot in dots_of(columns[0]) if dot.mean is not None]
            title = f"Methods, labels {labels}"
            figure = dots_figure(f"{name}-{labels}", title, document.label, dots, PERCENT)
        drawn.append(figure)
    words = [
        f"{len(document.methods)} methods on {document.data}, "
        f"{counted(len(document.seeds), 'seed')}, each arm for the same number of optimiser "
        "steps. Significance by a paired t test over the seeds with Holm's correction."
    ]
    if document.validation is not None:
        words.append(
            f"Validated on {document.validation.held_out} training samples held out; the test "
            "split was not read."
        )
    return StudyView(name, "Methods", path, tuple(words), present(*drawn), tuple(tables))


def _standing(row: ComparedRow) -> str:
    if row.error is not None:
        return f"failed: {on_command_line(row.error)}"
    standing = "highest" if row.is_best else "not significantly lower" if row.is_level else ""
    return with_codes(standing, row.findings)


def shrinking_view(name: str, path: str, document: ShrinkDocument) -> StudyView:
    """The answer, and the metric over the size that it was read from."""
    label = f"{document.metric}, %"
    title = f"{document.metric} over size, held-out part"
    drawn = painted(f"{name}-curve", title, curves_of(document), partial(paint_curve, document))
    rows = [
        (
            TableCell(point.method),
            cell(point.samples),
            TableCell(f"{100 * point.mean:.1f} ({100 * point.low:.1f} to {100 * point.high:.1f})"),
            cell(100 * point.mean / (document.whole.mean or 1), "{:.1f}"),
        )
        for point in (*document.curve, document.whole)
    ]
    headers = ("method", "samples", f"{label}, interval", "of the whole's, %")
    tables = [TableView(f"{name}-table", "On the held-out part", headers, tuple(rows))]
    if document.test is not None:
        arms = [(arm, getattr(document.test, arm)) for arm in (OWN, RANDOM, WHOLE)]
        tested = [(TableCell(arm), cell(100 * value, "{:.2f}")) for arm, value in arms]
        caption = "On the test split, read once"
        tables.append(TableView(f"{name}-test", caption, ("arm", f"test {label}"), tuple(tested)))
    words = [
        f"{document.data}: {document.verdict}.",
        *([f"{document.beside_random}."] if document.beside_random else []),
        *(f"{one} is left out: {on_command_line(why)}" for one, why in document.errors.items()),
        *(on_command_line(note.message) for note in document.findings),
    ]
    return StudyView(name, "Shrinking", path, tuple(words), present(drawn), tuple(tables))
