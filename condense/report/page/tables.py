"""The tables of a report: text to read, beside the value it was formatted from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from condense.figures.formats import arm_name, percent, points, seconds
from condense.report.page.runs import ArmView, ClassView, RunView
from condense.studies.statistics import Estimate, unpaired

EACH = 10  # classes listed at either end where they are many
CROSSED = 4  # runs that are each held against each other; of more, all against the first
LISTED = 20  # classes that are listed one by one


@dataclass(frozen=True)
class TableCell:
    """A cell.

    Attributes:
        text: to be read.
        value: the figure it was formatted from, at full precision.
        marked: whether it is set apart from the others.
        note: further text, less prominent.
        span: columns that it takes.
    """

    text: str
    value: float | None = None
    marked: bool = False
    note: str = ""
    span: int = 1


@dataclass(frozen=True)
class TableView:
    """A table whose first column heads its rows.

    Attributes:
        name: unique on the page.
        caption: what it holds.
        headers: of the columns.
        rows: as many cells each, or fewer where one spans columns.
        wide: how many of the leading columns hold words rather than figures.
        remarks: whether the last column holds words, which may be long.
    """

    name: str
    caption: str
    headers: tuple[str, ...]
    rows: tuple[tuple[TableCell, ...], ...]
    wide: int = 1
    remarks: bool = False

    def kind(self, column: int) -> str:
        """Class of ``column``, counted from 1: ``"words"``, ``"remark"`` or ``"figure"``."""
        if column <= self.wide:
            return "words"
        return "remark" if self.remarks and column == len(self.headers) else "figure"


def cell(value: float | None, form: str | Callable[[float], str] = "{}") -> TableCell:
    """``value`` as ``form`` writes it; ``"–"`` for what is not known."""
    if value is None:
        return TableCell("–")
    return TableCell(form.format(value) if isinstance(form, str) else form(value), value)


def mean(value: Estimate | None) -> TableCell:
    """``"97.58 ± 0.31"`` in %; the interval of a single value is not known."""
    return _with_interval(value, percent)


def differing(value: Estimate | None) -> TableCell:
    """A difference in points."""
    return _with_interval(value, points)


def _with_interval(value: Estimate | None, form: Callable[[float], str]) -> TableCell:
    if value is None:
        return TableCell("–")
    half = "" if value.half is None else f" ± {percent(value.half)}"
    return TableCell(form(value.mean) + half, value.mean)


def heads(there: Sequence[RunView], runs: Sequence[RunView]) -> list[str]:
    """What the columns of those ``there`` are called, among ``runs``."""
    return [run.label if len(runs) == 1 else f"{run.letter} {run.label}" for run in there]


def measures(runs: Sequence[RunView]) -> tuple[str, ...]:
    """What the figures of ``runs`` are; those of two never stand in one table, or on one axis."""
    return tuple(dict.fromkeys(run.measure for run in runs))


def named(name: str, runs: Sequence[RunView], measure: str) -> str:
    """What is called ``name`` of the first measure, of any other with its number."""
    number = measures(runs).index(measure) + 1
    return name if number == 1 else f"{name}-{number}"


def named_arms(runs: Sequence[RunView], measure: str) -> list[tuple[str, ArmView, RunView]]:
    """What was evaluated by ``measure``, the sets before what they stand beside, with their runs.

    Baselines that several runs have in common, to the digit, are there once. Names have the letters
    of their runs unless they are of all of them.
    """
    there = [run for run in runs if run.measure == measure]
    own = [(run.own, [run]) for run in there if run.own is not None]
    shared: dict[tuple[str, tuple[float, ...]], tuple[ArmView, list[RunView]]] = {}
    for run in there:
        for arm in run.arms:
            if not arm.is_own:
                shared.setdefault((arm.name, arm.values), (arm, []))[1].append(run)
    found = []
    for arm, of in (*own, *shared.values()):
        letters = "" if len(of) == len(runs) else " ".join(run.letter for run in of) + " "
        name = arm.name if arm.is_own else arm_name(arm.name, of[0].method)
        found.append((letters + name, arm, of[0]))
    return found


def accuracy_table(runs: Sequence[RunView], measure: str) -> TableView | None:
    """Every arm of every run of ``measure``."""
    rows = [
        (
            TableCell(name, marked=arm.is_own),
            TableCell(arm.augmentation or "–"),
            mean(Estimate(mean=arm.mean, half=arm.half, n=arm.n)),
            differing(arm.gain),
            cell(arm.n),
        )
        for name, arm, _ in named_arms(runs, measure)
    ]
    headers = ("set", "augmentation", f"{measure}, %", "over random, points", "networks")
    caption = f"Test {measure}, mean ± half of its 95 % interval (Student’s t over networks)"
    name = named("accuracies", runs, measure)
    return TableView(name, caption, headers, tuple(rows), wide=2) if rows else None


def gaps_table(runs: Sequence[RunView], measure: str) -> TableView | None:
    """Each set minus each later one, of those on the same data; with many, minus the first."""
    there = [run for run in runs if run.own is not None and run.measure == measure]
    pairs = [
        (one, other)
        for place, one in enumerate(there)
        for other in there[:place]
        if one.measured_on == other.measured_on and (len(there) <= CROSSED or other is there[0])
    ]
    rows = [
        (
            TableCell(f"{other.letter} − {one.letter}"),
            TableCell(f"{other.label} minus {one.label}"),
            differing(unpaired(other.own.values, one.own.values)),
        )
        for one, other in pairs
        if one.own is not None and other.own is not None
    ]
    headers = ("sets", "", "points")
    caption = f"Differences in {measure}, mean ± half of the 95 % interval (Welch’s t)"
    name = named("gaps", runs, measure)
    return TableView(name, caption, headers, tuple(rows), wide=2) if rows else None


def setup_table(runs: Sequence[RunView]) -> TableView:
    """What was run, a column a run; rows in which all are alike are one cell."""
    rows: list[tuple[str, list[tuple[str, str]]]] = [
        ("method", [(run.method, "") for run in runs]),
        ("kept", [(run.size, "") for run in runs]),
        ("samples", [(str(run.samples), f"{run.distilled} of them distilled") for run in runs]),
        ("seed", [(str(run.seed), "") for run in runs]),
    ]
    if any(run.labels for run in runs):
        rows.append(("labels", [("soft" if r.labels else "plain", r.labels) for r in runs]))
    for stage in dict.fromkeys(view.stage for run in runs for view in run.stages):
        rows.append((stage, [_stage_text(run, stage) for run in runs]))
    body = tuple((TableCell(name), *_merged(texts)) for name, texts in rows)
    headers = ("setting", *heads(runs, runs))
    return TableView("setup", "What was run", headers, body, wide=len(headers))


def _merged(texts: Sequence[tuple[str, str]]) -> list[TableCell]:
    """A cell a run; one for all of them where they are alike."""
    if len(set(texts)) == 1:
        text, note = texts[0]
        return [TableCell(text, note=note, span=len(texts))]
    return [TableCell(text, note=note) for text, note in texts]


def _stage_text(run: RunView, stage: str) -> tuple[str, str]:
    """The component, and its options."""
    view = next((v for v in run.stages if v.stage == stage), None)
    if view is None:
        return "–", ""
    return view.component, ", ".join(f"{key} {value}" for key, value in view.options)


def differences_table(
    runs: Sequence[RunView], differing: Sequence[tuple[str, tuple[str, ...]]]
) -> TableView | None:
    """Every option that is not alike in all runs."""
    if len(runs) < 2 or not differing:
        return None
    body = tuple((TableCell(key), *(TableCell(v) for v in values)) for key, values in differing)
    headers = ("option", *(run.letter for run in runs))
    return TableView("differences", "Options that differ", headers, body, wide=len(headers))


def class_table(runs: Sequence[RunView], measure: str) -> TableView | None:
    """``measure`` by class; the worst and best ten of each run where classes are many."""
    there = [run for run in runs if run.classes and run.measure == measure]
    if not there:
        return None
    names = [c.name for c in there[0].classes]
    same = all([c.name for c in run.classes] == names for run in there)
    if len(names) > LISTED or not same:
        return _extremes(there, runs, measure)
    with_random = len(there) == 1 and there[0].classes[0].random is not None
    headers = ["class", *heads(there, runs), *(["random"] if with_random else [])]
    rows = []
    for k, name in enumerate(names):
        values = [run.classes[k].own for run in there]
        if with_random:
            values.append(there[0].classes[k].random or 0.0)
        rows.append((TableCell(name), *(cell(v, percent) for v in values)))
    name, caption = named("by-class", runs, measure), f"Test {measure} by class, %"
    return TableView(name, caption, tuple(headers), tuple(rows))


def _extremes(there: Sequence[RunView], runs: Sequence[RunView], measure: str) -> TableView:
    rows = []
    for run in there:
        ordered = sorted(run.classes, key=lambda c: c.own)
        each = min(EACH, len(ordered) // 2)
        for end, classes in (("worst", ordered[:each]), ("best", ordered[::-1][:each])):
            rows += [_class_row(run, end, k, c, runs) for k, c in enumerate(classes, 1)]
    headers = ("class", "place", f"{measure}, %", "random, %")
    caption = f"The {EACH} worst and the {EACH} best classes by test {measure}"
    return TableView(named("by-class", runs, measure), caption, headers, tuple(rows), wide=2)


def _class_row(
    run: RunView, end: str, place: int, one: ClassView, runs: Sequence[RunView]
) -> tuple[TableCell, ...]:
    head = f"{run.letter} " if len(runs) > 1 else ""
    return (
        TableCell(head + one.name),
        TableCell(f"{end} {place}"),
        cell(one.own, percent),
        cell(one.random, percent),
    )


def time_table(runs: Sequence[RunView]) -> TableView | None:
    """Seconds of every stage, memory and device."""
    there = [run for run in runs if run.times]
    if not there:
        return None
    rows: list[tuple[TableCell, ...]] = []
    for stage in dict.fromkeys(time.stage for run in there for time in run.times):
        rows.append((TableCell(stage), *(_time_cell(run, stage) for run in there)))
    totals = [sum(t.seconds for t in run.times) for run in there]
    rows.append((TableCell("all stages", marked=True), *(cell(t, seconds) for t in totals)))
    memory = (cell(run.peak_memory_mb, "{:.0f} MB") for run in there)
    rows.append((TableCell("peak memory"), *memory))
    rows.append((TableCell("device"), *(TableCell(run.device or "–") for run in there)))
    rows.append((TableCell("torch"), *(TableCell(run.torch or "–") for run in there)))
    return TableView("times", "Time and memory", ("stage", *heads(there, runs)), tuple(rows))


def _time_cell(run: RunView, stage: str) -> TableCell:
    time = next((t for t in run.times if t.stage == stage), None)
    if time is None:
        return TableCell("–")
    return TableCell(seconds(time.seconds) + (" (stored)" if time.cached else ""), time.seconds)
