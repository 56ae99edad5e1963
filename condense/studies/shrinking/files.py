"""The files of a shrinking: ``shrink.json``, ``.csv``, ``.png``, ``.svg``, beside the artefact."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from matplotlib.axes import Axes

from condense.engine.artefact.write import ARTEFACT
from condense.engine.jobs.driver import Crew
from condense.engine.run import Diagnose, no_findings, write_run
from condense.engine.runtime.folders import Layout, check_folder, json_with
from condense.errors import OutputError
from condense.figures.files import PANEL
from condense.figures.plots import PERCENT, Line, paint_lines
from condense.figures.svg import MUTED, log_scale
from condense.kinds import WHOLE
from condense.results import Finding
from condense.studies.binding import Bind, study_folder
from condense.studies.files import csv_text, fill_study, write_study
from condense.studies.shrinking.design import FOLDS, Shrinking
from condense.studies.shrinking.final import Answer
from condense.studies.shrinking.result import ShrinkDocument

OWNED = Layout("shrink.json", (ARTEFACT.marker, *ARTEFACT.others), json_with("keep", "curve"))
SIZE = (PANEL[0], 5.0)


def shrink_folder(shrinking: Shrinking, bind: Bind) -> Path:
    """Its folder by default, named after all that its results depend on."""
    others = [entry.recipe for entry in shrinking.asked.entries]
    settings = [
        *(shrinking.metric, shrinking.max_fraction, FOLDS),
        list(shrinking.measured.seeds),
    ]
    return study_folder(f"shrink-{100 * shrinking.keep:g}", shrinking.base, others, settings, bind)


def write_answer(
    found: Answer, folder: Path, diagnose: Diagnose = no_findings, crew: Crew | None = None
) -> tuple[Finding, ...]:
    """The files of the study, in the folder of the artefact where there is a set.

    Returns:
        the signs that the set is no good.

    Raises:
        OutputError: where there is none, and would take the place of one.
    """
    document = found.document.for_file
    files = {"shrink.csv": to_csv(document)}
    panels = [partial(paint_curve, document)]
    if found.condensed is None or found.pipeline is None:
        if (folder / ARTEFACT.marker).is_file():
            raise OutputError(
                f"no size is enough, and {folder} holds the set of another answer; choose another "
                "folder (`out`), nothing is computed again"
            )
        write_study(folder, OWNED, document.to_json(), files, panels, SIZE)
        return ()
    draw = partial(fill_study, OWNED.marker, document.to_json(), files, panels, SIZE)
    check = partial(check_folder, folder, OWNED)
    given = (found.pipeline, folder, found.condensed, found.arms, check, diagnose)
    return write_run(*given, crew=crew, draw=draw).findings


def to_csv(document: ShrinkDocument) -> str:
    """One line a method and size, the whole last."""
    rows = [point.to_json() for point in (*document.curve, document.whole)]
    return csv_text([{k: v for k, v in row.items() if k != "seconds"} for row in rows])


def lines_of(document: ShrinkDocument) -> list[Line]:
    """The metric in % of every method over its sizes, and the whole's and the target's levels."""
    found = []
    for name in dict.fromkeys(point.method for point in document.curve):
        own = [point for point in document.curve if point.method == name]
        sizes, means = (float(p.samples) for p in own), (100 * p.mean for p in own)
        half = (50 * (point.high - point.low) for point in own)
        found.append(Line(name, tuple(sizes), tuple(means), tuple(half)))
    for name, level in ((WHOLE, document.whole.mean), ("target", document.target)):
        found.append(Line(name, (1.0,), (100 * level,), muted=name == WHOLE, level=True))
    return found


def paint_curve(document: ShrinkDocument, axes: Axes) -> None:
    """Size–accuracy curves with their intervals, and the size that is the answer."""
    labels = ("samples", f"{document.metric} on the held-out part, %")
    paint_lines(labels, lines_of(document), "o", axes, limits=PERCENT)
    log_scale(axes.xaxis)
    if document.size is not None:
        axes.axvline(document.size.high, color=MUTED, ls=":", lw=1.0)
