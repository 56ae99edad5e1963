"""What a comparison found: rows as they were measured, and the contents of ``compare.json``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from pydantic import Field

from condense.engine.arms import label_regime
from condense.engine.artefact.dataset import CondensedDataset
from condense.engine.documents import Document, FindingNote, Share, notes_of
from condense.interfaces import Evaluation, LabeledData
from condense.kinds import RANDOM, WHOLE
from condense.results import Finding
from condense.studies.dd_ranking import LabelRobustness
from condense.studies.methods.design import Column, Comparison, Entry
from condense.studies.statistics import (
    LEVEL,
    Estimate,
    ShareEstimate,
    difference,
    estimate_shares,
    holm,
    paired_p,
)
from condense.studies.validation import HeldOut
from condense.traits import EvaluatorTraits, traits_of

HARD_LABELS = "hard"
LABEL_BYTES = 8  # int64
DISTILLED_BYTES = 4  # float32, a value


def samples_bytes(data: LabeledData, count: int) -> int:
    """Bytes of ``count`` samples of ``data`` as they come, with their labels."""
    return count * (data.inputs[0].nbytes + LABEL_BYTES)


def set_bytes(condensed: CondensedDataset, data: LabeledData) -> int:
    """Bytes that keeping ``condensed`` takes.

    Real samples as ``data`` has them (uint8 pixels, say), distilled ones in float32, and labels:
    int64, or float32 by class where they were learned.
    """
    distilled = int((condensed.role != 0).sum())
    label = LABEL_BYTES
    if condensed.soft_labels is not None:
        label = condensed.soft_labels[0].nbytes
    moved = distilled * data.inputs[0].numel() * DISTILLED_BYTES
    return (len(condensed) - distilled) * data.inputs[0].nbytes + moved + len(condensed) * label


@dataclass(frozen=True)
class Measured:
    """An entry under one seed.

    Attributes:
        accuracy: 0–1, the mean over the evaluator's repeats.
        worst_class: 0–1, the lowest mean of a class over the repeats; None where classes were not
            told apart.
        seconds: that the set takes from nothing, without its evaluation; None if not known.
        bytes: of the set, as :func:`set_bytes`.
        teacher: 0–1, accuracy of the network that others were trained towards; None without one.
        teaching: seconds that it takes from nothing; None if not known.
    """

    accuracy: float
    worst_class: float | None
    seconds: float | None
    bytes: int
    teacher: float | None = None
    teaching: float | None = None

    @staticmethod
    def of(
        found: Evaluation, seconds: float | None, size: int, teaching: float | None = None
    ) -> Measured:
        """``found`` of a set that took ``seconds`` and takes ``size`` bytes."""
        worst, mean = found.worst_class, found.mean
        return Measured(mean, worst, seconds, size, found.teacher, teaching)


@dataclass(frozen=True)
class Row:
    """An entry with what was measured.

    Attributes:
        entry: which.
        measured: one a seed; None where it failed or has not run yet.
        errors: what went wrong, by seed.
        findings: what is wrong with the set that was made, by seed.
    """

    entry: Entry
    measured: tuple[Measured | None, ...]
    errors: Mapping[int, str] = field(default_factory=dict)
    findings: Mapping[int, tuple[Finding, ...]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """``"selmatch, ipc 5, labels hard"``."""
        column = self.entry.column
        labels = () if column.labels is None else (f"labels {column.labels}",)
        return ", ".join((self.entry.method, column.budget.words, *labels))

    @property
    def accuracies(self) -> tuple[float | None, ...]:
        """One a seed."""
        return tuple(None if m is None else m.accuracy for m in self.measured)

    def mean_of(self, figure: str) -> float | None:
        """Mean of a figure of :class:`Measured` over the seeds in which it is known."""
        known = [v for m in self.measured if m and (v := getattr(m, figure)) is not None]
        return fmean(known) if known else None


class ComparedRow(Document):
    """A method in a column of ``compare.json``; accuracies and differences in 0–1."""

    method: str
    labels: str = Field(description="that networks were trained towards, as in evaluator.labels")
    ipc: int | None
    fraction: float | None
    accuracies: tuple[Share | None, ...] = Field(description="one a seed")
    accuracy: ShareEstimate | None = Field(description="or what `measure` says")
    to_random: Estimate | None = Field(description="over the same seeds; null for random itself")
    to_best: Estimate | None = Field(
        description="to the condensed or random set of the highest mean in the column, over the "
        "same seeds; null for that one itself and for whole"
    )
    p_to_best: float | None = Field(
        description="of that difference, by a paired t test, corrected for the number of tests in "
        "the column (Holm)"
    )
    differs: bool | None = Field(
        description="whether it lies below the best beyond noise: p_to_best < 0.05"
    )
    worst_class: Share | None
    seconds: float | None = Field(
        description="that the set takes from nothing, scores and experts included and evaluation "
        "not; null where a part was done before that was kept"
    )
    bytes: int | None = Field(
        description="that keeping the set takes: real samples as they came, distilled ones in "
        "float32, labels in int64 or, where learned, float32 by class"
    )
    error: str | None
    errors: dict[str, str] = Field({}, description="by seed")
    findings: dict[str, tuple[FindingNote, ...]] = Field({}, description="by seed")

    @property
    def is_best(self) -> bool:
        """Whether all others of the column are held against it."""
        return (
            self.accuracy is not None
            and self.to_best is None
            and self.method != WHOLE
            and (None not in self.accuracies)
        )

    @property
    def is_level(self) -> bool:
        """Whether it was tested against the best and is not significantly lower; where no test was
        possible, of one seed for example, nothing is."""
        return self.to_best is not None and self.differs is not True


class TeacherFigures(Document):
    """The network that others were trained towards."""

    accuracy: Share
    seconds: float | None = Field(
        description="that it takes from nothing; null where it was trained before that was kept"
    )


class RankedRow(Document):
    """DD-Ranking's measures of a method in a column, of means over the seeds, in 0–1."""

    method: str
    labels: str
    ipc: int | None
    fraction: float | None
    hlr: float = Field(
        description="hard label recovery: accuracy of whole under hard labels minus that of the "
        "set; lower is better"
    )
    ior: float = Field(description="improvement over random under these labels; higher is better")
    lrs: Share = Field(description="label robust score of the two, equally weighted")


