"""Running one component under the engine's checks, so that a wrong one is named, not trusted."""

from __future__ import annotations

from collections.abc import Collection, Generator as Steps
from contextlib import closing
from dataclasses import replace

import torch
from torch import Generator, Tensor

from condense.capabilities import (
    EvaluatesRepeats,
    KnowsModality,
    LearnsLabels,
)
from condense.engine.ingest.arrays import CHANNELS
from condense.engine.runtime.guard import contents, guarded
from condense.errors import BrokenPlugin, CondenseError
from condense.interfaces import (
    Arm,
    Augmentation,
    Budget,
    Context,
    Dataset,
    Evaluation,
    Evaluator,
    LabeledData,
    LabelPlan,
    Reselector,
    Role,
    Scorer,
    Scores,
    Selection,
    Selector,
    SyntheticSet,
    TrainingSet,
    UpdatePolicy,
)
from condense.options import FLOAT32_MAX
from condense.reading import check_plain


def run_scorer(scorer: Scorer, data: LabeledData, context: Context, rng: Generator) -> Scores:
    """Scores of ``data``'s training split, checked.

    Raises:
        BrokenPlugin: if they are not one finite number per sample, or as :func:`guarded` does.
    """
    with guarded("scorer", scorer, *contents(data)):
        result = scorer.score(data.without_test(), context, rng)
    if not isinstance(result, Scores):
        try:
            plain = torch.as_tensor(result)
        except (TypeError, ValueError, RuntimeError):
            raise BrokenPlugin(
                f"scorer '{scorer.name}' returned {_kind(result)}, expected a float tensor "
                f"({len(data)},)"
            ) from None
        result = Scores(plain, scorer.name)
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
    companions = {
        name: _companion(f"scorer '{scorer.name}'", name, tensor, len(data))
        for name, tensor in result.companions.items()
    }
    return Scores(values, result.estimator, result.standard_error, companions)


def _companion(who: str, name: str, tensor: Tensor, count: int) -> Tensor:
    found = tensor.detach().to("cpu", torch.float32)
    _require(
        found.shape == (count,) and bool(torch.isfinite(found).all()),
        f"{who} returned a companion {name} {_described(tensor)}, expected finite floats "
        f"({count},)",
    )
    return found


def run_selector(
    selector: Selector,
    data: LabeledData,
    scores: Scores | None,
    budget: Budget,
    context: Context,
    rng: Generator,
) -> Selection:
    """The selection, checked: exactly the budget of every class, no sample twice.

    Raises:
        BrokenPlugin: if it is anything else, or as :func:`guarded` does.
    """
    read = () if scores is None else (scores.values, *scores.companions.values())
    with guarded("selector", selector, *contents(data), *read):
        selection = selector.select(data.without_test(), scores, budget, context, rng)
    who = f"selector '{selector.name}'"
    _require(
        isinstance(selection, Selection),
        f"{who} returned {_kind(selection)}, expected a Selection",
    )
    check_selection(who, selection, data, budget.counts(data))
    return selection


def check_selection(
    who: str, selection: Selection, data: LabeledData, counts: tuple[int, ...]
) -> None:
    """That ``selection`` has ``counts`` samples of each class, grouped, none twice.

    Raises:
        BrokenPlugin: blaming ``who``, if it has not.
    """
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


