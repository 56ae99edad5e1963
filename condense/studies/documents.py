"""Documents of the studies whose results lie in JSON: written and read by the same models."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import Field, FiniteFloat, ValidationError

from condense.engine.documents import Document, damage
from condense.errors import DataError
from condense.studies.statistics import LEVEL, Estimate

S = TypeVar("S", bound=Document)


class Interval(Document):
    """A mean in 0–1 with its interval; half, low and high are null for one value."""

    mean: FiniteFloat
    half: FiniteFloat | None
    low: FiniteFloat | None
    high: FiniteFloat | None
    n: int

    @staticmethod
    def of(value: Estimate | None) -> Interval | None:
        """``value``, written down."""
        if value is None:
            return None
        ends = {"half": value.half, "low": value.low, "high": value.high}
        return Interval(mean=value.mean, **ends, n=value.n)


class HeldOutPart(Document):
    """The part of the training split that stands in the test split's place."""

    share: FiniteFloat
    fit: int = Field(description="samples that are condensed")
    held_out: int = Field(description="samples that are tested on")


class CellOutcome(Document):
    """A combination and what it reached."""

    name: str
    values: dict[str, str] = Field({})
    base: bool
    in_grid: bool = True
    accuracies: tuple[FiniteFloat | None, ...] = Field((), description="one a seed")
    accuracy: Interval | None
    difference: Interval | None = Field(description="to the base, over common seeds")
    error: str | None
    errors: dict[str, str] = Field({}, description="by seed")


class MainEffect(Document):
    """What one value does on average over the grid."""

    key: str
    value: str
    cells: int
    effect: Interval | None


class FactorVaried(Document):
    """One ``--vary``."""

    key: str
    values: tuple[str, ...]


class AblationDocument(Document):
    """``ablation.json``."""

    method: str
    data: str
    measure: str = "accuracy"
    validation: HeldOutPart | None = Field(None, description="null on the test split")
    ipc: int | None = None
    fraction: FiniteFloat | None = None
    seeds: tuple[int, ...]
    shared_seed: int = Field(description="of scores and experts")
    design: str = "grid"
    level: FiniteFloat = LEVEL
    factors: tuple[FactorVaried, ...] = ()
    cells: tuple[CellOutcome, ...]
    main_effects: tuple[MainEffect, ...]
    recipe: dict[str, Any] = Field({}, description="of the base")

    @property
    def split(self) -> str:
        """What cells were tested on: ``"test"`` or ``"validation"``."""
        return "test" if self.validation is None else "validation"


class ScorerCompared(Document):
    """One scorer of a comparison."""

    name: str
    scorer: dict[str, Any] = Field({})
    estimator: str = ""
    replicates: int | None = None
    split_half: FiniteFloat | None
    mean_standard_error: FiniteFloat | None = None


class ComparisonDocument(Document):
    """``comparison.json``; matrices in the order of ``scorers``."""

    data: str
    data_fingerprint: str | None = None
    samples: int | None = None
    seed: int | None = None
    scorers: tuple[ScorerCompared, ...]
    rank_correlation: tuple[tuple[FiniteFloat, ...], ...]
    overlap_share: FiniteFloat | None = None
    overlap_hardest: tuple[tuple[FiniteFloat, ...], ...] = ()
    overlap_easiest: tuple[tuple[FiniteFloat, ...], ...] = ()


class SharesCovered(Document):
    """A figure in 0–1 over all test samples, over the easy half and over the hard half."""

    all: FiniteFloat
    easy: FiniteFloat
    hard: FiniteFloat


class IterationCovered(SharesCovered):
    """Coverage at the radius after some iterations, and the area under its curve."""

    iteration: int
    area: SharesCovered


class CurveCovered(Document):
    """Coverage of the final set by radius."""

    radii: tuple[FiniteFloat, ...]
    all: tuple[FiniteFloat, ...]
    easy: tuple[FiniteFloat, ...]
    hard: tuple[FiniteFloat, ...]


class RunCovered(Document):
    """One run."""

    artefact: str
    fingerprint: str | None = None
    method: str = ""
    label: str
    samples: int | None = None
    iterations: tuple[IterationCovered, ...] = Field(min_length=1)
    curve: CurveCovered
    area: SharesCovered | None = None


class CoverageDocument(Document):
    """``coverage.json``."""

    data: str
    radius: FiniteFloat
    quantile: FiniteFloat
    same_class: bool = False
    runs: tuple[RunCovered, ...]
    options: dict[str, Any] = Field({})


def study_document(model: type[S], document: Mapping[str, Any], folder: Path, kind: str) -> S:
    """``document``, read from the ``kind`` of study in ``folder``.

    Raises:
        DataError: naming what is wrong with it.
    """
    try:
        return model.model_validate(document, strict=False)
    except ValidationError as error:
        raise DataError(
            f"the {kind} in {folder} is damaged: {damage(error)}; make it again"
        ) from None