def ranked(rows: Sequence[ComparedRow]) -> tuple[RankedRow, ...]:
    """Of every set in ``rows``; none without hard labels, or with a figure missing."""
    means = {
        (row.labels, row.ipc, row.fraction, row.method): row.accuracy.mean
        for row in rows
        if row.accuracy is not None and None not in row.accuracies
    }
    found = []
    for labels, ipc, fraction, method in means:
        hard, own = (HARD_LABELS, ipc, fraction), (labels, ipc, fraction)
        needed = ((*hard, WHOLE), (*hard, method), (*own, method), (*own, RANDOM))
        if method in (RANDOM, WHOLE) or not all(one in means for one in needed):
            continue
        whole_hard, own_hard, accuracy, random = (means[one] for one in needed)
        figures = LabelRobustness.of(
            whole_hard=whole_hard, own_hard=own_hard, own=accuracy, random=random
        )
        found.append(
            RankedRow(
                method=method,
                labels=labels,
                ipc=ipc,
                fraction=fraction,
                hlr=figures.hlr,
                ior=figures.ior,
                lrs=figures.lrs,
            )
        )
    return tuple(found)


class CompareDocument(Document):
    """``compare.json`` and ``condense compare --json``."""

    data: str
    measure: str = Field(EvaluatorTraits.measure, description="what the figures are")
    validation: HeldOut | None = Field(None, description="in the test split's place")
    seeds: tuple[int, ...]
    shared_seed: int = Field(description="of what all runs of a method share: scores, experts")
    level: float = Field(LEVEL, description="of every interval")
    methods: tuple[str, ...]
    rows: tuple[ComparedRow, ...]
    dd_ranking: tuple[RankedRow, ...] = Field(
        (), description="where sets are compared under hard labels, too"
    )
    teacher: TeacherFigures | None = Field(None, description="of all rows with labels teacher")
    evaluator: dict[str, Any] = Field(description="of the first column")
    recipes: dict[str, dict[str, Any]] = Field(description="of the methods in the first column")

    @property
    def split(self) -> str:
        """What sets are tested on: ``"test"``, or ``"validation"`` for a held-out part."""
        return "test" if self.validation is None else "validation"

    @property
    def label(self) -> str:
        """Of the axis of the figures."""
        return f"{self.split} {self.measure}, %"

    @property
    def columns(self) -> list[list[ComparedRow]]:
        """The rows that stand beside one another: of one label regime and budget."""
        found: dict[Any, list[ComparedRow]] = {}
        for row in self.rows:
            found.setdefault((row.labels, row.ipc, row.fraction), []).append(row)
        return list(found.values())

    @property
    def regimes(self) -> dict[str, list[list[ComparedRow]]]:
        """The columns by their label regime."""
        found: dict[str, list[list[ComparedRow]]] = {}
        for column in self.columns:
            found.setdefault(column[0].labels, []).append(column)
        return found


