"""JSON Schemas of the documents that commands print and write: ``python -m condense.cli.schema``.

They lie in ``condense/schema``, one file a document, named like it.
"""

from __future__ import annotations

import json
from pathlib import Path

from condense.engine.documents import (
    Document,
    EvaluateDocument,
    Results,
    RunDocument,
    RunLog,
)
from condense.engine.outputs import ScoreDocument, SelectDocument
from condense.studies.ablation.result import AblationDocument
from condense.studies.choosing.result import ChoiceDocument
from condense.studies.coverage.result import Coverage
from condense.studies.methods.result import CompareDocument
from condense.studies.scorers.run import ComparisonDocument
from condense.studies.seeds import SeedsDocument
from condense.studies.shrinking.result import ShrinkDocument
from condense.studies.tuning.result import TuningDocument

FOLDER = Path(__file__).parent.parent / "schema"
DOCUMENTS: dict[str, type[Document]] = {
    "results.json": Results,
    "run.json": RunDocument,
    "run-seeds.json": SeedsDocument,
    "run.log.json": RunLog,
    "evaluate.json": EvaluateDocument,
    "score.json": ScoreDocument,
    "select.json": SelectDocument,
    "ablation.json": AblationDocument,
    "comparison.json": ComparisonDocument,
    "coverage.json": Coverage,
    "tune.json": TuningDocument,
    "choice.json": ChoiceDocument,
    "compare.json": CompareDocument,
    "shrink.json": ShrinkDocument,
}


def schemas() -> dict[str, str]:
    """Text of every schema by the name of its file."""
    found = {}
    for name, model in DOCUMENTS.items():
        schema = model.model_json_schema(mode="serialization")
        head = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
        found[name] = json.dumps(head | schema, indent=2, ensure_ascii=False) + "\n"
    return found


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for file, text in schemas().items():
        (FOLDER / file).write_text(text, encoding="utf-8")
