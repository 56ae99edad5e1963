"""``condense report``: runs and studies of them as one HTML page."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from condense.cli.flags import PATH, device_flag, json_flag
from condense.errors import OptionError
from condense.figures.formats import counted

if TYPE_CHECKING:
    from condense.cli.session import Session
    from condense.report.diagnosis.facts import RunFacts
    from condense.report.page.page import Page
    from condense.report.page.sources import RunSource, Sources
    from condense.studies.coverage.result import Coverage


TOLD = {"problem": "problem", "look": "worth a look", "ok": "in order"}  # by severity


@click.command(
    epilog="""\b
Examples:
  condense report runs/selmatch-digits-ipc5-s0-1a2b3c
  condense report full partial --coverage --out report.html
  condense report runs/selmatch-… runs/ablate-… runs/tune-… runs/coverage-…
"""
)
@click.argument("runs", nargs=-1, required=True, type=PATH, metavar="RUN...")
@click.option(
    "--coverage",
    is_flag=True,
    help="Work out the coverage of the runs as `condense coverage` does; trains a network on the "
    "whole training split unless that is stored.",
)
@click.option(
    "--data",
    metavar="NAME[:PATH]",
    help="Where the data of the runs lie, if their recipes do not say.",
)
@device_flag
@click.option(
    "--out",
    type=PATH,
    metavar="FILE.html",
    help="Where the page goes; a report that is there is replaced.  "
    "[default: runs/report-HASH.html]",
)
@json_flag
@click.pass_context
def report(
    ctx: click.Context,
    runs: Sequence[Path],
    coverage: bool,
    data: str | None,
    device: str | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Show RUN... on one self-contained page: results, figures, samples and a diagnosis.

    RUN is a folder written by `condense run`; one of `condense ablate`, `compare`, `shrink`,
    `tune`, `coverage` or `score --compare` adds its figures. Several runs stand side by side. The
    page needs no network. Nothing is trained for it (but see --coverage).
    """
    from condense.cli.output import echo_json, say_error
    from condense.cli.session import open_session
    from condense.report.page.page import check_page, default_file, report_of, write_page
    from condense.report.page.sources import read_sources

    folders = [run for run in runs if run.suffix != ".html" or not run.is_file()]
    if folders and len(folders) < len(runs):  # of `condense report runs/*`
        say_error(f"note: {len(runs) - len(folders)} pages among the folders left out")
        runs = folders
    page = default_file(runs) if out is None else out
    check_page(page)
    with open_session(ctx, device) as session:
        sources = read_sources(runs)
        covered = _coverage(session, sources, data) if coverage else None
        made = report_of(sources, partial(_facts, session, data), covered)
        write_page(made, page)
    if as_json:
        echo_json(made.to_json() | {"out": str(page)})
    else:
        _show(made, page)


def _facts(session: Session, data: str | None, source: RunSource) -> RunFacts:
    from condense.report.diagnosis.facts import collect_from

    given = (source.path, source.condensed, source.evaluations)
    return collect_from(*given, session.host, data, **session.tools)


def _coverage(session: Session, sources: Sources, data: str | None) -> Coverage:
    from condense.resolve import Request
    from condense.studies.coverage.run import coverage_of_runs

    folders = [source.path for source in sources.runs]
    if not folders:
        raise OptionError("--coverage needs a run among the folders; give one or leave it out")
    return coverage_of_runs(folders, Request(data=data), session.host, **session.tools)


def _show(made: Page, page: Path) -> None:
    from condense.cli.output import echo_place, echo_table, in_words, say

    several = len(made.runs) > 1
    own = "runs" if several else made.runs[0].method if made.runs else ""
    rows = [(" ".join(letters) or own, finding) for finding, letters in made.grouped_findings]
    rows += [(study.title.lower(), f) for study in made.studies for f in study.findings]
    open_rows = [(name, f) for name, f in rows if f.severity != "ok"]
    if open_rows:
        cells = [(name, f"{TOLD[f.severity]}: {f.check}", in_words(f)) for name, f in open_rows]
        echo_table(("of", "what", "finding"), cells)
        if several:
            say()
            echo_table(("run", "", "folder"), [(r.letter, r.label, r.path) for r in made.runs])
    elif rows:
        say(f"{counted(len(rows), 'check')}, none of the known failure signs was found")
    say()
    echo_place("report", page)
