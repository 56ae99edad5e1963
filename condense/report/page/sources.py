"""The folders a report is made of: runs, and what studies of them wrote."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from condense.engine.artefact.dataset import CondensedDataset
from condense.engine.artefact.write import MANIFEST, TENSORS
from condense.errors import DataError

# the file that marks a study's folder → what the study is called
STUDIES = {
    "ablation.json": "ablation",
    "tune.json": "tuning",
    "coverage.json": "coverage",
    "comparison.json": "comparison",
}


@dataclass(frozen=True, eq=False)
class RunSource:
    """What ``condense run`` wrote.

    Attributes:
        path: as it was given.
        condensed: the set with its recipe and trace.
        results: contents of ``results.json``; empty where nothing was evaluated.
        log: contents of ``run.log.json``; empty where it is absent.
    """

    path: Path
    condensed: CondensedDataset
    results: dict[str, Any]
    log: dict[str, Any]

    @property
    def arms(self) -> dict[str, dict[str, Any]]:
        """Evaluated arms by name, ``condensed`` and the baselines."""
        return dict(self.results.get("arms", {}))


@dataclass(frozen=True)
class StudySource:
    """The document of a study.

    Attributes:
        kind: ablation, tuning, coverage or comparison.
        path: its folder, as it was given.
        document: contents of its JSON file.
    """

    kind: str
    path: Path
    document: dict[str, Any]


@dataclass(frozen=True, eq=False)
class Sources:
    """All that a report is made of, in the order given."""

    runs: tuple[RunSource, ...]
    studies: tuple[StudySource, ...]

    def of(self, kind: str) -> list[StudySource]:
        """The studies of one kind."""
        return [study for study in self.studies if study.kind == kind]


def read_sources(paths: Sequence[Path]) -> Sources:
    """What lies in ``paths``.

    Raises:
        DataError: naming a folder that holds neither a run nor a study, or a damaged file.
    """
    runs, studies = [], []
    for path in dict.fromkeys(paths):
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
        studies += [StudySource(STUDIES[name], path, _read_json(path / name)) for name in found]
    return Sources(tuple(runs), tuple(studies))


def _read_run(path: Path) -> RunSource:
    results, log = (
        _read_json(path / name) if (path / name).is_file() else {}
        for name in ("results.json", "run.log.json")
    )
    _check(path / "results.json", results.get("arms", {}), ARM)
    _check(path / "run.log.json", log.get("stages", {}), STAGE)
    _check(path / "run.log.json", {"the run": log}, LOG)
    return RunSource(path, CondensedDataset.load(path), results, log)


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


def _numbers(value: Any) -> bool:
    return isinstance(value, list) and all(map(_number, value))


def _protocol(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("tried", {}), dict)


Check = Callable[[Any], bool]
# what each entry of a file must have, and what it may have
ARM: dict[str, tuple[Check, bool]] = {
    "mean": (_number, True),
    "values": (lambda value: _numbers(value) and bool(value), True),
    "per_class": (lambda value: value is None or _numbers(value), False),
    "protocol": (_protocol, False),
}
STAGE: dict[str, tuple[Check, bool]] = {
    "seconds": (_number, True),
    "cached": (lambda value: isinstance(value, bool), True),
}
LOG: dict[str, tuple[Check, bool]] = {
    "peak_memory_mb": (lambda value: value is None or _number(value), False),
}


def _check(path: Path, entries: Any, keys: Mapping[str, tuple[Check, bool]]) -> None:
    """Raises a DataError unless every one of ``entries`` is what ``keys`` say."""
    if not isinstance(entries, dict):
        raise DataError(f"{path} is damaged: it has no table of entries; run the recipe again")
    for name, entry in entries.items():
        for key, (good, needed) in keys.items():
            there = isinstance(entry, dict) and key in entry
            if not (good(entry[key]) if there else isinstance(entry, dict) and not needed):
                what = f"is {entry[key]!r:.40}" if there else "is missing"
                raise DataError(f"{path} is damaged: {key} of {name} {what}; run the recipe again")


def _read_json(path: Path) -> dict[str, Any]:
    """The object in ``path``.

    Raises:
        DataError: if it is not one.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {error}; make it again") from None
    if not isinstance(document, dict):
        raise DataError(f"{path} holds no JSON object; make it again")
    return document
