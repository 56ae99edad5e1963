"""Where a run's result goes: a folder that is free, holds the same recipe's result, or may go."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from condense.engine.artefact.write import ARTEFACT
from condense.engine.pipeline import Pipeline
from condense.engine.runtime.folders import check_folder
from condense.errors import OutputError
from condense.recipe import LEFT_OUT, flatten


def check_target(target: Path, pipeline: Pipeline, force: bool) -> Path:
    """The place of ``target``, if the result of ``pipeline`` may be written there.

    Args:
        target: a folder.
        pipeline: of which no stage is run.
        force: whether another recipe's result may go for it.

    Raises:
        OutputError: if it cannot be written, holds something else, or may not be replaced.
    """
    place = check_folder(target, ARTEFACT)
    manifest = place / ARTEFACT.marker
    if force or not manifest.is_file():
        return place
    there, recipe = json.loads(manifest.read_bytes()), pipeline.recipe
    own = {"recipe": recipe.portable(), "data": {"fingerprint": pipeline.data.fingerprint}}
    paths = recipe.all_paths()
    theirs, ours = (_facts(table, paths) for table in (there, json.loads(json.dumps(own))))
    for key in (*ours, *theirs):
        if theirs.get(key, ...) != ours.get(key, ...):
            raise OutputError(
                f"{target} holds the result of another recipe ({key} {_told(theirs, key)}, now "
                f"{_told(ours, key)}); give `force` to replace it, or choose another folder (`out`)"
            )
    return place


def _facts(manifest: dict[str, Any], paths: dict[str, str]) -> dict[str, Any]:
    """What a result depends on, by dotted key; not where its data lie, but what they are."""
    recipe, data = (v if isinstance(v, dict) else {} for v in map(manifest.get, ("recipe", "data")))
    stages = flatten({key: value for key, value in recipe.items() if key != LEFT_OUT})
    facts = {key: value for key, value in stages.items() if key not in paths}
    return facts | {"fingerprint of the data": data.get("fingerprint")}


def _told(facts: dict[str, Any], key: str) -> str:
    return json.dumps(facts[key]) if key in facts else "not set"
