"""Where a run's result goes: its own folder, or one that is free or holds the same run's result."""

from __future__ import annotations

import contextlib
import hashlib
import json
from pathlib import Path
from typing import Any

from condense.engine.artefact.write import ARTEFACT, CHOICE, LOG, SHRINK
from condense.engine.documents import RunLog, read_document
from condense.engine.pipeline import Pipeline
from condense.engine.runtime.files import default_path
from condense.engine.runtime.folders import check_folder, check_same
from condense.engine.stages.scores import stages_in_use
from condense.engine.stages.stage import OF_FILES
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
    if _content_in(place) not in ("", content_digest_of(pipeline)):
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

    None where that depends on anything else than a run whose :func:`content_digest_of` is
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
    recipe, parts = pipeline.recipe, content_of(pipeline)
    parts += [] if baselines else ["without baselines"]
    return default_path(recipe.method, pipeline.data.name, parts, _size_and_seed(recipe))


def run_name(pipeline: Pipeline) -> str:
    """``METHOD-DATA-ipcN-sSEED``, of a run whose result lies nowhere."""
    recipe = pipeline.recipe
    return f"{recipe.method}-{pipeline.data.name}-{_size_and_seed(recipe)}"


def _size_and_seed(recipe: Recipe) -> str:
    budget = recipe.budget
    size = f"ipc{budget.ipc}" if budget.ipc is not None else f"fraction{budget.fraction:g}"
    return f"{size}-s{recipe.seed}"


def content_of(pipeline: Pipeline) -> list[Any]:
    """All that a run depends on, JSON-ready: what the files that it reads hold, not where they lie.

    Raises:
        CondenseError: for files that cannot be read.
    """
    keys = [pipeline.component_key(stage) for stage in stages_in_use(pipeline.recipe)]
    read = [key[name] for key in keys for name in OF_FILES if name in key]
    table = {k: v for k, v in pipeline.recipe.portable().items() if k != LEFT_OUT}
    # who has scores and experts of another seed has another result
    shared = [pipeline.shared_seed] if pipeline.shared_seed != pipeline.recipe.seed else []
    return [table, *pipeline.data.fingerprints, *read, *shared]


def content_digest_of(pipeline: Pipeline) -> str:
    """SHA-256 (32 hex digits) of :func:`content_of`."""
    text = json.dumps(content_of(pipeline), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]
