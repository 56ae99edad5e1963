"""Where a run's result goes: its own folder, or one that is free or holds the same run's result."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

from condense.engine.artefact.write import ARTEFACT, CHOICE, LOG, SHRINK
from condense.engine.documents import RunLog, read_document
from condense.engine.pipeline import Pipeline
from condense.engine.runtime.files import default_path
from condense.engine.runtime.folders import check_folder, check_same
from condense.errors import CondenseError, OutputError
from condense.recipe import LEFT_OUT, Recipe, flatten


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
    check_same(target, "the result of another recipe", theirs, ours)
    if _content_in(place) not in ("", pipeline.content_digest):
        raise OutputError(
            f"{target} holds the result of this recipe on other files ({', '.join(paths)}) or by "
            "another way of sharing scores and experts between seeds; give `force` to replace it, "
            "or choose another folder (`out`)"
        )
    return place


def _facts(manifest: dict[str, Any], paths: dict[str, str]) -> dict[str, Any]:
    """What a result depends on, by dotted key; not where its data lie, but what they are."""
    recipe, data = (v if isinstance(v, dict) else {} for v in map(manifest.get, ("recipe", "data")))
    stages = flatten({key: value for key, value in recipe.items() if key != LEFT_OUT})
    facts = {key: value for key, value in stages.items() if key not in paths}
    return facts | {"fingerprint of the data": data.get("fingerprint")}


def findings_of_studies(place: Path, content: str) -> list[Path]:
    """What `shrink` or a choice wrote beside the result in ``place``.

    None where that depends on anything else than a run whose :attr:`Pipeline.content_digest` is
    ``content``.
    """
    if _content_in(place) != content:
        return []
    return [path for name in (CHOICE, *SHRINK) if (path := place / name).is_file()]


def _content_in(place: Path) -> str:
    """The digest of what the result there depends on; "" where that is not said."""
    with contextlib.suppress(CondenseError):  # of a set saved by itself, or with a damaged log
        return read_document(place / LOG, RunLog).content
    return ""


def default_folder(pipeline: Pipeline, baselines: bool) -> Path:
    """``runs/METHOD-DATA-ipcN-sSEED-HASH``; equal recipes on equal data, equal folders.

    Results without baselines have another one: they are not to replace those with them.
    """
    recipe, more = pipeline.recipe, [] if baselines else ["without baselines"]
    parts = [*pipeline.content, *more]
    return default_path(recipe.method, pipeline.data.name, parts, _size_and_seed(recipe))


def run_name(pipeline: Pipeline) -> str:
    """``METHOD-DATA-ipcN-sSEED``, of a run whose result lies nowhere."""
    recipe = pipeline.recipe
    return f"{recipe.method}-{pipeline.data.name}-{_size_and_seed(recipe)}"


def _size_and_seed(recipe: Recipe) -> str:
    budget = recipe.budget
    size = f"ipc{budget.ipc}" if budget.ipc is not None else f"fraction{budget.fraction:g}"
    return f"{size}-s{recipe.seed}"
