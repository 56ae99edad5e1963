"""``condense report``: what runs and studies of them show, as one page without a network."""

from __future__ import annotations

import hashlib
import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

from condense.engine.artefact.write import MANIFEST
from condense.engine.documents import Document
from condense.engine.runtime.files import check_ending, check_file, write_file
from condense.errors import OutputError
from condense.figures import formats
from condense.figures.palette import DARK, LIGHT
from condense.figures.plots import FigureView, present
from condense.report.diagnosis.facts import RunFacts
from condense.report.diagnosis.findings import findings_of, shared_findings, sorted_findings
from condense.report.page import figures, studies, tables
from condense.report.page.runs import RunView, differences, run_view
from condense.report.page.sources import STUDIES, RunSource, Sources, StudySource
from condense.report.page.studies import study_view
from condense.report.page.study import StudyView
from condense.report.page.tables import TableView
from condense.results import Finding
from condense.studies.coverage.result import Coverage
from condense.studies.run_names import run_names
from condense.studies.scorers.run import ComparisonDocument

MARKER = '<meta name="generator" content="condense report">'
LONGEST_LABEL = 40
ENDINGS = (".html", ".htm")

Collect = Callable[[RunSource], RunFacts]


@dataclass(frozen=True)
class Page:
    """A page.

    Attributes:
        title: what it is about.
        runs: in the order given.
        studies: likewise.
        findings: that concern the runs together.
        differing: options that are not alike in all runs, with their value in each.
        figures: by the section they stand in.
        tables: likewise; those of accuracies, one a measure, in the order of the figures.
        documents: of the studies.
    """

    title: str
    runs: tuple[RunView, ...]
    studies: tuple[StudyView, ...]
    findings: tuple[Finding, ...]
    differing: tuple[tuple[str, tuple[str, ...]], ...]
    figures: Mapping[str, tuple[FigureView, ...]]
    tables: Mapping[str, tuple[TableView, ...]]
    documents: tuple[Document, ...]

    @property
    def measure(self) -> str:
        """What the figures of the runs are."""
        return " or ".join(tables.measures(self.runs))

    @property
    def grouped_findings(self) -> list[tuple[Finding, tuple[str, ...]]]:
        """Every finding once, worst first, with the letters of its runs (none for a single run)."""
        letters: dict[Finding, tuple[str, ...]] = dict.fromkeys(self.findings, ())
        for run in self.runs:
            own = (run.letter,) if len(self.runs) > 1 else ()
            for finding in run.findings:
                letters[finding] = (*letters.get(finding, ()), *own)
        return [(finding, letters[finding]) for finding in sorted_findings(list(letters))]

    def to_json(self) -> dict[str, Any]:
        """What the page is made of, without its pictures and figures; accuracies in 0–1."""
        return {
            "title": self.title,
            "runs": [run.to_json() for run in self.runs],
            "differences": [{"option": k, "values": list(v)} for k, v in self.differing],
            "findings": [finding.to_json() for finding in self.findings],
            "studies": [
                {
                    "title": study.title,
                    "path": study.path,
                    "findings": [finding.to_json() for finding in study.findings],
                    "document": document.to_json(),
                }
                for study, document in zip(self.studies, self.documents, strict=True)
            ],
        }


def of_files(source: RunSource) -> RunFacts:
    """What a run's own files say, and nothing besides."""
    return RunFacts(condensed=source.condensed, evaluations=source.evaluations)


def report_of(
    sources: Sources, collect: Collect = of_files, coverage: Coverage | None = None
) -> Page:
    """The view model of a page.

    Args:
        sources: what was read from the folders.
        collect: finds out what is known of a run.
        coverage: that was worked out for the report.
    """
    letters = [letter(k) for k in range(len(sources.runs))]
    given = sources.studies
    if coverage is not None:
        given = (StudySource("coverage", "", coverage), *given)
    by_set = _by_set(sources, letters)
    shown = [study_view(study, number, by_set) for number, study in enumerate(given, 1)]
    documents = tuple(study.document for study in given)
    known = [_with_studies(collect(source), documents) for source in sources.runs]
    labels = _labels(sources)
    runs = [
        run_view(source, name, label, facts, findings_of(facts))
        for source, name, label, facts in zip(sources.runs, letters, labels, known, strict=True)
    ]
    measures = tables.measures(runs)
    differing = differences([source.condensed.recipe for source in sources.runs])
    return Page(
        _title(runs, shown),
        tuple(runs),
        tuple(shown),
        shared_findings(dict(zip(letters, known, strict=True))),
        tuple(differing),
        {
            "accuracy": present(*(figures.accuracy_figure(runs, one) for one in measures)),
            "matching": present(figures.loss_figure(runs), figures.step_figure(runs)),
            "classes": present(*(figures.class_figure(runs, one) for one in measures)),
        },
        _tables(runs, differing),
        documents,
    )


