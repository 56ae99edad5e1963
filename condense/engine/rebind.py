"""From the folder of a condensed set back to its recipe, bound to the data again."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from typing_extensions import Unpack

from condense.data import LabeledData
from condense.engine.artefact.dataset import CondensedDataset
from condense.engine.pipeline import Pipeline, Tools
from condense.errors import DataError
from condense.layers import assignments_layer
from condense.options import COMPONENT
from condense.plugin.host import Host
from condense.recipe import LEFT_OUT, RecipeFile
from condense.resolve import Request, resolve, without_effect

MEMORY = "memory"  # the data stage of what was handed over in Python


@dataclass(frozen=True, eq=False)
class Rebound:
    """A condensed set with its recipe, ready to be run on its data or on others.

    Attributes:
        folder: that it was loaded from.
        condensed: the set.
        pipeline: of its recipe, with what was asked for besides.
        renamed: whether other data were named than those of the recipe.
        unbound: whether there are no data, handed over in Python as they were.
    """

    folder: Path
    condensed: CondensedDataset
    pipeline: Pipeline
    renamed: bool
    unbound: bool

    @cached_property
    def data(self) -> LabeledData:
        """The data, of the same kind as the set; a note where they have changed since.

        Raises:
            DataError: for data that only lived in memory, are gone, or of other classes or shape.
        """
        if self.unbound:
            raise DataError(
                f"{self.folder} was made of arrays in memory; say what to test on with `data`"
            )
        data = self._loaded()
        check_kind(self.folder, self.condensed, data)
        moved = "data.path" in self.condensed.recipe.get(LEFT_OUT, {})  # so it had to be named
        same = data.fingerprint == self.condensed.data_fingerprint
        if not same and (moved or not self.renamed):
            self.pipeline.progress.note(
                f"note: {data.name} is not as it was when {self.folder} was made of it"
            )
        return data

    def _loaded(self) -> LabeledData:
        try:
            return self.pipeline.data
        except DataError as error:
            if self.renamed:
                raise
            raise DataError(
                f"the data that {self.folder} was made of cannot be read: {error}; say where they "
                "are now with `data`"
            ) from None


def rebind(
    folder: Path,
    condensed: CondensedDataset,
    request: Request,
    host: Host,
    *,
    stages: Collection[str] | None = None,
    **tools: Unpack[Tools],
) -> Rebound:
    """A condensed set with its recipe; no data are loaded yet.

    Args:
        folder: that the set was loaded from.
        condensed: the set.
        request: what goes before the recipe: its data, seed and assignments. With ``in_memory``
            the data stage is left out.
        host: where components are looked up.
        stages: those of the recipe that matter, so that the components of the others need not be
            there; None takes the whole recipe.

    Raises:
        UnknownComponent, OptionError: for a recipe or overrides that do not go together.
    """
    table = condensed.bound_recipe
    told = table.get(LEFT_OUT, {})
    left_out = {key.partition(".")[0] for key in told} - {"data"}
    own = {k: v for k, v in table.items() if (stages is None or k in stages) and k not in left_out}
    # nothing that is measured on a set depends on what its samples are called
    asked_for = [key for key in told if key.startswith("data.") and key != "data.items"]
    own[LEFT_OUT] = {key: told[key] for key in asked_for}
    data = assignments_layer(request.assignments).stages.get("data", {})
    renamed = request.data is not None or COMPONENT in data
    unbound = request.in_memory or (not renamed and _own_data(condensed) == MEMORY)
    if unbound:
        own.pop("data", None)
    file = RecipeFile(own, folder / "recipe.toml")
    modality = condensed.geometry.modality
    asked = replace(request, recipe=file, in_memory=unbound, modality=modality)
    recipe = resolve(host, asked)
    for line in without_effect(recipe, asked):
        tools["progress"].note(line)
    pipeline = Pipeline(recipe, host, normalization=condensed.normalization, **tools)
    return Rebound(folder, condensed, pipeline, renamed, unbound)


def check_kind(folder: Path, condensed: CondensedDataset, data: LabeledData) -> None:
    """That the set in ``folder`` can be compared with ``data``.

    Raises:
        DataError: if its classes, the shape of its samples or the features of a table are others,
            naming the first.
    """
    own, other = condensed.classes, data.classes
    mine, theirs = (table.features if table else () for table in (condensed.table, data.table))
    if data.geometry.shape != condensed.geometry.shape:
        what = f"samples of shape {condensed.geometry.shape}, {data.name} {data.geometry.shape}"
    elif len(other) != len(own):
        what = f"{len(own)} classes, {data.name} {len(other)}"
    elif other != own:
        at = next(at for at, name in enumerate(own) if name != other[at])
        what = f"'{own[at]}' as class {at}, {data.name} '{other[at]}'"
    elif mine and theirs and mine != theirs:
        at = next(at for at, name in enumerate(mine) if name != theirs[at])
        what = f"'{mine[at]}' as feature {at}, {data.name} '{theirs[at]}'"
    else:
        return
    raise DataError(f"{folder} holds {what}; name data of the same kind with `data`")


def _own_data(condensed: CondensedDataset) -> str:
    return str(condensed.recipe.get("data", {}).get(COMPONENT, MEMORY))
