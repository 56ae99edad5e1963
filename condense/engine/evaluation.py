"""Evaluating arms, cached by content: a condensed set, random subsets of its size, the whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from condense.capabilities import HasBaselineAugmentations
from condense.components import resolve_spec
from condense.engine.artefact.dataset import CondensedDataset
from condense.engine.checked import run_evaluator
from condense.engine.pipeline import Pipeline
from condense.engine.runtime.rng import Seed
from condense.engine.runtime.store import Payload
from condense.interfaces import Evaluation, Evaluator, TrainingSet
from condense.options import AugmentationSpec
from condense.recipe import Resolved
from condense.results import Arm
from condense.traits import AugmentationTraits, EvaluatorTraits, traits_of

RANDOM, WHOLE = "random", "whole"


@dataclass(frozen=True, eq=False)
class EvaluationPlan:
    """An arm with the augmentations it is tried under; the better one counts.

    Attributes:
        stage: name its time is recorded under.
        arm: what is trained on.
        content: what its training sets depend on, for the cache.
        augmentations: one or more.
    """

    stage: str
    arm: Arm
    content: Mapping[str, Any]
    augmentations: Sequence[Resolved]

    def keys(self, pipeline: Pipeline) -> list[dict[str, Any]]:
        """The cache key of each augmentation's accuracy: everything it depends on."""
        shared = pipeline.component_key("evaluator") | {
            "content": dict(self.content),
            "size": self.arm.size,
            "test": pipeline.test_split().fingerprint,
            "seed": Seed(pipeline.recipe.seed).fork("evaluator").value,
        }
        if _needs_training(pipeline):
            shared |= {"training": pipeline.data.fingerprint}
        return [shared | {"augmentation": a.identity} for a in self.augmentations]


def _needs_training(pipeline: Pipeline) -> bool:
    return traits_of(pipeline.recipe["evaluator"].cls, EvaluatorTraits).needs_training


def condensed_plan(pipeline: Pipeline, condensed: CondensedDataset) -> EvaluationPlan:
    """The condensed set under the augmentations of :func:`own_augmentations`."""
    training = condensed.training_set()
    return EvaluationPlan(
        "evaluator",
        Arm(pipeline.recipe.method, lambda repeat: training, len(condensed)),
        {"condensed": condensed.content_fingerprint},
        own_augmentations(pipeline, condensed.matched),
    )


def random_plan(pipeline: Pipeline) -> EvaluationPlan:
    """Random subsets of the same size, a fresh one per repeat."""
    counts = pipeline.recipe.budget.counts(pipeline.data)
    return EvaluationPlan(
        RANDOM,
        Arm(RANDOM, lambda repeat: random_subset(pipeline, counts, repeat), sum(counts)),
        {
            "random_subset_of": pipeline.data.fingerprint,
            "counts": list(counts),
            "seed": Seed(pipeline.recipe.seed).fork("baseline").value,
        },
        baseline_augmentations(pipeline),
    )


def whole_plan(pipeline: Pipeline) -> EvaluationPlan:
    """The whole training split, for the same number of optimiser steps."""
    whole = TrainingSet.of(pipeline.data)
    size = sum(pipeline.recipe.budget.counts(pipeline.data))
    return EvaluationPlan(
        WHOLE,
        Arm(WHOLE, lambda repeat: whole, size),
        {"whole": pipeline.data.fingerprint},
        baseline_augmentations(pipeline)[:1],
    )


def baseline_plans(pipeline: Pipeline) -> list[EvaluationPlan]:
    """What a condensed set is compared with."""
    return [random_plan(pipeline), whole_plan(pipeline)]


def own_augmentations(pipeline: Pipeline, matched: bool) -> list[Resolved]:
    """The recipe's augmentation; for one that goes by role on a set that matching had no part in,
    each of the evaluator's baseline augmentations, as for any other arm of real samples."""
    augmentation = pipeline.recipe["augmentation"]
    if traits_of(augmentation.cls, AugmentationTraits).by_role and not matched:
        return baseline_augmentations(pipeline)
    return [augmentation]


def baseline_augmentations(pipeline: Pipeline) -> list[Resolved]:
    """What the evaluator tries on arms of real samples; the recipe's own if it names none."""
    evaluator = pipeline.recipe["evaluator"].create()
    listed = isinstance(evaluator, HasBaselineAugmentations)
    names = evaluator.baseline_augmentations if listed else ()
    specs = [resolve_spec(pipeline.host, AugmentationSpec.of(name)) for name in names]
    return specs or [pipeline.recipe["augmentation"]]


def random_subset(pipeline: Pipeline, counts: Sequence[int], repeat: int) -> TrainingSet:
    """The random subset of one repeat, ``counts[c]`` samples of class c."""
    rng = Seed.of(pipeline.rng("baseline")).fork(RANDOM, repeat).generator()
    chosen = []
    for label, count in enumerate(counts):
        members = pipeline.data.class_indices(label)
        chosen.append(members[torch.randperm(len(members), generator=rng)[:count]])
    return TrainingSet.of(pipeline.data.subset(torch.cat(chosen)))


def evaluate(pipeline: Pipeline, trial: EvaluationPlan) -> Evaluation:
    """The trial under each of its augmentations, from the store where it is there.

    Returns:
        the evaluation with the highest mean; ``protocol["tried"]`` holds all means.

    Raises:
        DataError: if the data has no test split.
    """
    pairs = zip(trial.keys(pipeline), trial.augmentations, strict=True)
    tried = [_evaluate(pipeline, trial, key, augmentation) for key, augmentation in pairs]
    best = max(tried, key=lambda e: e.mean)
    means = {str(e.protocol["augmentation"]): e.mean for e in tried}
    return replace(best, protocol={**best.protocol, "tried": means})


def _evaluate(
    pipeline: Pipeline, trial: EvaluationPlan, key: dict[str, Any], augmentation: Resolved
) -> Evaluation:
    test = TrainingSet.of(pipeline.test_split())
    whole = TrainingSet.of(pipeline.data) if _needs_training(pipeline) else None
    arm = replace(trial.arm, training=whole)

    def compute() -> Payload:
        evaluator: Evaluator = pipeline.recipe["evaluator"].create()
        result = run_evaluator(
            evaluator,
            arm,
            test,
            augmentation.create(),
            pipeline.context,
            pipeline.rng("evaluator"),
        )
        return Payload(
            {} if result.right is None else {"right": result.right},
            {
                "values": list(result.values),
                "per_class": list(result.per_class),
                "protocol": result.protocol,
                "seconds": result.seconds,
            },
        )

    with pipeline.timed(trial.stage) as done:
        payload, cached = pipeline.store.fetch("evaluations", key, compute)
        done(cached)
    v = payload.values
    return Evaluation(
        tuple(v["values"]),
        v["protocol"],
        v["seconds"],
        tuple(v["per_class"]),
        payload.tensors.get("right"),
    )
