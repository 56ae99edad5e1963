"""Running one component under the engine's checks, so that a wrong one is named, not trusted."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from condense.engine.tensors import network_inputs
from condense.errors import BrokenPlugin, CondenseError
from condense.interfaces import (
    Budget,
    Context,
    LabeledData,
    Role,
    Scorer,
    Scores,
    Selection,
    Selector,
    SyntheticSet,
    UpdatePolicy,
)


def run_scorer(scorer: Scorer, data: LabeledData, context: Context, rng: Generator) -> Scores:
    """Scores of ``data``'s training split, checked.

    Raises:
        BrokenPlugin: if they are not one finite number per sample, or the data was changed.
    """
    before = data.inputs._version, data.labels._version
    result = scorer.score(data.without_test(), context, rng)
    if not isinstance(result, Scores):
        result = Scores(torch.as_tensor(result), data.fingerprint, scorer.name)
    values = result.values.detach().to("cpu", torch.float32)
    _require(
        values.shape == (len(data),),
        f"scorer '{scorer.name}' returned shape {tuple(values.shape)}, expected ({len(data)},)",
    )
    bad = torch.nonzero(~torch.isfinite(values)).flatten()
    if len(bad):
        raise BrokenPlugin(
            f"scorer '{scorer.name}' rated sample {int(bad[0])} {float(values[bad[0]])}, "
            "scores must be finite"
        )
    _require(
        before == (data.inputs._version, data.labels._version),
        f"scorer '{scorer.name}' changed the data it was given",
    )
    return Scores(values, data.fingerprint, result.estimator, result.standard_error)


def run_selector(
    selector: Selector, data: LabeledData, scores: Scores | None, budget: Budget, rng: Generator
) -> Selection:
    """The selection, checked: exactly the budget of every class, no sample twice.

    Raises:
        BrokenPlugin: if it is anything else.
    """
    selection = selector.select(data.without_test(), scores, budget, rng)
    who = f"selector '{selector.name}'"
    counts = budget.counts(data)
    indices = selection.indices
    _require(
        indices.dtype == torch.int64 and indices.dim() == 1,
        f"{who} returned {indices.dtype} of shape {tuple(indices.shape)}, expected int64 [M]",
    )
    _require(
        len(indices) == 0 or bool(((indices >= 0) & (indices < len(data))).all()),
        f"{who} returned positions outside 0…{len(data) - 1}",
    )
    _require(len(torch.unique(indices)) == len(indices), f"{who} chose a sample twice")
    got = torch.bincount(data.labels[indices], minlength=len(counts)).tolist()
    _require(
        tuple(got) == counts == tuple(selection.counts),
        f"{who} returned {got} samples per class, asked were {list(counts)}",
    )
    _require(
        torch.equal(selection.labels, data.labels[indices])
        and bool((selection.labels.diff() >= 0).all()),
        f"{who} did not group its samples by class",
    )
    return selection


def run_policy(policy: UpdatePolicy, selection: Selection) -> Tensor:
    """bool [M] of distilled samples, checked.

    Raises:
        BrokenPlugin: if it is of another type or length.
    """
    mask = policy.split(selection)
    _require(
        mask.dtype == torch.bool and mask.shape == selection.indices.shape,
        f"update-policy '{policy.name}' returned {mask.dtype} {tuple(mask.shape)}, "
        f"expected bool ({len(selection.indices)},)",
    )
    return mask


def initial_set(
    data: LabeledData, selection: Selection, distilled: Tensor, step_size: float
) -> SyntheticSet:
    """The set before matching: every sample equal to its source."""
    role = torch.where(distilled, int(Role.DISTILLED), int(Role.REAL)).to(torch.uint8)
    return SyntheticSet(
        network_inputs(data, selection.indices),
        selection.labels.clone(),
        role,
        selection.indices.clone(),
        torch.tensor(step_size, dtype=torch.float32),
    )


def check_frozen(synthetic: SyntheticSet, initial: SyntheticSet) -> None:
    """That no frozen sample moved.

    Raises:
        CondenseError: if one did; a bug of a plugin that wrote into the set.
    """
    real = initial.role == Role.REAL
    if not torch.equal(synthetic.inputs[real], initial.inputs[real]):
        raise CondenseError("a frozen sample was changed during matching; the matcher wrote to it")


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise BrokenPlugin(message)
