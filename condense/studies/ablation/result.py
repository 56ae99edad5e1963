"""What an ablation found: cells as they were measured, and the contents of ``ablation.json``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import Field

from condense.engine.arms import measure_of
from condense.engine.documents import Document, FindingNote, notes_of
from condense.results import Finding
from condense.studies.ablation.design import Cell, Study
from condense.studies.statistics import (
    LEVEL,
    Estimate,
    ShareEstimate,
    common_effect,
    difference,
    estimate_shares,
)
from condense.studies.validation import HeldOut
from condense.traits import EvaluatorTraits


@dataclass(frozen=True)
class Row:
    """A cell with what was measured.

    Attributes:
        cell: which.
        accuracies: 0–1, the mean over the evaluator's repeats, one a seed; None where it failed
            or has not run yet.
        errors: what went wrong, by seed.
        findings: what is wrong with the set that was made, by seed.
        random: as ``accuracies``, of random subsets of the cell's size; empty where none were
            evaluated.
    """

    cell: Cell
    accuracies: tuple[float | None, ...]
    errors: Mapping[int, str] = field(default_factory=dict)
    findings: Mapping[int, tuple[Finding, ...]] = field(default_factory=dict)
    random: tuple[float | None, ...] = ()

    @property
    def values(self) -> list[float]:
        """The accuracies that are there."""
        return [a for a in self.accuracies if a is not None]

    @property
    def mean(self) -> ShareEstimate | None:
        """Mean over seeds with its interval; None if no seed succeeded."""
        return estimate_shares(self.values)

    @property
    def random_mean(self) -> ShareEstimate | None:
        """Of random subsets of the cell's size; None where none were evaluated."""
        return estimate_shares([a for a in self.random if a is not None])

    @property
    def gain(self) -> Estimate | None:
        """Over random subsets of the cell's size under the same seeds."""
        return difference(self.accuracies, self.random) if self.random else None

    @property
    def error(self) -> str | None:
        """The first thing that went wrong."""
        return next(iter(self.errors.values()), None)


class AblationCell(Document):
    """A cell in ``ablation.json``; accuracies and the difference to the base in 0–1."""

    name: str
    values: dict[str, str] = Field({}, description="by varied key, as typed")
    base: bool
    in_grid: bool = True
    accuracies: tuple[float | None, ...] = Field((), description="one a seed")
    accuracy: ShareEstimate | None = Field(description="or what `measure` says")
    difference: Estimate | None
    reference: str | None = Field(
        None, description="the cell that it is the difference to, where that is not the base"
    )
    random: ShareEstimate | None = Field(None, description="of random subsets of the cell's size")
    random_accuracies: tuple[float | None, ...] = Field((), description="one a seed, of those")
    to_random: Estimate | None = Field(None, description="the difference to those, seed by seed")
    error: str | None
    errors: dict[str, str] = Field({}, description="by seed")
    findings: dict[str, tuple[FindingNote, ...]] = Field(
        {}, description="what is wrong with the set, by seed"
    )


class MainEffect(Document):
    """What one value of a factor does on average over the grid.

    Attributes:
        key, value: as in ``--vary``.
        instead: the value that it is compared with, the base's where that is varied too; None in
            files of before, whose effects are to the mean of all cells.
        cells: how many pairs of cells differ in nothing else.
        effect: mean over these pairs of the cell with ``value`` minus the one with ``instead``;
            None where they do not agree.
        note: why there is none.
    """

    key: str
    value: str
    instead: str | None = None
    cells: int
    effect: Estimate | None
    note: str = ""


class AblationDocument(Document):
    """``ablation.json``, free of the clock; what later versions added has a default."""

    method: str
    data: str
    measure: str = Field(EvaluatorTraits.measure, description="what the figures are")
    validation: HeldOut | None = Field(None, description="in the test split's place")
    ipc: int | None = None
    fraction: float | None = None
    seeds: tuple[int, ...]
    shared_seed: int = Field(description="of what all cells share")
    design: str = "grid"
    level: float = Field(LEVEL, description="of every interval")
    factors: tuple[dict[str, Any], ...] = ()
    cells: tuple[AblationCell, ...]
    main_effects: tuple[MainEffect, ...]
    recipe: dict[str, Any] = Field({}, description="of the base")

    @property
    def is_sweep(self) -> bool:
        """Whether random sets of every cell's size were evaluated beside it."""
        return any(cell.random is not None for cell in self.cells)

    @property
    def split(self) -> str:
        """What cells are tested on: ``"test"``, or ``"validation"`` for a held-out part."""
        return "test" if self.validation is None else "validation"

    @property
    def label(self) -> str:
        """Of the axis of accuracies."""
        return f"{self.split} {self.measure}, %"


