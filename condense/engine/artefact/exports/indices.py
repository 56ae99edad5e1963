"""Which of the training samples a set holds, as CSV or JSON."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from pydantic import Field, FiniteFloat

from condense.engine.documents import Document
from condense.engine.runtime.files import check_ending, csv_lines, write_file
from condense.engine.runtime.folders import json_file_with

if TYPE_CHECKING:
    from condense.engine.artefact.dataset import CondensedDataset

_MARK = "# condense: "


class IndexRow(Document):
    """A sample of the set."""

    index: int = Field(description="position in the training data of the one it is or started from")
    source: str | None = Field(description="name or file of that sample; null where it has none")
    class_name: str = Field(alias="class")
    role: str
    score: FiniteFloat | None = Field(description="difficulty of that sample, where it is known")
    kept: bool = Field(description="whether that sample itself is in the set, not one made of it")


class Indices(Document):
    """The whole list."""

    data: str
    data_fingerprint: str
    method: str
    kept: int = Field(description="training samples that are in the set as they are")
    of: int | None = Field(description="training samples; null for a set that does not say")
    distilled: int = Field(description="samples of the set that were made")
    rows: tuple[IndexRow, ...]

    @staticmethod
    def of_set(condensed: CondensedDataset) -> Indices:
        """Of every sample of ``condensed``, in its order."""
        made = int(condensed.distilled.sum())
        return Indices(
            data=condensed.data_name,
            data_fingerprint=condensed.data_fingerprint,
            method=condensed.method,
            kept=len(condensed) - made,
            of=condensed.data_size,
            distilled=made,
            rows=tuple(
                IndexRow(
                    index=sample.source_index,
                    source=sample.source,
                    class_name=sample.class_name,
                    role=sample.role,
                    score=sample.score,
                    kept=sample.role == "real",
                )
                for sample in condensed.kept
            ),
        )

    def csv(self) -> str:
        """A line that says how many of how many, then a header and a row a sample."""
        of = "" if self.of is None else f" of {self.of}"
        made = f", {self.distilled} distilled from those named" if self.distilled else ""
        rows: list[list[Any]] = [["index", "source", "class", "role", "score", "kept"]]
        for row in self.rows:
            score = "" if row.score is None else f"{row.score:.9g}"
            kept = "true" if row.kept else "false"
            rows.append([row.index, row.source or "", row.class_name, row.role, score, kept])
        head = f"{_MARK}{self.kept}{of} samples of {self.data} kept{made}\n"
        return head + csv_lines(rows)


def write(condensed: CondensedDataset, path: Path) -> Path:
    """:class:`Indices` of the set as JSON or CSV, by the ending of ``path``.

    Raises:
        OutputError: if it cannot be written, is another's or ends in neither.
    """
    check_ending(path, ".csv", ".json")
    told = Indices.of_set(condensed).without_home()
    if path.suffix.lower() == ".json":
        return write_file(path, told.text().encode(), json_file_with("kept", "of", "rows"))
    return write_file(path, told.csv().encode(), _is_csv)


def _is_csv(file: BinaryIO) -> bool:
    return file.read(len(_MARK)) == _MARK.encode()
