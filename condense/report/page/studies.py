"""What studies of runs found, as tables and figures of a report."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from condense.figures.formats import counted
from condense.figures.plots import PERCENT, dots_figure, lines_figure, present
from condense.report.diagnosis.checks import check_best, check_reliability
from condense.report.diagnosis.findings import sorted_findings
from condense.report.page.sizes import methods_view, shrinking_view
from condense.report.page.sources import StudySource
from condense.report.page.study import StudyView, with_codes
from condense.report.page.tables import TableCell, TableView, cell, differing, mean
from condense.spelling import on_command_line
from condense.studies.ablation.files import cell_dots, effect_name, size_lines, varied
from condense.studies.ablation.result import AblationCell, AblationDocument
from condense.studies.coverage.files import lines_over_iterations, lines_over_radii
from condense.studies.coverage.result import PARTS, Coverage
from condense.studies.scorers.run import ComparisonDocument
from condense.studies.statistics import estimate_shares
from condense.studies.tuning.files import curves
from condense.studies.tuning.result import TuningDocument


def study_view(study: StudySource, number: int, letters: Mapping[str, str]) -> StudyView:
    """``study`` as it is shown.

    Args:
        study: what was read.
        number: of the study on the page, from 1.
        letters: of the report's own runs, by the fingerprint of their set.
    """
    name = f"{study.kind}-{number}"
    if study.kind == "coverage":
        return coverage_view(name, study.path, study.document, letters)
    views: dict[str, Callable[[str, str, Any], StudyView]] = {
        "ablation": ablation_view,
        "tuning": tuning_view,
        "comparison": comparison_view,
        "methods": methods_view,
        "shrinking": shrinking_view,
    }
    return views[study.kind](name, study.path, study.document)


def hard_coverage(document: Coverage) -> dict[str, tuple[float, ...]]:
    """Coverage of the hard half by iteration, by the fingerprint of each set that has one."""
    return {
        run.fingerprint: tuple(point.hard for point in run.iterations)
        for run in document.runs
        if run.fingerprint
    }


def coverage_view(
    name: str, path: str, document: Coverage, letters: Mapping[str, str]
) -> StudyView:
    """Over the iterations where several were saved, and by radius.

    Args:
        letters: of the report's own runs, by the fingerprint of their set.
    """
    runs = [
        run.model_copy(update={"label": letters.get(run.fingerprint, run.label)})
        for run in document.runs
    ]
    document = document.model_copy(update={"runs": tuple(runs)})
    over = lines_over_iterations(document) if any(len(r.iterations) > 1 for r in runs) else []
    title, share = "Coverage over iterations", "share of test samples covered"
    labels = ("radius", share)
    drawn = present(
        lines_figure(f"{name}-iterations", title, ("iteration", share), over, marker="o"),
        lines_figure(f"{name}-radius", "Coverage by radius", labels, lines_over_radii(document)),
    )
    words = (
        f"The share of test samples of {document.data} that have a sample of the set within "
        f"{document.radius:.4g} in the feature space of a network trained on the whole set; "
        f"that is the {document.quantile:g} quantile of the training samples' own distances"
        + (", among samples of the same class." if document.same_class else "."),
    )
    rows = [
        (
            TableCell(run.label),
            *(
                cell(getattr(shares, part), "{:.4f}")
                for shares in (run.iterations[-1], run.iterations[-1].area)
                for part in PARTS
            ),
        )
        for run in runs
    ]
    headers = ("run", *PARTS, *(f"area, {part}" for part in PARTS))
    caption = "Coverage of the final sets, 0–1"
    table = TableView(f"{name}-table", caption, headers, tuple(rows))
    return StudyView(name, "Coverage", path, words, drawn, (table,))


def ablation_view(name: str, path: str, document: AblationDocument) -> StudyView:
    """Its cells and main effects."""
    split, measure, effects = document.split, document.measure, document.main_effects
    swept = document.is_sweep
    rows = [
        (
            TableCell(one.name, marked=one.base),
            mean(one.accuracy),
            *((mean(one.random), differing(one.to_random)) if swept else ()),
            differing(one.difference),
            TableCell(_note(one)),
        )
        for one in document.cells
    ]
    beside = ("random, %", "over random, points") if swept else ()
    headers = ("cell", f"{measure}, %", *beside, "minus base, points", "note")
    caption = (
        f"{split.capitalize()} {measure} of every cell, mean ± half of its 95 % interval over seeds"
    )
    tables = [TableView(f"{name}-cells", caption, headers, tuple(rows), remarks=True)]
    if effects:
        columns = ("main effect of", "points", "cells", "note")
        body = tuple(
            (
                TableCell(effect_name(e)),
                differing(e.effect),
                cell(e.cells),
                TableCell(e.note),
            )
            for e in effects
        )
        tables.append(TableView(f"{name}-effects", "Main effects", columns, body, remarks=True))
    dots = [dot for dot in cell_dots(document) if dot.mean is not None]
    keys = varied(document)
    title, label = "Cells with 95 % intervals", document.label
    title += f": {keys}" if keys else ""
    key, lines = size_lines(document)
    over = (key, label)
    drawn = present(
        lines_figure(
            f"{name}-sizes", f"Over {key}", over, lines, marker="o", log=True, limits=PERCENT
        )
        if lines
        else dots_figure(f"{name}-dots", title, label, dots, PERCENT)
    )
    return StudyView(name, "Ablation", path, tuple(_told(document)), drawn, tuple(tables))


def _note(one: AblationCell) -> str:
    failed = f"failed: {on_command_line(one.error)}" if one.error else ""
    return with_codes("base" if one.base else failed, one.findings)


def _told(document: AblationDocument) -> Iterable[str]:
    """What was done, a paragraph each."""
    yield (
        f"{document.method} on {document.data}, {counted(len(document.seeds), 'seed')}; scores "
        f"and experts are shared, seed {document.shared_seed}."
    )
    part = document.validation
    if part is not None:
        yield (
            f"Cells were validated on {part.held_out} training samples held out of "
            f"{part.fit + part.held_out}; the test split was not read."
        )
    grid = [one for one in document.cells if one.in_grid]
    holes = sum(one.error is not None for one in grid)
    if document.main_effects and holes:
        yield f"{holes} of {len(grid)} cells are incomplete and left out of main effects."


def comparison_view(name: str, path: str, document: ComparisonDocument) -> StudyView:
    """How far scorers agree with themselves and one another."""
    scorers = document.scorers
    rows = [
        (
            TableCell(one.name),
            cell(one.split_half, "{:.3f}"),
            *(cell(r, "{:.3f}") for r in correlations),
        )
        for one, correlations in zip(scorers, document.rank_correlation, strict=True)
    ]
    headers = ("scorer", "split-half ρ", *(f"ρ to {one.name}" for one in scorers))
    caption = f"Rank agreement of difficulty scores on {document.data}"
    table = TableView(f"{name}-table", caption, headers, tuple(rows))
    findings = [
        check_reliability(one.split_half, one.name, document.samples or 0) for one in scorers
    ]
    return StudyView(name, "Scores", path, tables=(table,), findings=sorted_findings(findings))


def split_half_of(
    comparisons: Iterable[ComparisonDocument], recipe: Mapping[str, Any], fingerprint: str
) -> float | None:
    """Split-half ρ of the very scores that ``recipe`` reads.

    Args:
        recipe: of a run, as in its manifest.
        fingerprint: of the data that the run was made of.

    Returns:
        None unless a comparison on those data, under the recipe's seed, has its scorer with all
        options alike.
    """
    asked = (fingerprint, recipe.get("seed"), recipe.get("scorer"))
    for document in comparisons:
        for one in document.scorers:
            if None not in asked and one.split_half is not None:
                if (document.data_fingerprint, document.seed, one.scorer) == asked:
                    return one.split_half
    return None


def tuning_view(name: str, path: str, document: TuningDocument) -> StudyView:
    """Accuracy over every option searched, and the best places."""
    drawn = [
        lines_figure(
            f"{name}-{key.replace('.', '-')}",
            f"{key}, mean ± standard error",
            (key, "validation accuracy, %"),
            curves(document, key),
            marker="o",
            limits=PERCENT,
        )
        for key in document.keys
    ]
    rows, findings = [], []
    for arm, search in document.searches:
        accuracy = mean(estimate_shares(search.top.accuracies))
        values = ", ".join(f"{k} = {v:g}" for k, v in search.found.items())
        head = TableCell(arm.name or document.method)
        rows.append((head, TableCell(values), accuracy, cell(len(search.points))))
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
