"""What a diagnosis is made from: a run's own figures, and what its components and store know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from typing_extensions import Unpack

from condense.capabilities import HasRanges, MatchesUnder
from condense.data import LabeledData
from condense.engine.arms import measure_of
from condense.engine.artefact.dataset import CondensedDataset
from condense.engine.documents import OWN
from condense.engine.feature_space.near_copies import NearCopies, near_copies_in
from condense.engine.feature_space.scales import Scale, widest_scale
from condense.engine.ingest.copies import Copies, copies_in
from condense.engine.pipeline import Pipeline, Tools
from condense.engine.rebind import Rebound, rebind
from condense.engine.runtime.guard import contents, guarded
from condense.engine.stages.stage import StoredStage
from condense.errors import CondenseError
from condense.figures.formats import setting
from condense.options import idle_options
from condense.plugin.host import Host
from condense.resolve import Request
from condense.results import Evaluation
from condense.traits import AugmentationTraits, EvaluatorTraits, MatcherTraits, Traits, traits_of


@dataclass(frozen=True, eq=False, kw_only=True)
class SourceFacts:
    """What is known of data and their scores; None or nothing where it is not.

    Attributes:
        scorer: its name.
        split_half: raw ρ between two halves of the scorer's replicates.
        learned: accuracy of the networks of a stage on their own training data, by the stage.
        class_sizes: of the training split.
        copies: samples that are equal to others.
        near_copies: samples that are nearly so.
        scale: of the feature that a few values set the scale of the most.
        advice: of the components, by code of a finding.
    """

    scorer: str = ""
    split_half: float | None = None
    learned: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    class_sizes: tuple[int, ...] = ()
    copies: Copies | None = None
    near_copies: NearCopies | None = None
    scale: Scale | None = None
    advice: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False, kw_only=True)
class RunFacts(SourceFacts):
    """What is known of a run, besides.

    Attributes:
        condensed: the set with its roles, labels and trace.
        evaluations: by arm, the set's own called ``condensed``.
        measure: what the evaluator's figures are.
        relative_loss: whether a loss of 1 means that the student came no nearer to its target.
        step_size: before matching.
        matched_under: the augmentation that distilled samples had in matching; None of features.
        evaluated_under: the augmentation that distilled samples had in the evaluation; likewise.
        ranges: value, lowest and highest that the data allow, by option key.
        hard_coverage: of the hard half of the test split in 0–1, by iteration.
        idle: keys of options that have no effect beside others that are set.
    """

    condensed: CondensedDataset
    evaluations: Mapping[str, Evaluation] = field(default_factory=dict)
    measure: str = EvaluatorTraits.measure
    relative_loss: bool = False
    step_size: float | None = None
    matched_under: str | None = None
    evaluated_under: str | None = None
    ranges: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)
    hard_coverage: tuple[float, ...] = ()
    idle: frozenset[str] = frozenset()


def collect_source(
    pipeline: Pipeline, fingerprint: str, data: LabeledData | None, near: bool = True
) -> SourceFacts:
    """What is known of the data of a recipe and of their scores; nothing is trained for it.

    Args:
        pipeline: of the recipe.
        fingerprint: of the data.
        data: None where they are not at hand.
        near: whether near copies are looked for.
    """
    return SourceFacts(
        scorer=pipeline.recipe["scorer"].name,
        split_half=_split_half(pipeline, fingerprint),
        learned={} if data is None else _learned(pipeline.scoring),
        class_sizes=() if data is None else tuple(data.labels.bincount().tolist()),
        copies=None if data is None else copies_in(data),
        near_copies=None if data is None or not near else near_copies_in(data),
        scale=None if data is None else widest_scale(data),
        advice=advice_of(pipeline),
    )


def collect(
    pipeline: Pipeline,
    condensed: CondensedDataset,
    evaluations: Mapping[str, Evaluation],
    data: LabeledData | None,
    near: bool = True,
) -> RunFacts:
    """What is known of a run; nothing is trained for it.

    Args:
        pipeline: of its recipe.
        condensed: its set.
        evaluations: by arm.
        data: that it was made of; None where they are not at hand.
        near: whether near copies are looked for.
    """
    recipe = pipeline.recipe
    matcher = recipe["matcher"].create()
    trained = traits_of(recipe["evaluator"].cls, EvaluatorTraits).measure == EvaluatorTraits.measure
    images = condensed.geometry.is_image  # features come back from augmentations as they are
    own = evaluations.get(OWN) if trained and images else None
    under = matcher.matched_under if isinstance(matcher, MatchesUnder) else None
    source = collect_source(pipeline, condensed.data_fingerprint, data, near)
    matched = {} if data is None else _learned(pipeline.matching)
    return RunFacts(
        **vars(source) | {"learned": {**source.learned, **matched}},
        condensed=condensed,
        evaluations=evaluations,
        measure=measure_of(recipe["evaluator"]),
        relative_loss=traits_of(matcher, MatcherTraits).relative_loss,
        step_size=matcher.plan.step_size,
        matched_under=under if images else None,
        evaluated_under=None if own is None else _on_distilled(pipeline.host, own),
        ranges={} if data is None else _ranges(pipeline, data),
        idle=frozenset(
            f"{stage}.{key}"
            for stage, resolved in recipe.stages.items()
            for key in idle_options(resolved.options)
        ),
    )


def collect_from(
    folder: Path,
    condensed: CondensedDataset,
    evaluations: Mapping[str, Evaluation],
    host: Host,
    data: str | None = None,
    **tools: Unpack[Tools],
) -> RunFacts:
    """What is known of the run in ``folder``; without its components, what its files say.

    Args:
        folder: that the set was loaded from.
        condensed: the set.
        evaluations: by arm.
        host: of the plugins now installed.
        data: where the data lie, ``NAME:PATH``, in place of what the recipe says.
        tools: store, device and progress, as for :class:`Pipeline`.
    """
    requests = (Request(data=data), Request(in_memory=True)) if condensed.recipe else ()
    for request in requests:  # where the data are not to be had, the other stages are known still
        try:
            bound = rebind(folder, condensed, request, host, **tools)
        except CondenseError:
            continue
        return collect(bound.pipeline, condensed, evaluations, _data_at_hand(bound))
    return RunFacts(condensed=condensed, evaluations=evaluations)


def _data_at_hand(bound: Rebound) -> LabeledData | None:
    """The data where the store knows them, so that nothing is fetched for a diagnosis."""
    pipeline, fingerprint = bound.pipeline, bound.condensed.data_fingerprint
    if bound.unbound or not pipeline.store.has("scores", pipeline.scoring.key_of(fingerprint)):
        return None
    try:
        data = bound.data
    except CondenseError:  # they are gone
        return None
    return data if data.fingerprint == fingerprint else None


def _on_distilled(host: Host, evaluation: Evaluation) -> str | None:
    """The augmentation that distilled samples get in ``evaluation``; None if that is not known."""
    if "augmentation" not in evaluation.protocol:
        return None
    name = setting(evaluation.protocol["augmentation"])
    traits = traits_of(host.registry("augmentation").get(name), AugmentationTraits)
    return traits.on_distilled or (None if traits.by_role else name)


def _split_half(pipeline: Pipeline, fingerprint: str) -> float | None:
    """Of the scores that were read or would be, as it was stored with them."""
    said = pipeline.scoring.said
    if said is None:
        if not pipeline.scoring.needed:
            return None
        payload = pipeline.store.get("scores", pipeline.scoring.key_of(fingerprint))
        said = {} if payload is None else payload.values
    return said.get("split_half")


def _learned(stage: StoredStage[Any]) -> dict[str, tuple[float, ...]]:
    """What the networks of scorer or matcher know of their training data, as it was stored."""
    said = stage.said
    if said is None and stage.needed and stage.stored:
        payload = stage.bound.store.get(stage.kind, stage.key())
        said = None if payload is None else payload.values
    return {stage.name: () if said is None else tuple(said.get("learned", ()))}


def _ranges(pipeline: Pipeline, data: LabeledData) -> dict[str, tuple[float, float, float]]:
    """Value and limits of the selector's options that the data limit, by option key."""
    selector, budget = pipeline.recipe["selector"].create(), pipeline.recipe.budget
    if not isinstance(selector, HasRanges):
        return {}
    values = pipeline.recipe["selector"].options.model_dump()
    try:
        with guarded("selector", selector, *contents(data)):
            found = selector.option_ranges(data, budget)
    except CondenseError as error:  # no reason to lose a run
        pipeline.progress.note(f"note: {error}")
        return {}
    return {f"selector.{key}": (values[key], low, high) for key, (low, high) in found.items()}


def advice_of(pipeline: Pipeline) -> dict[str, str]:
    """What the components advise, in the order of their stages."""
    found: dict[str, list[str]] = {}
    for resolved in pipeline.recipe.stages.values():
        for code, text in traits_of(resolved.cls, Traits).advice.items():
            found.setdefault(code, []).append(text)
    return {code: "; ".join(texts) for code, texts in found.items()}