@dataclass(frozen=True)
class Compared:
    """What a comparison measured.

    Attributes:
        comparison: what was to be done.
        data: name of the data set.
        rows: one an entry, in order.
        held_out: the part that stands in the test split's place; None on the test split.
        runs: entries × seeds that were measured.
    """

    comparison: Comparison
    data: str
    rows: tuple[Row, ...]
    held_out: HeldOut | None = None
    runs: int = 0

    @property
    def failed(self) -> bool:
        """Whether none of the methods gave a figure."""
        own = (row for row in self.rows if row.entry.method not in (RANDOM, WHOLE))
        return all(m is None for row in own for m in row.measured)

    @property
    def document(self) -> CompareDocument:
        """``compare.json``."""
        plan = self.comparison
        rows = tuple(line for column in plan.columns for line in self._column(column))
        of_first = [e for e in plan.entries if e.column == plan.columns[0] and e.method != WHOLE]
        return CompareDocument(
            data=self.data,
            measure=traits_of(plan.base["evaluator"].cls, EvaluatorTraits).measure,
            validation=self.held_out,
            seeds=plan.seeds,
            shared_seed=plan.base.seed,
            methods=plan.methods,
            rows=rows,
            dd_ranking=ranked(rows),
            teacher=self._teacher,
            evaluator=plan.base["evaluator"].portable,
            recipes={e.method: e.recipe.portable(self.data) for e in of_first if e.recipe},
        ).without_home()

    @property
    def _teacher(self) -> TeacherFigures | None:
        every = [m for row in self.rows for m in row.measured if m is not None]
        known = [(m.teacher, m.teaching) for m in every if m.teacher is not None]
        return TeacherFigures(accuracy=known[0][0], seconds=known[0][1]) if known else None

    def _column(self, column: Column) -> list[ComparedRow]:
        """The rows of ``column``; of methods with a missing seed only what needs no test."""
        rows = [row for row in self.rows if row.entry.column == column]
        random = next(row for row in rows if row.entry.method == RANDOM)
        rivals = {
            row.entry.method: row
            for row in rows
            if row.entry.method != WHOLE and None not in row.accuracies
        }
        means = {name: row.mean_of("accuracy") or 0.0 for name, row in rivals.items()}
        best = max(means, key=means.__getitem__, default=None)
        others = [name for name in rivals if name != best]
        top = rivals[best].accuracies if best is not None else ()
        tests = holm([paired_p(rivals[name].accuracies, top) for name in others])
        found = dict(zip(others, tests, strict=True))
        return [
            self._line(
                row, random, top if row.entry.method in found else None, found.get(row.entry.method)
            )
            for row in rows
        ]

    def _line(
        self, row: Row, random: Row, best: Sequence[float | None] | None, p: float | None
    ) -> ComparedRow:
        column, size = row.entry.column, row.mean_of("bytes")
        return ComparedRow(
            method=row.entry.method,
            labels=column.labels or label_regime(self.comparison.base["evaluator"]),
            ipc=column.budget.ipc,
            fraction=column.budget.fraction,
            accuracies=row.accuracies,
            accuracy=estimate_shares([a for a in row.accuracies if a is not None]),
            to_random=None if row is random else difference(row.accuracies, random.accuracies),
            to_best=None if best is None else difference(row.accuracies, best),
            p_to_best=p,
            differs=None if p is None else p < 1 - LEVEL,
            worst_class=row.mean_of("worst_class"),
            seconds=row.mean_of("seconds"),
            bytes=None if size is None else round(size),
            error=next(iter(row.errors.values()), None),
            errors={str(seed): text for seed, text in row.errors.items()},
            findings={str(s): notes_of(found) for s, found in row.findings.items() if found},
        )
