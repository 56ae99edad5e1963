"""Documents of results: typed models that write JSON and read it back, one schema for both.

``python -m condense.cli.schema`` writes the JSON Schema of each into ``condense/schema``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError, field_validator
from typing_extensions import Self

from condense.engine.runtime.files import csv_lines
from condense.errors import DataError
from condense.kinds import LOCAL
from condense.places import without_home
from condense.reading import EncodableText, PlainTable, in_one_line, read_regular

if TYPE_CHECKING:
    from torch import Tensor

    from condense.engine.artefact.dataset import CondensedDataset
    from condense.engine.stages.stage import StageTime
    from condense.results import Evaluation, Finding

OWN = "condensed"  # the arm that is the set itself
D = TypeVar("D", bound="Document")


class Document(BaseModel):
    """A document or a part of one. Read strictly; a key that it does not know is left out."""

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        allow_inf_nan=False,
        json_schema_serialization_defaults_required=True,
        populate_by_name=True,
    )

    def to_json(self) -> dict[str, Any]:
        """JSON-ready, every key there."""
        return self.model_dump(mode="json", by_alias=True)

    def without_home(self) -> Self:
        """With ``~`` for the user's home folder in every text, as it is handed on."""
        return self.model_validate_json(json.dumps(without_home(self.to_json())))

    def text(self) -> str:
        """As it is written to a file; equal documents, equal text."""
        return json.dumps(self.to_json(), indent=2) + "\n"


def read_document(path: Path, model: type[D], what_next: str = "run the recipe again") -> D:
    """The document in ``path``.

    Raises:
        DataError: naming the file and what is wrong with it.
    """
    return parse_document(path, read_file(path), model, what_next)


def read_file(path: Path) -> bytes:
    """The bytes of a file that is to be there.

    Raises:
        DataError: naming it, and why it cannot be read.
    """
    try:
        return read_regular(path)
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {in_one_line(error)}; may you read it?") from None


def parse_document(
    path: Path, text: bytes, model: type[D], what_next: str = "run the recipe again"
) -> D:
    """As :func:`read_document`, of the ``text`` that was read."""
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        raise DataError(f"{path} is damaged: {in_one_line(error)}; {what_next}") from None


Share = Annotated[float, Field(ge=0, le=1)]


class Accuracy(Document):
    """What networks trained on one set reach: shares of the test samples, 0–1."""

    mean: Share
    std: Share = Field(description="sample standard deviation (ddof 1), 0 for one value")
    n: int = Field(description="networks trained", ge=1)
    values: tuple[Share, ...] = Field(description="one a network", min_length=1)
    balanced: Share | None = Field(
        None, description="mean over the classes, each counting the same; null where not measured"
    )
    worst_class: Share | None = Field(
        None, description="the lowest of a class, of the means over the networks; likewise"
    )


class ArmResult(Accuracy):
    """An evaluated training set in full."""

    per_class: tuple[Share, ...] | None = Field(
        (), description="mean over the networks for each class, where it was measured"
    )
    class_sizes: tuple[int, ...] = Field((), description="test samples of each, where known")
    protocol: PlainTable = Field({}, description="how it was measured")

    @field_validator("protocol")
    @classmethod
    def _means_by_augmentation(cls, value: dict[str, Any]) -> dict[str, Any]:
        if not isinstance(value.get("tried", {}), dict):
            raise ValueError("'tried' must hold a mean by augmentation")
        return value

    @classmethod
    def of(cls, found: Evaluation) -> Self:
        """``found``, written down."""
        return cls.model_validate(found, from_attributes=True)

    @property
    def accuracy(self) -> Accuracy:
        """Without what only ``arms`` holds."""
        return Accuracy(**{name: getattr(self, name) for name in Accuracy.model_fields})


class BudgetKept(Document):
    """What was kept: samples a class, or a share of every class, and how many that were."""

    ipc: int | None
    fraction: FiniteFloat | None
    samples: int


class FindingNote(Document):
    """A known sign of failure that a run shows."""

    code: str
    message: str
    advice: str


def notes_of(findings: Sequence[Finding]) -> tuple[FindingNote, ...]:
    """``findings`` as documents have them."""
    return tuple(FindingNote.model_validate(finding.summary()) for finding in findings)


class StageSeconds(Document):
    """What a stage took."""

    seconds: float = Field(ge=0, le=1e12)
    cached: bool = Field(description="whether its result came from the store")


def stage_seconds(stages: Mapping[str, StageTime]) -> dict[str, StageSeconds]:
    """``stages`` as documents have them, to the millisecond."""
    return {
        name: StageSeconds(seconds=round(time.seconds, 3), cached=time.cached)
        for name, time in stages.items()
    }


class KeptSample(Document):
    """A sample of a set: which of the data's it is, or started from."""

    source_index: int = Field(
        description="position of that sample in the training split, which lacks what went to the "
        "test split as a share"
    )
    source: EncodableText | None = Field(
        description="its name or file, below the folder of the data; null where it has none"
    )
    class_name: EncodableText = Field(alias="class")
    role: Literal["real", "distilled"]
    score: FiniteFloat | None = Field(description="its difficulty; null where none was asked for")

    @staticmethod
    def all_of(
        indices: Tensor,
        labels: Tensor,
        classes: Sequence[str],
        *,
        distilled: Tensor | None = None,
        items: Sequence[str] | None = None,
        scores: Tensor | None = None,
    ) -> tuple[KeptSample, ...]:
        """One a sample.

        Args:
            indices: int64 [M].
            labels: int64 [M], class numbers.
            classes: names of the classes.
            distilled: bool [M]; None where none is.
            items: [M], in their order; None where they have no names.
            scores: float [M]; likewise.
        """
        count = len(indices)
        return tuple(
            KeptSample(
                source_index=index,
                source=item,
                class_name=classes[label],
                role="distilled" if moved else "real",
                score=score,
            )
            for index, item, label, moved, score in zip(
                indices.tolist(),
                [None] * count if items is None else items,
                labels.tolist(),
                [False] * count if distilled is None else distilled.tolist(),
                [None] * count if scores is None else scores.tolist(),
                strict=True,
            )
        )

    @property
    def row(self) -> list[str]:
        """What :data:`COLUMNS` of a table hold."""
        score = "" if self.score is None else f"{self.score:.9g}"
        return [self.class_name, self.role, str(self.source_index), self.source or "", score]


