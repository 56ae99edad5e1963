"""What a diagnosis needs besides a run's own files: its components, its data, its store."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from condense.capabilities import HasReplicates
from condense.engine.artefact.dataset import CondensedDataset
from condense.engine.context import EngineContext
from condense.engine.pipeline import Pipeline
from condense.engine.runtime.guard import contents, guarded
from condense.engine.runtime.store import Payload, Store
from condense.engine.training.ranking import split_half
from condense.errors import CondenseError
from condense.options import COMPONENT
from condense.plugin.host import Host
from condense.recipe import LEFT_OUT, Recipe
from condense.resolve import Request, resolve
from condense.traits import AugmentationTraits, EvaluatorTraits, MatcherTraits, traits_of

ACCURACY = "accuracy"


@dataclass(frozen=True)
class RunFacts:
    """What is known of a run; None where it is not.

    Attributes:
        relative_loss: whether a loss of 1 means that the student came no nearer to its target.
        measure: what the evaluator's figures are.
        on_distilled: the augmentation that distilled samples get in the evaluation.
        split_half: raw ρ between two halves of the scorer's replicates.
        highest_beta: share of a class, 0–1, at which the window still ends within every class.
    """

    relative_loss: bool = False
    measure: str = ACCURACY
    on_distilled: str | None = None
    split_half: float | None = None
    highest_beta: float | None = None


class _NotStored(CondenseError):
    """Something would have to be computed."""


class _StoredOnly(Store):
    """A store that gives what it has and computes nothing."""

    def fetch(
        self, kind: str, key: Mapping[str, Any], compute: Callable[[], Payload]
    ) -> tuple[Payload, bool]:
        payload = self.get(kind, key)
        if payload is None:
            raise _NotStored(f"no entry of kind {kind} in {self.root}")
        return payload, True


def gather(
    condensed: CondensedDataset,
    evaluated: str | None,
    host: Host,
    data: str | None = None,
    **tools: Any,
) -> RunFacts:
    """What can be known of a run at no cost: nothing is trained or downloaded for it.

    Args:
        condensed: the run's set with its recipe.
        evaluated: name of the augmentation of its evaluation; None if it was not evaluated.
        host: of the plugins now installed; without the run's components little is known.
        data: where the data lie, ``NAME:PATH``, in place of what the recipe says.
        tools: store, device and progress, as for :class:`Pipeline`.
    """
    table = condensed.bound_recipe
    if not table:
        return RunFacts()
    left_out = {key.partition(".")[0] for key in table.get(LEFT_OUT, {})}
    in_memory = data is None and (
        "data" in left_out or table.get("data", {}).get(COMPONENT) not in host.registry("data")
    )
    for stage in (left_out - {"data"}) | ({"data"} if in_memory else set()):
        table.pop(stage, None)  # the other stages are known all the same
    try:
        recipe = resolve(host, Request(recipe=table, data=data))
        found = _of_components(recipe, evaluated, host)
    except CondenseError:
        return RunFacts()
    pipeline = Pipeline(recipe, host, **tools)
    if in_memory or not _was_scored_here(pipeline, condensed.data_fingerprint):
        return found
    try:
        if pipeline.data.fingerprint != condensed.data_fingerprint:  # others by now
            return found
        rho, highest = stored_split_half(pipeline), highest_beta(pipeline)
    except CondenseError:  # the data are gone
        return found
    return replace(found, split_half=rho, highest_beta=highest)


def _of_components(recipe: Recipe, evaluated: str | None, host: Host) -> RunFacts:
    relative = traits_of(recipe["matcher"].cls, MatcherTraits).relative_loss
    measure = traits_of(recipe["evaluator"].cls, EvaluatorTraits).measure
    known = evaluated is not None and measure == ACCURACY
    on_distilled = _on_distilled(host, str(evaluated)) if known else None
    return RunFacts(relative, measure, on_distilled)


def _was_scored_here(pipeline: Pipeline, fingerprint: str) -> bool:
    """Whether the store has scores of those data; asked before data are loaded or fetched."""
    return pipeline.store.has("scores", pipeline.scores_key(fingerprint))


def _on_distilled(host: Host, name: str) -> str | None:
    """What the augmentation ``name`` does to distilled samples, as the name of an augmentation."""
    traits = traits_of(host.registry("augmentation").get(name), AugmentationTraits)
    return traits.on_distilled or (None if traits.by_role else name)


def stored_split_half(pipeline: Pipeline) -> float | None:
    """Raw split-half ρ of the scores, where the store holds their replicates; else None.

    Raises:
        CondenseError: if the data cannot be loaded.
    """
    scorer = pipeline.recipe["scorer"].create()
    if not isinstance(scorer, HasReplicates) or not pipeline.needs_scores:
        return None
    store = _StoredOnly(pipeline.store.root, pipeline.progress)
    context = EngineContext(pipeline.host, store, pipeline.device, pipeline.progress)
    data = pipeline.data.without_test()
    try:
        with guarded("scorer", scorer, *contents(data)):
            found = scorer.replicates(data, context, pipeline.rng("scorer"))
            replicates = torch.as_tensor(found)
    except CondenseError:
        return None
    return split_half(replicates) if len(replicates) > 1 else None


def highest_beta(pipeline: Pipeline) -> float | None:
    """Largest share of a class that a window can skip; None where it is no share of a class.

    Raises:
        CondenseError: if the data cannot be loaded, or are fewer than asked for.
    """
    if not _has_class_beta(pipeline.recipe):
        return None
    data = pipeline.data
    sizes = [len(data.class_indices(label)) for label in range(len(data.classes))]
    counts = pipeline.recipe.budget.counts(data)
    return min((n - k) / n for n, k in zip(sizes, counts, strict=True))


def _has_class_beta(recipe: Recipe) -> bool:
    table = recipe["selector"].table
    return table.get("beta") is not None and table.get("unit", "class") == "class"