def run_policy(policy: UpdatePolicy, selection: Selection) -> Tensor:
    """bool [M] of distilled samples, checked.

    Raises:
        BrokenPlugin: if it is of another type or length, or as :func:`guarded` does.
    """
    with guarded("policy", policy, selection.indices, selection.labels):
        mask = policy.split(selection)
    _require(
        isinstance(mask, Tensor),
        f"policy '{policy.name}' returned {_kind(mask)}, expected a bool tensor",
    )
    _require(
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
    _require(
        isinstance(plan, LabelPlan), f"{who} has label_plan {_kind(plan)}, expected a LabelPlan"
    )
    rates, choices = (
        (plan.lr, plan.momentum, plan.confidence),
        (plan.init_from_teacher, plan.all_samples),
    )
    _require(
        all(isinstance(rate, int | float) and not isinstance(rate, bool) for rate in rates)
        and all(isinstance(choice, bool) for choice in choices)
        and 0 <= plan.lr <= FLOAT32_MAX
        and 0 <= plan.momentum < 1
        and 0 < plan.confidence < 1,
        f"{who} has {plan}, expected a finite lr of at least 0, momentum in [0, 1), confidence "
        "in (0, 1), init_from_teacher and all_samples true or false",
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
    read = () if scores is None else (scores.values, *scores.companions.values())
    given = (synthetic.inputs, synthetic.labels, synthetic.role, synthetic.source_index)
    with guarded("reselector", reselector, *contents(data), *given, *read):
        chosen = reselector.complete(synthetic, data.without_test(), scores, context, rng)
    who = f"reselector '{reselector.name}'"
    _require(
        isinstance(chosen, Tensor) and chosen.dtype == torch.int64 and chosen.dim() == 1,
        f"{who} returned {_described(chosen)}, expected int64 [R]",
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
    _require(there, f"{who} returned positions outside 0…{len(data) - 1}")
    _require(len(torch.unique(chosen)) == len(chosen), f"{who} chose a sample twice")
    moved = bool(torch.isin(chosen, synthetic.source_index[~real]).any())
    _require(not moved, f"{who} chose a sample that a distilled one started from")
    both, count = (synthetic.labels[real], data.labels[chosen]), len(data.classes)
    asked, got = (torch.bincount(labels, minlength=count).tolist() for labels in both)
    _require(got == asked, f"{who} returned {got} samples per class, asked were {asked}")


def check_frozen(synthetic: SyntheticSet, initial: SyntheticSet) -> None:
    """That no frozen sample moved.

    Raises:
        CondenseError: if one did; a bug of a plugin that wrote into the set.
    """
    real = initial.role == Role.REAL
    if not torch.equal(synthetic.inputs[real], initial.inputs[real]):
        raise CondenseError("a frozen sample was changed during matching; the matcher wrote to it")


def run_dataset(dataset: Dataset, context: Context) -> LabeledData:
    """The data that ``dataset`` loads, checked.

    Raises:
        BrokenPlugin: if they are not of the form of :class:`LabeledData`, or as :func:`guarded`
            does.
    """
    with guarded("data", dataset):
        data = dataset.load(context)
    check_data(dataset, data)
    return data


def check_data(dataset: Dataset, data: LabeledData) -> None:
    """That ``data``, which ``dataset`` has loaded, and their test split are of the form.

    Raises:
        BrokenPlugin: if not.
    """
    who = f"data '{dataset.name}'"
    _require(
        isinstance(data, LabeledData),
        f"{who} returned {_kind(data)}, expected a condense.data.LabeledData",
    )
    for split, part in (("train", data), ("test", data.test)):
        if part is not None:
            _check_split(f"{who} ({split})", part)
    if isinstance(dataset, KnowsModality):
        told, found = dataset.modality(), data.geometry.modality
        _require(
            told == found, f"{who} has the modality {told!r} before it is loaded, then {found!r}"
        )


def _check_split(who: str, data: LabeledData) -> None:
    inputs, labels = data.inputs, data.labels
    images = inputs.dim() == 4 and inputs.dtype == torch.uint8 and inputs.shape[3] in CHANNELS
    _require(
        images or (inputs.dim() == 2 and inputs.dtype == torch.float32),
        f"{who} has inputs {_described(inputs)}, expected uint8 [N, H, W, C] with C = 1 or 3, or "
        "float32 [N, D]",
    )
    _require(
        labels.dtype == torch.int64 and labels.shape == inputs.shape[:1] and len(labels) > 0,
        f"{who} has labels {_described(labels)}, expected int64 ({len(inputs)},), at least one",
    )
    low, high = int(labels.min()), int(labels.max())
    _require(
        0 <= low and high < len(data.classes),
        f"{who} has labels {low} to {high}, expected 0 to {len(data.classes) - 1} as there are "
        f"{len(data.classes)} classes",
    )


def run_evaluator(
    evaluator: Evaluator,
    arm: Arm,
    test: TrainingSet,
    augmentation: Augmentation,
    context: Context,
    rng: Generator,
) -> Evaluation:
    """The evaluation of ``arm``, checked; its protocol says the augmentation, whoever wrote it.

    Raises:
        BrokenPlugin: if accuracies are missing or outside 0-1, or as :func:`guarded` does.
    """
    with guarded("evaluator", evaluator, test.inputs, test.labels):
        result = evaluator.evaluate(arm, test, augmentation, context, rng)
    return _checked_evaluation(f"evaluator '{evaluator.name}'", result, test, augmentation)


def run_repeats(
    evaluator: EvaluatesRepeats,
    arm: Arm,
    test: TrainingSet,
    augmentation: Augmentation,
    context: Context,
    rng: Generator,
    repeats: Collection[int],
) -> Steps[tuple[int, Evaluation], None, None]:
    """Number and evaluation of each of ``repeats`` as it is done, checked.

    Raises:
        BrokenPlugin: if one is of another number or not of one value, or as
            :func:`run_evaluator` does.
    """
    who = f"evaluator '{evaluator.name}'"
    under_way = evaluator.evaluate_repeats(arm, test, augmentation, context, rng, repeats)
    with closing(under_way):
        while True:
            with guarded("evaluator", evaluator, test.inputs, test.labels):
                found = next(under_way, None)
            if found is None:
                return
            number, result = found
            result = _checked_evaluation(who, result, test, augmentation)
            _require(
                0 <= number < evaluator.repeats and result.n == 1,
                f"{who} gave repeat {number} with {result.n} accuracies, expected one of each of "
                f"0…{evaluator.repeats - 1}",
            )
            yield number, result


def _checked_evaluation(
    who: str, result: object, test: TrainingSet, augmentation: Augmentation
) -> Evaluation:
    if not isinstance(result, Evaluation):
        raise BrokenPlugin(
            f"{who} returned {_kind(result)}, expected a condense.results.Evaluation"
        )
    _require(
        result.n > 0 and all(0 <= v <= 1 for v in (*result.values, *result.per_class)),
        f"{who} returned {list(result.values)}, expected at least one accuracy, all in 0-1 (not "
        "per cent)",
    )
    classes = test.geometry.classes
    _require(
        len(result.per_class) in (0, classes),
        f"{who} returned {len(result.per_class)} accuracies per class for {classes} classes",
    )
    right = result.right
    _require(
        right is None or (right.dtype == torch.float32 and right.shape == test.labels.shape),
        f"{who} returned right {_described(right)}, expected float32 ({len(test)},) or None",
    )
    try:
        check_plain(result.protocol, "protocol")
    except ValueError as error:
        raise BrokenPlugin(
            f"{who} returned an evaluation whose {error}; it is written as JSON"
        ) from None
    own = result.protocol.get("augmentation", augmentation.name)
    return replace(result, protocol={**result.protocol, "augmentation": own})


def _described(value: object) -> str:
    """Type and shape, for messages."""
    if isinstance(value, Tensor):
        return f"{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}"
    return _kind(value)


def _kind(value: object) -> str:
    return "None" if value is None else type(value).__name__


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise BrokenPlugin(message)
