"""How a study is shown, whatever it is of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from condense.engine.documents import FindingNote
from condense.figures.plots import FigureView
from condense.report.page.tables import TableView
from condense.results import Finding


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
    words: tuple[str, ...] = ()
    figures: tuple[FigureView, ...] = ()
    tables: tuple[TableView, ...] = ()
    findings: tuple[Finding, ...] = ()

    @property
    def pairs(self) -> list[tuple[Finding, tuple[str, ...]]]:
        """The findings, each with the letters of its runs: none."""
        return [(finding, ()) for finding in self.findings]


def with_codes(note: str, findings: Mapping[str, Iterable[FindingNote]]) -> str:
    """``note``, then the codes of what is wrong under some seed, each once."""
    codes = dict.fromkeys(one.code for found in findings.values() for one in found)
    return ", ".join(filter(None, (note, *codes)))
