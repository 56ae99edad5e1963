"""What coverage found: the typed contents of ``coverage.json``, written and read by one model."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from condense.engine.documents import Document

PARTS = ("all", "easy", "hard")  # of the test split


class Shares(Document):
    """A figure in 0–1 over all test samples, over the easy half and over the hard half."""

    all: float
    easy: float
    hard: float


class CoveragePoint(Shares):
    """The set after some iterations of matching; 0 is the real samples it started from."""

    iteration: int
    area: Shares = Field(description="under the curve up to twice the radius")


class Curve(Document):
    """Coverage of the final set by radius, 0 … twice the radius."""

    radii: tuple[float, ...]
    all: tuple[float, ...]
    easy: tuple[float, ...]
    hard: tuple[float, ...]


class RunCoverage(Document):
    """One run.

    Attributes:
        artefact: its folder.
        fingerprint: of the set, see ``CondensedDataset.content_fingerprint``; empty in a file of
            before it was written.
        method: of its recipe.
        label: method, and what sets it apart from the other runs of that method.
        samples: in the set.
        iterations: what was saved, the last being the final set.
        curve: of the final set.
        area: likewise.
    """

    artefact: str
    fingerprint: str = ""
    method: str = ""
    label: str
    samples: int | None = None
    iterations: tuple[CoveragePoint, ...] = Field(min_length=1)
    curve: Curve
    area: Shares | None = None


class Coverage(Document):
    """``coverage.json``: several runs of one data set, free of the clock.

    Attributes:
        data: its name.
        data_fingerprints: of its training and test split, see ``LabeledData.fingerprints``; empty
            in a file of before they were written.
        radius: at which coverage holds.
        quantile: of the training set's own nearest-neighbour distances that ``radius`` is.
        same_class: whether only samples of a test sample's own class counted.
        runs: in the order given.
    """

    data: str
    data_fingerprints: tuple[str | None, ...] = ()
    radius: float
    quantile: float
    same_class: bool = False
    runs: tuple[RunCoverage, ...]
    options: dict[str, Any] = Field({}, description="of the network and the radius")
