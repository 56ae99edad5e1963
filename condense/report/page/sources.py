"""The folders a report is made of: runs, and what studies of them wrote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from condense.engine.artefact.dataset import CondensedDataset
from condense.engine.artefact.write import LOG, MANIFEST, RESULTS, TENSORS
from condense.engine.documents import Document, RunLog, read_document, read_results
from condense.errors import DataError
from condense.places import without_home
from condense.results import Evaluation
from condense.studies.ablation.result import AblationDocument
from condense.studies.coverage.result import Coverage
from condense.studies.methods.result import CompareDocument
from condense.studies.scorers.run import ComparisonDocument
from condense.studies.shrinking.result import ShrinkDocument
from condense.studies.tuning.result import TuningDocument

# the file that marks a study's folder → what the study is called, and what the file holds
STUDIES: dict[str, tuple[str, type[Document]]] = {
    "ablation.json": ("ablation", AblationDocument),
    "tune.json": ("tuning", TuningDocument),
    "coverage.json": ("coverage", Coverage),
    "comparison.json": ("comparison", ComparisonDocument),
    "compare.json": ("methods", CompareDocument),
    "shrink.json": ("shrinking", ShrinkDocument),
}


@dataclass(frozen=True, eq=False)
class RunSource:
    """What ``condense run`` wrote.

    Attributes:
        path: as it was given.
        condensed: the set with its recipe and trace.
        evaluations: of ``results.json`` by arm, ``condensed`` and the baselines; empty where
            nothing was evaluated.
        log: of ``run.log.json``; empty where it is absent.
    """

    path: Path
    condensed: CondensedDataset
    evaluations: Mapping[str, Evaluation]
    log: RunLog


@dataclass(frozen=True)
class StudySource:
    """The document of a study.

    Attributes:
        kind: ablation, tuning, coverage, comparison (of scorers), methods or shrinking.
        path: its folder, as it was given; empty for what was worked out for the report.
        document: contents of its JSON file.
    """

    kind: str
    path: str
    document: Any


@dataclass(frozen=True, eq=False)
class Sources:
    """All that a report is made of, in the order given."""

    runs: tuple[RunSource, ...]
    studies: tuple[StudySource, ...]


def read_sources(paths: Sequence[Path]) -> Sources:
    """What lies in ``paths``.

    Raises:
        DataError: naming a folder that holds neither a run nor a study, or a damaged file.
    """
    runs, studies = [], []
    for path in dict.fromkeys(run for given in paths for run in _seeds_of(given)):
        found = [name for name in STUDIES if (path / name).is_file()]
        is_run = (path / TENSORS).is_file() or (path / MANIFEST).is_file()
        if not path.is_dir():
            what = "is a file" if path.exists() else "does not exist"
            raise DataError(f"{path} {what}; give the folder that `condense run --out DIR` wrote")
        if not found and not is_run:
            raise DataError(
                f"{path} holds nothing to report: it needs {TENSORS} and {MANIFEST} (a run) or one "
                f"of {', '.join(STUDIES)}; make one with `condense run --out DIR`"
            )
        if is_run:
            runs.append(_read_run(path))
        for name in found:
            kind, model = STUDIES[name]
            studies.append(
                StudySource(
                    kind,
                    without_home(path.as_posix()),
                    read_document(path / name, model, "make it again").without_home(),
                )
            )
    return Sources(tuple(runs), tuple(studies))


def _seeds_of(path: Path) -> list[Path]:
    """The runs of ``condense run --seeds`` in ``path``, by seed; else ``path`` itself."""
    if (path / MANIFEST).is_file():
        return [path]
    runs = [p for p in path.glob("s*") if p.name[1:].isdigit() and (p / MANIFEST).is_file()]
    return sorted(runs, key=lambda run: int(run.name[1:])) or [path]


def _read_run(path: Path) -> RunSource:
    condensed = CondensedDataset.load(path)
    results = read_results(path / RESULTS, condensed)
    arms = {} if results is None else results.arms
    evaluations = {
        name: Evaluation(
            arm.values,
            dict(arm.protocol),
            per_class=arm.per_class or (),
            class_sizes=arm.class_sizes,
        )
        for name, arm in arms.items()
    }
    log = read_document(path / LOG, RunLog) if (path / LOG).is_file() else RunLog()
    return RunSource(path, condensed, evaluations, log)