COLUMNS = ("class", "role", "source_index", "source", "score")


def kept_table(kept: Sequence[KeptSample], files: Sequence[str] | None = None) -> str:
    """``kept`` as CSV, with the column ``file`` first where samples lie in ``files`` now."""
    rows = [list(COLUMNS), *(sample.row for sample in kept)]
    if files is not None:
        rows = [[file, *row] for file, row in zip(("file", *files), rows, strict=True)]
    return csv_lines(rows)


class Measured(Document):
    """What a run made and measured; nothing in it depends on the clock or the machine."""

    method: str
    data: str
    ipc: int | None = Field(description="as in budget")
    fraction: FiniteFloat | None = Field(description="as in budget")
    samples: int = Field(description="as in budget")
    seed: int
    accuracy: Accuracy | None = Field(description="of the condensed set; null if not evaluated")
    baselines: dict[str, Accuracy] = Field(description="random and whole, where they were trained")
    budget: BudgetKept
    findings: tuple[FindingNote, ...]
    soft_labels: bool = Field(description="whether the set's labels are soft")
    augmentation: PlainTable = Field(description="that counts, by arm")


class Results(Measured):
    """``results.json`` and ``CondensedDataset.results``."""

    arms: dict[str, ArmResult] = Field(description="condensed and the baselines, in full")
    kept: tuple[KeptSample, ...] = Field((), description="the samples of the set, in order")

    @classmethod
    def of(
        cls,
        condensed: CondensedDataset,
        arms: Mapping[str, ArmResult],
        findings: Sequence[FindingNote] = (),
    ) -> Self:
        """What ``arms``, among them :data:`OWN` if it was evaluated, say of ``condensed``."""
        size: dict[str, Any] = {key: condensed.recipe.get(key) for key in ("ipc", "fraction")}
        size["samples"] = len(condensed)
        own = arms.get(OWN)
        return cls(
            method=condensed.method,
            data=condensed.data_name,
            **size,
            seed=condensed.seed,
            accuracy=None if own is None else own.accuracy,
            baselines={name: arm.accuracy for name, arm in arms.items() if name != OWN},
            budget=BudgetKept(**size),
            findings=tuple(findings),
            soft_labels=condensed.soft_labels is not None,
            augmentation={name: arm.protocol.get("augmentation") for name, arm in arms.items()},
            arms=dict(arms),
            kept=condensed.kept,
        )


class StoredArms(Document):
    """``results.json`` as it was before it had more than arms."""

    method: str | None = None
    arms: dict[str, ArmResult] = {}


def read_results(path: Path, condensed: CondensedDataset) -> Results | None:
    """The results of ``condensed`` in ``path``; None where there is no such file.

    Raises:
        DataError: for a damaged file.
    """
    if not path.is_file():
        return None
    stored = read_document(path, StoredArms)
    if stored.method is None:
        return Results.of(condensed, stored.arms)
    return read_document(path, Results)


class JobNote(Document):
    """A job that an executor worked off."""

    stage: str
    piece: int
    key: str = Field(description="of the entry in the store")
    executor: str
    node: str
    pid: int
    threads: int
    seconds: float = Field(ge=0)
    waited: float = Field(ge=0, description="seconds from when it was handed out to its start")
    tries: int = Field(ge=1)


class RunLog(Document):
    """``run.log.json``: what depends on the clock and the machine."""

    artefact: str = Field("", description="its folder")
    stages: dict[str, StageSeconds] = {}
    peak_memory_mb: float | None = Field(
        None, ge=0, le=1e12, description="of the process, 2²⁰ bytes"
    )
    device: str = ""
    torch: str = ""
    pid: int = Field(0, description="of the process that drove the run")
    jobs: tuple[JobNote, ...] = Field((), description="worked off by an executor, as they ended")
    executor: str = Field(LOCAL, description="that worked the stages off; local is this process")
    tracker: str = Field("", description="that watched the run; empty for none")
    paths: dict[str, str] = Field({}, description="options that are paths, absolute, by key")
    content: str = Field("", description="digest of all that the run depends on, its files too")


class RunDocument(Measured):
    """``condense run --json``."""

    artefact: str = Field(description="the folder written")
    stages: dict[str, StageSeconds]
    peak_memory_mb: FiniteFloat
    device: str


class EvaluateDocument(Document):
    """``condense evaluate --json``."""

    method: str
    data: str
    samples: int
    seed: int
    accuracy: Accuracy
    artefact: str
    measure: str = Field(description="what the figures are, accuracy as a rule")
    per_class: dict[str, Share]
    protocol: PlainTable
    findings: tuple[FindingNote, ...]
    by_difficulty: dict[str, FiniteFloat] | None = Field(
        None, description="over all, easy and hard test samples, where it was asked for"
    )
    stages: dict[str, StageSeconds]
