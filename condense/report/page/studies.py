"""What studies of runs found, as tables and figures of a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from condense.errors import DataError
from condense.figures.formats import points
from condense.figures.plots import Dot, FigureView, Line, dots_figure, lines_figure, present
from condense.report.diagnosis.checks import check_best, check_reliability
from condense.report.diagnosis.findings import sorted_findings
from condense.report.page.sources import StudySource
from condense.report.page.tables import Cell, TableView, figures
from condense.results import Finding
from condense.spelling import on_command_line
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
    try:
        if study.kind == "coverage":
            return coverage_view(name, path, study.document, letters)
        makers = {"ablation": ablation_view, "comparison": comparison_view}
        return makers[study.kind](name, path, study.document)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise DataError(
            f"the {study.kind} in {path} is damaged ({type(error).__name__}: {error}); "
            "make it again"
        ) from None


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
    name: str, path: str, document: Mapping[str, Any], letters: Mapping[str, str]
) -> StudyView:
    """Of a ``coverage.json``: over the iterations where several were saved, and by radius.

    Args:
        letters: of the report's own runs, by the fingerprint of their set.
    """
    runs = [run | {"label": _letter(run, letters)} for run in document["runs"]]
    over = [
        Line(
            f"{_label(run, runs)}{part}",
            tuple(float(p["iteration"]) for p in run["iterations"]),
            tuple(float(p[part]) for p in run["iterations"]),
            look=(place, dash),
        )
        for place, run in enumerate(runs)
        if len(run["iterations"]) > 1
        for dash, part in enumerate(HALVES)
    ]
    radial = [
        Line(
            f"{_label(run, runs)}{part}",
            tuple(run["curve"]["radii"]),
            tuple(run["curve"][part]),
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
        f"The share of test samples of {document['data']} that have a sample of the set within "
        f"{document['radius']:.4g} in the feature space of a network trained on the whole set; "
        f"that is the {document['quantile']:g} quantile of the training samples' own distances"
        + (", among samples of the same class." if document.get("same_class") else "."),
    )
    return StudyView(name, "Coverage", path, words, drawn, (_coverage_table(name, runs),))


def _letter(run: Mapping[str, Any], letters: Mapping[str, str]) -> str:
    return letters.get(str(run.get("fingerprint")), str(run["label"]))


def _label(run: Mapping[str, Any], runs: Sequence[Any]) -> str:
    return f"{run['label']} " if len(runs) > 1 else ""


def _coverage_table(name: str, runs: Sequence[Mapping[str, Any]]) -> TableView:
    rows = []
    for run in runs:
        last = run["iterations"][-1]
        shares = [Cell(f"{last[part]:.4f}", last[part]) for part in PARTS]
        areas = [Cell(f"{last['area'][part]:.4f}", last["area"][part]) for part in PARTS]
        rows.append((Cell(str(run["label"])), *shares, *areas))
    headers = ("run", *PARTS, *(f"area, {part}" for part in PARTS))
    return TableView(f"{name}-table", "Coverage of the final sets, 0–1", headers, tuple(rows))


def ablation_view(name: str, path: str, document: Mapping[str, Any]) -> StudyView:
    """Of an ``ablation.json``: its cells and main effects."""
    cells, measure = [], str(document.get("measure", "accuracy"))
    held_out = document.get("validation")
    split = "test" if held_out is None else "validation"
    for cell in document["cells"]:
        accuracy, gap = cell["accuracy"], cell["difference"]
        note = (
            "base"
            if cell["base"]
            else f"failed: {on_command_line(cell['error'])}"
            if cell["error"]
            else ""
        )
        row = (Cell(cell["name"], marked=cell["base"]), _mean(accuracy), _gap(gap), Cell(note))
        cells.append(row)
    headers = ("cell", f"{measure}, %", "to base, points", "note")
    caption = (
        f"{split.capitalize()} {measure} of every cell, mean ± half of its 95 % interval over seeds"
    )
    tables = [TableView(f"{name}-cells", caption, headers, tuple(cells), remarks=True)]
    effects = [
        (Cell(f"{e['key']}={e['value']}"), _gap(e["effect"]), Cell(str(e["cells"]), e["cells"]))
        for e in document["main_effects"]
    ]
    if effects:
        columns = ("main effect of", "points", "cells")
        tables.append(TableView(f"{name}-effects", "Main effects", columns, tuple(effects)))
    count = len(document["seeds"])
    words = [
        f"{document['method']} on {document['data']}, {count} seed{'s' * (count != 1)}; scores and "
        f"experts are shared, seed {document['shared_seed']}.",
    ]
    if held_out is not None:
        words.append(
            f"Cells were validated on {held_out['held_out']} training samples held out of "
            f"{held_out['fit'] + held_out['held_out']}; the test split was not read."
        )
    grid = [cell for cell in document["cells"] if cell.get("in_grid", True)]
    holes = sum(cell["error"] is not None for cell in grid)
    if effects and holes:
        words.append(f"{holes} of {len(grid)} cells are incomplete and left out of main effects.")
    dots = [
        Dot(cell["name"], 100 * mean["mean"], _percent(mean["half"]), 0 if cell["base"] else None)
        for cell in document["cells"]
        if (mean := cell["accuracy"]) is not None
    ]
    drawn = dots_figure(f"{name}-dots", "Cells with 95 % intervals", f"{split} {measure}, %", dots)
    return StudyView(name, "Ablation", path, tuple(words), present(drawn), tuple(tables))


def _percent(value: float | None) -> float | None:
    return None if value is None else 100 * value


def _mean(value: Mapping[str, Any] | None) -> Cell:
    return (
        Cell("–") if value is None else Cell(figures(value["mean"], value["half"]), value["mean"])
    )


def _gap(value: Mapping[str, Any] | None) -> Cell:
    if value is None:
        return Cell("–")
    half = "" if value["half"] is None else f" ± {100 * value['half']:.2f}"
    return Cell(points(value["mean"]) + half, value["mean"])


def comparison_view(name: str, path: str, document: Mapping[str, Any]) -> StudyView:
    """Of a ``comparison.json``: how far scorers agree with themselves and one another."""
    scorers = document["scorers"]
    rows = []
    for scorer, correlations in zip(scorers, document["rank_correlation"], strict=True):
        rho = scorer["split_half"]
        own = Cell("–") if rho is None else Cell(f"{rho:.3f}", rho)
        rows.append((Cell(scorer["name"]), own, *(Cell(f"{r:.3f}", r) for r in correlations)))
    headers = ("scorer", "split-half ρ", *(f"ρ to {scorer['name']}" for scorer in scorers))
    caption = f"Rank agreement of difficulty scores on {document['data']}"
    table = TableView(f"{name}-table", caption, headers, tuple(rows))
    findings = [check_reliability(s["split_half"], s["name"]) for s in scorers]
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