@dataclass(frozen=True)
class Ablation:
    """What a study measured.

    Attributes:
        study: what was to be done.
        data: name of the data set of the base.
        rows: one a cell, in the order of the study.
        held_out: the part that stands in the test split's place; None on the test split.
        runs, computed: cells × seeds that were run, and those that gave a figure but were not
            wholly found in the store.
    """

    study: Study
    data: str
    rows: tuple[Row, ...]
    held_out: HeldOut | None = None
    runs: int = 0
    computed: int = 0

    @property
    def measure(self) -> str:
        """What the figures are, by the evaluator of the base: ``accuracy`` as a rule."""
        return measure_of(self.study.base["evaluator"])

    @property
    def failures(self) -> int:
        """How many of ``runs`` gave no figure."""
        return sum(len(row.errors) for row in self.rows)

    @property
    def stored(self) -> int:
        """How many of ``runs`` gave a figure and were wholly found in the store."""
        return self.runs - self.computed - self.failures

    @property
    def failed(self) -> bool:
        """Whether nothing succeeded."""
        return all(row.mean is None for row in self.rows)

    def difference(self, row: Row) -> Estimate | None:
        """Of ``row`` to the base on its data and at its size, over the seeds both have.

        None for that base itself, and where it is no cell.
        """
        name = self.study.reference(row.cell)
        if name is None:
            return None
        other = next(one for one in self.rows if one.cell.name == name)
        return difference(row.accuracies, other.accuracies)

    def complete(self) -> dict[str, list[float]]:
        """Accuracies of the cells of the grid in which every seed succeeded."""
        rows = (r for r in self.rows if r.cell.in_grid and None not in r.accuracies)
        return {row.cell.name: row.values for row in rows}

    def effects(self) -> list[MainEffect]:
        """What every value does on average, in place of the base's or, where that is not varied,
        of the first; empty unless several factors are varied in a grid, as one factor's effects
        are its cells' differences.
        """
        if self.study.one_at_a_time or len(self.study.factors) < 2:
            return []
        found = []
        for factor in self.study.factors:
            instead = self.study.instead[factor.key]
            for value in factor.values:
                pairs = self._pairs(factor.key, value, instead) if value != instead else {}
                if pairs:
                    effect, note = common_effect(pairs)
                    told = {"key": factor.key, "value": value, "instead": instead}
                    found.append(MainEffect(**told, cells=len(pairs), effect=effect, note=note))
        return found

    def _pairs(self, key: str, value: str, instead: str) -> dict[str, list[float]]:
        """What ``value`` does in place of ``instead``, a difference a seed, by the other values.

        Of complete cells alone, and of those that may be compared.
        """
        complete = self.complete()
        cells = {frozenset(row.cell.values.items()): row.cell for row in self.rows}
        found = {}
        for row in self.rows:
            values = row.cell.values
            if row.cell.name not in complete or values.get(key) != value:
                continue
            other = cells.get(frozenset({**values, key: instead}.items()))
            if other is None or other.name not in complete or other.task != row.cell.task:
                continue
            rest = " ".join(f"{k}={v}" for k, v in values.items() if k != key)
            both = zip(complete[row.cell.name], complete[other.name], strict=True)
            found[rest] = [one - two for one, two in both]
        return found

    @property
    def document(self) -> AblationDocument:
        """``ablation.json``."""
        study, budget = self.study, self.study.base.budget
        return AblationDocument(
            method=study.base.method,
            data=self.data,
            measure=self.measure,
            validation=self.held_out,
            ipc=budget.ipc,
            fraction=budget.fraction,
            seeds=study.seeds,
            shared_seed=study.base.seed,
            design="one-at-a-time" if study.one_at_a_time else "grid",
            factors=tuple({"key": f.key, "values": list(f.values)} for f in study.factors),
            cells=tuple(self._cell(row) for row in self.rows),
            main_effects=tuple(self.effects()),
            recipe=study.base.portable(self.data),
        ).without_home()

    def _cell(self, row: Row) -> AblationCell:
        return AblationCell(
            name=row.cell.name,
            values=dict(row.cell.values),
            base=row.cell.is_base,
            in_grid=row.cell.in_grid,
            accuracies=row.accuracies,
            accuracy=row.mean,
            difference=self.difference(row),
            reference=self.study.references.get(row.cell.name),
            random=row.random_mean,
            random_accuracies=row.random,
            to_random=row.gain,
            error=row.error,
            errors={str(seed): text for seed, text in row.errors.items()},
            findings={str(s): notes_of(found) for s, found in row.findings.items() if found},
        )
