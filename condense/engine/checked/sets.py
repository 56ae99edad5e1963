"""What is done with the samples of a set: moved or kept, labelled, replaced."""

from __future__ import annotations

from typing import get_args

import torch
from torch import Generator, Tensor

from condense.capabilities import LearnsLabels
from condense.engine.checked.common import described, kind_of, require
from condense.engine.runtime.guard import contents, guarded
from condense.errors import CondenseError
from condense.interfaces import (
    Context,
    LabeledData,
    LabelPlan,
    Reselector,
    Role,
    Scores,
    Selection,
    SyntheticSet,
    UpdatePolicy,
)
from condense.options import FLOAT32_MAX
from condense.results import Start


def run_policy(policy: UpdatePolicy, selection: Selection) -> Tensor:
    """bool [M] of distilled samples, checked.

    Raises:
        BrokenPlugin: if it is of another type or length, or as :func:`guarded` does.
    """
    with guarded("policy", policy, selection.indices, selection.labels):
        mask = policy.split(selection)
    require(
        isinstance(mask, Tensor),
        f"policy '{policy.name}' returned {kind_of(mask)}, expected a bool tensor",
    )
    require(
        mask.dtype == torch.bool and mask.shape == selection.indices.shape,
        f"policy '{policy.name}' returned {mask.dtype} {tuple(mask.shape)}, "
        f"expected bool ({len(selection.indices)},)",
    )
    return mask


def run_label_plan(policy: UpdatePolicy) -> LabelPlan | None:
    """What ``policy`` wants done with labels, checked; None where they stay as they are.

    Raises:
        BrokenPlugin: if it is anything but a sound plan, or as :func:`guarded` does.
    """
    if not isinstance(policy, LearnsLabels):
        return None
    who = f"policy '{policy.name}'"
    with guarded("policy", policy):
        plan = policy.label_plan
    if plan is None:
        return None
    require(
        isinstance(plan, LabelPlan), f"{who} has label_plan {kind_of(plan)}, expected a LabelPlan"
    )
    starts = get_args(Start)
    rates = (plan.lr, plan.momentum, plan.confidence, plan.temperature, plan.share)
    require(
        all(isinstance(rate, int | float) and not isinstance(rate, bool) for rate in rates)
        and isinstance(plan.all_samples, bool)
        and plan.start in starts
        and 0 <= plan.lr <= FLOAT32_MAX
        and 0 <= plan.momentum < 1
        and 0 < plan.confidence < 1
        and 0 <= plan.share <= 1
        and (plan.lr == 0 if plan.start == "matched" else plan.share == 1)
        and 0 < plan.temperature <= FLOAT32_MAX,
        f"{who} has {plan}, expected a finite lr of at least 0, momentum in [0, 1), confidence "
        f"in (0, 1), a positive temperature, share in [0, 1], start one of {', '.join(starts)}, "
        'all_samples true or false; lr 0 where it is "matched", share 1 elsewhere',
    )
    return plan


def run_reselector(
    reselector: Reselector,
    synthetic: SyntheticSet,
    data: LabeledData,
    scores: Scores | None,
    context: Context,
    rng: Generator,
) -> Tensor:
    """int64 [R], the real samples of the set, grouped by class, checked.

    Raises:
        BrokenPlugin: if there are not as many of each class as before, one is there twice or is
            what a distilled sample started from; or as :func:`guarded` does.
    """
    read = () if scores is None else scores.tensors
    given = (synthetic.inputs, synthetic.labels, synthetic.role, synthetic.source_index)
    with guarded("reselector", reselector, *contents(data), *given, *read):
        chosen = reselector.complete(synthetic, data.without_test(), scores, context, rng)
    who = f"reselector '{reselector.name}'"
    require(
        isinstance(chosen, Tensor) and chosen.dtype == torch.int64 and chosen.dim() == 1,
        f"{who} returned {described(chosen)}, expected int64 [R]",
    )
    check_real_part(who, chosen, synthetic, data)
    return chosen[torch.argsort(data.labels[chosen], stable=True)]


def check_real_part(who: str, chosen: Tensor, synthetic: SyntheticSet, data: LabeledData) -> None:
    """That the samples at ``chosen`` (int64 [R]) may be the real ones of ``synthetic``.

    Raises:
        BrokenPlugin: blaming ``who``, if not.
    """
    real = synthetic.role == Role.REAL
    there = bool(((chosen >= 0) & (chosen < len(data))).all())
    require(there, f"{who} returned positions outside 0…{len(data) - 1}")
    require(len(torch.unique(chosen)) == len(chosen), f"{who} chose a sample twice")
    moved = bool(torch.isin(chosen, synthetic.source_index[~real]).any())
    require(not moved, f"{who} chose a sample that a distilled one started from")
    both, count = (synthetic.labels[real], data.labels[chosen]), len(data.classes)
    asked, got = (torch.bincount(labels, minlength=count).tolist() for labels in both)
    require(got == asked, f"{who} returned {got} samples per class, asked were {asked}")


def check_frozen(synthetic: SyntheticSet, initial: SyntheticSet) -> None:
    """That no frozen sample moved.

    Raises:
        CondenseError: if one did; a bug of a plugin that wrote into the set.
    """
    real = initial.role == Role.REAL
    if not torch.equal(synthetic.inputs[real], initial.inputs[real]):
        raise CondenseError("a frozen sample was changed during matching; the matcher wrote to it")
