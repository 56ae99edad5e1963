"""What was chosen and why: the typed contents of ``choice.json``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from condense.engine.artefact.write import CHOICE
from condense.engine.documents import Document, Share
from condense.figures import html
from condense.figures.formats import percent, points
from condense.recipe import Recipe
from condense.resolve import Request
from condense.studies.choosing.design import Plan
from condense.studies.statistics import Estimate, ShareEstimate
from condense.studies.tuning.result import Spent
from condense.studies.validation import HeldOut


class Tried(Document):
    """What was measured of a candidate, or of random subsets.

    Attributes:
        name: of the method, with the values that set it apart.
        values: those values, by dotted key.
        accuracies: 0–1, one a seed; those of equal index are under the same seed.
        accuracy: their mean with its interval.
        to_random: the difference to random subsets seed by seed, with its interval.
        rung: the last that it was in, from 1.
        cost: what it took.
        error: why it went no further, where it failed.
        seconds: that this call took for it, what the store had left out; not in the file, which
            is free of them. What several share counts for the first.
    """

    name: str
    values: dict[str, Any]
    accuracies: tuple[Share, ...]
    accuracy: ShareEstimate | None
    to_random: Estimate | None
    rung: int = Field(ge=1)
    cost: Spent
    error: str | None = None
    seconds: float = Field(0.0, exclude=True)


class ChoiceDocument(Document):
    """``choice.json``: what was tried, what it cost and how sure the choice is; 0–1.

    Attributes:
        data, ipc, fraction, seed: what a method was chosen for; accuracies are under the seed and
            those after it.
        measure: the word for what the evaluator's figures are.
        validation: what was held out of the training split and took the test split's place, under
            the first seed where each holds out its own part (``plan.folds``).
        plan: what the minutes were turned into.
        random: random subsets, freshly drawn for every network.
        tried: the candidates, the best first.
        failed: methods without a candidate here, and why.
        best: the candidate that came out best; None if all failed.
        better: whether the interval of its difference to random lies above 0.
        chosen: ``best`` if it is better, else the method of random subsets.
    """

    data: str
    ipc: int | None
    fraction: float | None
    seed: int
    measure: str
    validation: HeldOut
    plan: Plan
    random: Tried
    tried: tuple[Tried, ...]
    failed: dict[str, str]
    best: str | None
    better: bool
    chosen: str

    def timed(self) -> dict[str, Any]:
        """JSON-ready, with the seconds of the plan."""
        return self.to_json() | {"plan": self.plan.timed()}

    @property
    def verdict(self) -> str:
        """What was chosen, how sure that is, and what did not differ significantly from random."""
        top = next((one for one in self.tried if one.name == self.best), None)
        if top is None or top.to_random is None:
            return f"{self.chosen} is kept: no candidate could be measured"
        gain = top.to_random
        if gain.low is None or gain.high is None:
            figures = f"{points(gain.mean)} points"
        else:
            ends = f"{points(gain.low)} to {points(gain.high)}"
            figures = f"{points(gain.mean)} points, 95 % interval {ends}, {gain.n} seeds"
        if self.better:
            return f"{top.name} is chosen: {figures} over random"
        return (
            f"{self.chosen} is kept: the best, {top.name}, is not better beyond noise ({figures})"
        )


@dataclass(frozen=True)
class Choice:
    """A method chosen.

    Attributes:
        document: for ``choice.json``.
        request: what was asked for with that method.
        recipe: that of the request.
    """

    document: ChoiceDocument
    request: Request
    recipe: Recipe

    def _repr_html_(self) -> str:
        """As a notebook shows it: the verdict, and the table of what was tried."""
        document = self.document
        rows = [document.random, *document.tried]
        headers = ("tried", "seeds", f"{document.measure}, %", "points over random", "note")
        return html.paragraph(document.verdict, strong=True) + html.table(
            headers, [_row(one, document.chosen) for one in rows]
        )

    @property
    def files(self) -> dict[str, str]:
        """What lies beside the artefact of its run."""
        return {CHOICE: self.document.without_home().text()}


def _row(one: Tried, chosen: str) -> tuple[object, ...]:
    note = one.error or ("chosen" if one.name == chosen else "")
    found, gain = one.accuracy, one.to_random
    figures = interval(found, percent), interval(gain, points)
    return one.name, len(one.accuracies), *figures, note


def interval(found: Estimate | None, words: Callable[[float], str]) -> str:
    """A mean with the ends of its interval, in hundredths; "–" for what was not measured."""
    if found is None:
        return "–"
    if found.low is None or found.high is None:
        return words(found.mean)
    return f"{words(found.mean)} ({words(found.low)} to {words(found.high)})"