def _by_set(sources: Sources, letters: Sequence[str]) -> dict[str, str]:
    """Letters of the runs by the fingerprint of their set; ``"A B"`` where two made the same."""
    found: dict[str, str] = {}
    for source, name in zip(sources.runs, letters, strict=True):
        key = source.condensed.content_fingerprint
        found[key] = f"{found[key]} {name}" if key in found else name
    return found


def _labels(sources: Sources) -> list[str]:
    """What sets each run apart; where that takes too many words, its method alone."""
    methods = [source.condensed.method for source in sources.runs]
    recipes = [source.condensed.recipe for source in sources.runs]
    found = run_names(list(zip(methods, recipes, strict=True)))
    short = max(map(len, found), default=0) <= LONGEST_LABEL
    return found if short else methods


def letter(place: int) -> str:
    """A … Z, then AA, AB … as in a spreadsheet."""
    head, last = divmod(place, 26)
    return (letter(head - 1) if head else "") + string.ascii_uppercase[last]


def _tables(
    runs: Sequence[RunView], differing: Sequence[tuple[str, tuple[str, ...]]]
) -> dict[str, tuple[TableView, ...]]:
    if not runs:
        return {}
    measures = tables.measures(runs)
    return {
        "accuracy": present(*(tables.accuracy_table(runs, one) for one in measures)),
        "gaps": present(*(tables.gaps_table(runs, one) for one in measures)),
        "setup": (tables.setup_table(runs),),
        "differences": present(tables.differences_table(runs, differing)),
        "classes": present(*(tables.class_table(runs, one) for one in measures)),
        "times": present(tables.time_table(runs)),
    }


def _with_studies(facts: RunFacts, documents: Sequence[Document]) -> RunFacts:
    """``facts`` with what ``documents`` of studies know of the run."""
    small, hard = facts.condensed, facts.hard_coverage
    for document in documents:
        if isinstance(document, Coverage):
            hard = studies.hard_coverage(document).get(small.content_fingerprint, hard)
    rho = facts.split_half
    if rho is None:  # the store goes before a comparison
        compared = [d for d in documents if isinstance(d, ComparisonDocument)]
        rho = studies.split_half_of(compared, small.recipe, small.data_fingerprint)
    scorer = facts.scorer or str(small.recipe.get("scorer", {}).get("component", ""))
    return replace(facts, hard_coverage=hard, split_half=rho, scorer=scorer)


def _title(runs: Sequence[RunView], shown: Sequence[StudyView]) -> str:
    methods = list(dict.fromkeys(run.method for run in runs))
    data = list(dict.fromkeys(run.data for run in runs))
    if not runs:
        return " and ".join(dict.fromkeys(view.title for view in shown))
    return f"{', '.join(methods)} on {', '.join(data)}"


def render(report: Page) -> str:
    """The page; equal reports give equal text."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("condense", "report/page/templates"),
        autoescape=True,  # our own figures and style sheet are marked as safe where they stand
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": formats.percent, "points": formats.points}
    style = environment.get_template("report.css").render(light=LIGHT, dark=DARK)
    template = environment.get_template("report.html.j2")
    return template.render(report=report, style=style, marker=MARKER) + "\n"


def default_file(paths: Sequence[Path]) -> Path:
    """``runs/report-HASH.html``; the same folders, the same file."""
    names = "\n".join(path.as_posix() for path in paths)
    return Path("runs") / f"report-{hashlib.sha256(names.encode()).hexdigest()[:8]}.html"


def check_page(path: Path) -> None:
    """That a page can be written to ``path``, before any work is done for it.

    Raises:
        OutputError: if it does not end in .html, lies in a folder of ours, or is another's file.
    """
    check_ending(path, *ENDINGS)
    check_file(path, is_page)
    inside = [name for name in (MANIFEST, *STUDIES) if (path.parent / name).is_file()]
    if inside:
        raise OutputError(
            f"{path} lies in a folder that `condense` writes ({inside[0]}), which then could not "
            "be written again; choose another `out`"
        )


def is_page(file: BinaryIO) -> bool:
    """Whether ``file`` is a page of ours."""
    return MARKER.encode() in file.read(1000)


def write_page(report: Page, path: Path) -> Path:
    """The page at ``path``, all or nothing.

    Raises:
        OutputError: if it cannot be written or is another's file.
    """
    check_page(path)
    return write_file(path, render(report).encode(), is_page)
