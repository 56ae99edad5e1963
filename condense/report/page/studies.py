"""What studies of runs found, as tables and figures of a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from condense.figures.formats import points
from condense.figures.plots import Dot, FigureView, Line, dots_figure, lines_figure, present
from condense.report.diagnosis.checks import check_best, check_reliability
from condense.report.diagnosis.findings import sorted_findings
from condense.report.page.sources import StudySource
from condense.report.page.tables import Cell, TableView, figures
from condense.results import Finding
from condense.spelling import on_command_line
from condense.studies.documents import (
    AblationDocument,
    CellOutcome,
    ComparisonDocument,
    CoverageDocument,
    Interval,
    RunCovered,
    study_document,
)
from condense.studies.statistics import estimate
from condense.studies.tuning.files import curves
from condense.studies.tuning.result import TuningDocument, read_tuning

PARTS, HALVES = ("all", "easy", "hard"), ("hard", "easy")


@dataclass(frozen=True)
class StudyView:
    """A study.

    Attributes:
        name: unique on the page.
        title: of its section.
        path: its folder, as it was given; empty for what was worked out for the report.
        words: what it says, a paragraph each.
        figures, tables: in order.
        findings: of the diagnosis, worst first.
    """

    name: str
    title: str
    path: str
    words: tuple[str, ...]
    figures: tuple[FigureView, ...] = ()
    tables: tuple[TableView, ...] = ()
    findings: tuple[Finding, ...] = ()

    @property
    def pairs(self) -> list[tuple[Finding, tuple[str, ...]]]:
        """The findings, each with the letters of its runs: none."""
        return [(finding, ()) for finding in self.findings]


def study_view(name: str, study: StudySource, letters: Mapping[str, str]) -> StudyView:
    """``study`` as it is shown.

    Args:
        name: unique on the page.
        study: what was read.
        letters: of the report's own runs, by the fingerprint of their set.

    Raises:
        DataError: if its file lacks something.
    """
    path = study.path.as_posix()
    if study.kind == "tuning":
        return tuning_view(name, path, read_tuning(study.document, study.path))
    if study.kind == "coverage":
        covered = study_document(CoverageDocument, study.document, study.path, study.kind)
        return coverage_view(name, path, covered, letters)
    if study.kind == "ablation":
        ablated = study_document(AblationDocument, study.document, study.path, study.kind)
        return ablation_view(name, path, ablated)
    compared = study_document(ComparisonDocument, study.document, study.path, study.kind)
    return comparison_view(name, path, compared)


def hard_coverage(document: Mapping[str, Any]) -> dict[str, tuple[float, ...]]:
    """Coverage of the hard half by iteration, by the fingerprint of each set.

    Args:
        document: a ``coverage.json``; sets without a fingerprint are left out.
    """
    return {
        str(run["fingerprint"]): tuple(float(point["hard"]) for point in run["iterations"])
        for run in document["runs"]
        if "fingerprint" in run
    }


def coverage_view(
    name: str, path: str, document: CoverageDocument, letters: Mapping[str, str]
) -> StudyView:
    """Of a ``coverage.json``: over the iterations where several were saved, and by radius.

    Args:
        letters: of the report's own runs, by the fingerprint of their set.
    """
    runs = [
        run.model_copy(update={"label": letters.get(str(run.fingerprint), run.label)})
        for run in document.runs
    ]
    over = [
        Line(
            f"{_label(run, runs)}{part}",
            tuple(float(p.iteration) for p in run.iterations),
            tuple(getattr(p, part) for p in run.iterations),
            look=(place, dash),
        )
        for place, run in enumerate(runs)
        if len(run.iterations) > 1
        for dash, part in enumerate(HALVES)
    ]
    radial = [
        Line(
            f"{_label(run, runs)}{part}",
            run.curve.radii,
            getattr(run.curve, part),
            look=(place, dash),
        )
        for place, run in enumerate(runs)
        for dash, part in enumerate(HALVES)
    ]
    title = "Coverage over iterations"
    labels = ("iteration", "share of test samples covered")
    drawn = present(
        lines_figure(f"{name}-iterations", title, labels, over, marker="o"),
        lines_figure(f"{name}-radius", "Coverage by radius", ("radius", labels[1]), radial),
    )
    words = (
        f"The share of test samples of {document.data} that have a sample of the set within "
        f"{document.radius:.4g} in the feature space of a network trained on the whole set; "
        f"that is the {document.quantile:g} quantile of the training samples' own distances"
        + (", among samples of the same class." if document.same_class else "."),
    )
    return StudyView(name, "Coverage", path, words, drawn, (_coverage_table(name, runs),))


def _label(run: RunCovered, runs: Sequence[RunCovered]) -> str:
    return f"{run.label} " if len(runs) > 1 else ""


def _coverage_table(name: str, runs: Sequence[RunCovered]) -> TableView:
    rows = []
    for run in runs:
        last = run.iterations[-1]
        values = [getattr(shares, part) for shares in (last, last.area) for part in PARTS]
        rows.append((Cell(run.label), *(Cell(f"{value:.4f}", value) for value in values)))
    headers = ("run", *PARTS, *(f"area, {part}" for part in PARTS))
    return TableView(f"{name}-table", "Coverage of the final sets, 0–1", headers, tuple(rows))


def ablation_view(name: str, path: str, document: AblationDocument) -> StudyView:
    """Of an ``ablation.json``: its cells and main effects."""
    measured = f"{document.split} {document.measure}"
    rows = tuple(
        (Cell(c.name, marked=c.base), _mean(c.accuracy), _gap(c.difference), Cell(_remark(c)))
        for c in document.cells
    )
    headers = ("cell", f"{document.measure}, %", "to base, points", "note")
    caption = f"{measured.capitalize()} of every cell, mean ± half of its 95 % interval over seeds"
    tables = [TableView(f"{name}-cells", caption, headers, rows, remarks=True)]
    effects = tuple(
        (Cell(f"{e.key}={e.value}"), _gap(e.effect), Cell(str(e.cells), e.cells))
        for e in document.main_effects
    )
    if effects:
        columns = ("main effect of", "points", "cells")
        tables.append(TableView(f"{name}-effects", "Main effects", columns, effects))
    dots = [
        Dot(c.name, 100 * c.accuracy.mean, _percent(c.accuracy.half), 0 if c.base else None)
        for c in document.cells
        if c.accuracy is not None
    ]
    drawn = dots_figure(f"{name}-dots", "Cells with 95 % intervals", f"{measured}, %", dots)
    return StudyView(name, "Ablation", path, _about(document), present(drawn), tuple(tables))


def _about(document: AblationDocument) -> tuple[str, ...]:
    """What was run, on what it was tested, and what is missing."""
    count = len(document.seeds)
    seeds = "1 seed" if count == 1 else f"{count} seeds"
    words = [
        f"{document.method} on {document.data}, {seeds}; scores and experts are shared, seed "
        f"{document.shared_seed}.",
    ]
    part = document.validation
    if part is not None:
        words.append(
            f"Cells were validated on {part.held_out} training samples held out of "
            f"{part.fit + part.held_out}; the test split was not read."
        )
    grid = [cell for cell in document.cells if cell.in_grid]
    holes = sum(cell.error is not None for cell in grid)
    if document.main_effects and holes:
        words.append(f"{holes} of {len(grid)} cells are incomplete and left out of main effects.")
    return tuple(words)


def _remark(cell: CellOutcome) -> str:
    if cell.base:
        return "base"
    return f"failed: {on_command_line(cell.error)}" if cell.error else ""


def _percent(value: float | None) -> float | None:
    return None if value is None else 100 * value


def _mean(value: Interval | None) -> Cell:
    return Cell("–") if value is None else Cell(figures(value.mean, value.half), value.mean)


def _gap(value: Interval | None) -> Cell:
    if value is None:
        return Cell("–")
    half = "" if value.half is None else f" ± {100 * value.half:.2f}"
    return Cell(points(value.mean) + half, value.mean)


def comparison_view(name: str, path: str, document: ComparisonDocument) -> StudyView:
    """Of a ``comparison.json``: how far scorers agree with themselves and one another."""
    rows = []
    for scorer, correlations in zip(document.scorers, document.rank_correlation, strict=True):
        rho = scorer.split_half
        own = Cell("–") if rho is None else Cell(f"{rho:.3f}", rho)
        rows.append((Cell(scorer.name), own, *(Cell(f"{r:.3f}", r) for r in correlations)))
    headers = ("scorer", "split-half ρ", *(f"ρ to {one.name}" for one in document.scorers))
    caption = f"Rank agreement of difficulty scores on {document.data}"
    table = TableView(f"{name}-table", caption, headers, tuple(rows))
    findings = [check_reliability(one.split_half, one.name) for one in document.scorers]
    return StudyView(name, "Scores", path, (), (), (table,), sorted_findings(findings))


def split_half_of(
    studies: Sequence[StudySource], recipe: Mapping[str, Any], fingerprint: str
) -> float | None:
    """Split-half ρ of the very scores that ``recipe`` reads.

    Args:
        studies: comparisons.
        recipe: of a run, as in its manifest.
        fingerprint: of the data that the run was made of.

    Returns:
        None unless a comparison on those data, under the recipe's seed, has its scorer with all
        options alike.
    """
    return next(
        (
            float(scorer["split_half"])
            for study in studies
            if study.document.get("data_fingerprint") == fingerprint
            and "seed" in recipe
            and study.document.get("seed") == recipe["seed"]
            for scorer in study.document.get("scorers", ())
            if scorer.get("split_half") is not None
            and scorer.get("scorer", {}) == recipe.get("scorer")
        ),
        None,
    )


def tuning_view(name: str, path: str, document: TuningDocument) -> StudyView:
    """Of a ``tune.json``: accuracy over every option searched, and the best places."""
    drawn = [
        lines_figure(
            f"{name}-{key.replace('.', '-')}",
            f"{key}, mean ± standard error",
            (key, "validation accuracy, %"),
            curves(document, key),
            marker="o",
        )
        for key in document.keys
    ]
    rows, findings = [], []
    for arm, search in document.searches:
        found = estimate(search.top.accuracies)
        accuracy = Cell("–") if found is None else Cell(figures(found.mean, found.half), found.mean)
        values = ", ".join(f"{k} = {v:g}" for k, v in search.found.items())
        count = len(search.points)
        head = Cell(arm.name or document.method)
        rows.append((head, Cell(values), accuracy, Cell(str(count), count)))
        if len(search.keys) == 1:
            tried = [place.values[0] for place in search.points]
            finding = check_best(search.keys[0], search.best[0], tried)
            if finding is not None and len(document.arms) > 1:
                finding = replace(finding, check=f"{finding.check}, {arm.name}")
            findings.append(finding)
    held_out = document.validation.held_out
    words = [
        f"{document.method} on {document.data}, tuned on {held_out} training samples held "
        f"out of {document.validation.fit + held_out}; the test split was not read.",
        *(f"{arm.name} failed: {on_command_line(arm.error)}" for arm in document.arms if arm.error),
    ]
    headers = ("tuned", "best", "validation accuracy, %", "places")
    caption = "Best values found, mean ± half of its 95 % interval over seeds"
    if any(search.finals for _, search in document.searches):
        caption += "; at full length where the best was trained so"
    table = TableView(f"{name}-table", caption, headers, tuple(rows), wide=2)
    return StudyView(
        name, "Tuning", path, tuple(words), present(*drawn), (table,), sorted_findings(findings)
    )
