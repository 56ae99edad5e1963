"""The arms of a run: the condensed set, random subsets of its size, the whole training split."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import torch

from condense.capabilities import HasBaselineAugmentations, HasLabelRegime
from condense.components import resolve_component
from condense.data import content_digest
from condense.engine.artefact.dataset import CondensedDataset
from condense.engine.runtime.rng import Seed
from condense.engine.stages.evaluation import EvaluationPlan, EvaluationStage
from condense.engine.stages.reselection import ReselectionStage
from condense.engine.stages.selection import SelectionStage
from condense.engine.stages.stage import Bound
from condense.interfaces import Evaluation, TrainingSet
from condense.kinds import RANDOM, WHOLE
from condense.recipe import Resolved
from condense.results import Arm
from condense.traits import AugmentationTraits, EvaluatorTraits, traits_of

OWN_LABELS = "own"  # the labels that a set has, hard or soft


def evaluate(bound: Bound, plan: EvaluationPlan) -> Evaluation:
    """``plan`` under each of its augmentations, from the store where it is there.

    Returns:
        the evaluation with the highest mean; ``protocol["tried"]`` holds all means.

    Raises:
        DataError: if the data has no test split.
    """
    return EvaluationStage(bound, plan).result


def condensed_plan(bound: Bound, condensed: CondensedDataset) -> EvaluationPlan:
    """The condensed set under the augmentations of :func:`own_augmentations`."""
    return _own_plan(bound, lambda: condensed, len(condensed), condensed.matched)


def coming_plan(reselecting: ReselectionStage) -> EvaluationPlan:
    """As :func:`condensed_plan`, of the set that it gives once it is asked for it."""
    bound = reselecting.bound
    size = sum(bound.recipe.budget.counts(bound.data))
    return _own_plan(bound, lambda: reselecting.result, size, reselecting.matching.needed)


def selection_plan(selecting: SelectionStage) -> EvaluationPlan:
    """The selected samples as they are, under one augmentation.

    The recipe's, unless that goes by role: then the last of those that the evaluator tries on
    real samples.
    """
    bound = selecting.bound

    @cache
    def training() -> TrainingSet:
        return TrainingSet.of(bound.data.subset(selecting.result.indices))

    def content() -> dict[str, str]:
        chosen = content_digest(selecting.result.indices)
        return {"selected": chosen, "of": bound.data.fingerprint}

    return EvaluationPlan(
        EvaluationStage.component,
        Arm("selection", lambda repeat: training(), sum(bound.recipe.budget.counts(bound.data))),
        content,
        own_augmentations(bound, matched=False)[-1:],
    )


def _own_plan(
    bound: Bound, condensed: Callable[[], CondensedDataset], size: int, matched: bool
) -> EvaluationPlan:
    @cache
    def training() -> TrainingSet:
        return condensed().training_set()

    @cache
    def content() -> dict[str, str]:
        return {"condensed": condensed().content_fingerprint}

    return EvaluationPlan(
        EvaluationStage.component,
        Arm(bound.recipe.method, lambda repeat: training(), size),
        content,
        own_augmentations(bound, matched),
    )


def random_plan(bound: Bound) -> EvaluationPlan:
    """Random subsets of the same size, a fresh one per repeat."""
    counts = bound.recipe.budget.counts(bound.data)
    return EvaluationPlan(
        RANDOM,
        Arm(RANDOM, lambda repeat: random_subset(bound, counts, repeat), sum(counts)),
        lambda: {
            "random_subset_of": bound.data.fingerprint,
            "counts": list(counts),
            "seed": bound.forked_seed("baseline"),
        },
        baseline_augmentations(bound),
    )


def whole_plan(bound: Bound) -> EvaluationPlan:
    """The whole training split, for the same number of optimiser steps."""
    whole = TrainingSet.of(bound.data)
    size = sum(bound.recipe.budget.counts(bound.data))
    return EvaluationPlan(
        WHOLE,
        Arm(WHOLE, lambda repeat: whole, size),
        lambda: {"whole": bound.data.fingerprint},
        baseline_augmentations(bound)[:1],
    )


def own_augmentations(bound: Bound, matched: bool) -> list[Resolved]:
    """The recipe's augmentation; for one that goes by role on a set that matching had no part in,
    each of the evaluator's baseline augmentations, as for any other arm of real samples."""
    augmentation = bound.recipe["augmentation"]
    if traits_of(augmentation.cls, AugmentationTraits).by_role and not matched:
        return baseline_augmentations(bound)
    return [augmentation]


def baseline_augmentations(bound: Bound) -> list[Resolved]:
    """What the evaluator tries on arms of real samples; the recipe's own if it names none.

    Of features one is enough, as each leaves them as they are.
    """
    evaluator = bound.recipe["evaluator"].create()
    listed = isinstance(evaluator, HasBaselineAugmentations)
    names = evaluator.baseline_augmentations if listed else ()
    key = "evaluator.baseline_augmentations"
    specs = [resolve_component(bound.host, "augmentation", name, {}, key) for name in names]
    found = specs or [bound.recipe["augmentation"]]
    return found if bound.data.geometry.is_image else found[:1]


def measure_of(evaluator: Resolved) -> str:
    """What its figures are, in words; what has two names never stands in one column."""
    word = traits_of(evaluator.cls, EvaluatorTraits).measure
    regime = label_regime(evaluator)
    return word if regime == OWN_LABELS else f"{word} under {regime} labels"


def label_regime(evaluator: Resolved) -> str:
    """What its networks are trained towards: ``"own"`` are the labels that a set has."""
    made = evaluator.create()
    return made.label_regime if isinstance(made, HasLabelRegime) else OWN_LABELS


def random_subset(bound: Bound, counts: Sequence[int], repeat: int) -> TrainingSet:
    """The random subset of one repeat, ``counts[c]`` samples of class c."""
    rng = Seed.of(bound.rng("baseline")).fork(RANDOM, repeat).generator()
    chosen = []
    for label, count in enumerate(counts):
        members = bound.data.class_indices(label)
        chosen.append(members[torch.randperm(len(members), generator=rng)[:count]])
    return TrainingSet.of(bound.data.subset(torch.cat(chosen)))
