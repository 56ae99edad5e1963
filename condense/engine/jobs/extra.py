"""Extra stages of a job beside those of its recipe: of a set in a folder, of feature networks."""

from __future__ import annotations

import io
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from condense.engine.arms import condensed_plan, selection_plan
from condense.engine.artefact.dataset import CondensedDataset
from condense.engine.artefact.write import MANIFEST, SNAPSHOTS, TENSORS, TRACE
from condense.engine.documents import Document
from condense.engine.feature_space.network import FeatureOptions
from condense.engine.pipeline import Pipeline
from condense.engine.stages.evaluation import EvaluationStage
from condense.engine.stages.features import FeatureStage
from condense.engine.stages.stage import Stage
from condense.errors import CondenseError
from condense.jobs import Blobs
from condense.options import part_of


class Extra(Document):
    """What extra stages are made of, as plain data.

    Attributes:
        selection: whether its selection is evaluated as it is, not the condensed set.
        folder: of a condensed set that is evaluated in the place of the recipe's own; or "".
        fingerprint: of what is in it.
        features: options of the feature networks; None where none are asked for.
    """

    selection: bool = False
    folder: str = ""
    fingerprint: str = ""
    features: dict[str, Any] | None = None

    @staticmethod
    def of(
        folder: Path | None = None,
        condensed: CondensedDataset | None = None,
        features: FeatureOptions | None = None,
    ) -> Extra:
        """Of the set ``condensed`` in ``folder``, and of feature networks."""
        own = part_of(FeatureOptions, features).model_dump(mode="json") if features else None
        return Extra(
            folder="" if folder is None else str(folder.absolute()),
            fingerprint="" if condensed is None else condensed.content_fingerprint,
            features=own,
        )

    @property
    def blob(self) -> str:
        """The name under which the set is sent along, where its folder is not seen."""
        return f"set/{self.fingerprint}"


def extra_stages(pipeline: Pipeline, extra: Extra, blobs: Blobs) -> list[Stage[Any]]:
    """The stages of ``extra``, which come before those of the recipe.

    Raises:
        CondenseError: for a set that is not here, or another.
    """
    found: list[Stage[Any]] = []
    if extra.features is not None:
        options = FeatureOptions.model_validate(extra.features)
        found.append(FeatureStage(pipeline, options))
    if extra.selection:
        plan = selection_plan(pipeline.selecting)
        found.append(EvaluationStage(pipeline, plan, [pipeline.selecting]))
    if extra.folder:
        condensed = _set_of(extra, blobs)
        evaluating = EvaluationStage(pipeline, condensed_plan(pipeline, condensed))
        found += [*evaluating.needs, evaluating]
    return found


def _set_of(extra: Extra, blobs: Blobs) -> CondensedDataset:
    if extra.blob in blobs:
        with tempfile.TemporaryDirectory() as place:
            with zipfile.ZipFile(io.BytesIO(blobs[extra.blob])) as files:
                files.extractall(place)
            return CondensedDataset.load(place)
    there = Path(extra.folder).is_dir()
    condensed = CondensedDataset.load(extra.folder) if there else None
    if condensed is None or condensed.content_fingerprint != extra.fingerprint:
        raise CondenseError(
            f"{extra.folder} {'holds another set' if there else 'is not'} here; give a folder that "
            "all machines see"
        )
    return condensed


def set_bytes(folder: Path) -> bytes:
    """The files of the condensed set in ``folder``, but for what only people read."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as files:
        for pattern in (MANIFEST, TENSORS, TRACE, SNAPSHOTS):
            for path in sorted(folder.glob(pattern)):
                files.write(path, path.relative_to(folder))
    return out.getvalue()
