"""Evaluations of an arm, all at once or repeat by repeat."""

from __future__ import annotations

from collections.abc import Collection, Generator as Steps
from contextlib import closing
from dataclasses import replace

import torch
from torch import Generator

from condense.capabilities import EvaluatesRepeats
from condense.engine.checked.common import described, kind_of, require
from condense.engine.runtime.guard import guarded
from condense.errors import BrokenPlugin
from condense.interfaces import Arm, Augmentation, Context, Evaluation, Evaluator, TrainingSet
from condense.reading import check_plain


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
            require(
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
            f"{who} returned {kind_of(result)}, expected a condense.results.Evaluation"
        )
    require(
        result.n > 0 and all(0 <= v <= 1 for v in (*result.values, *result.per_class)),
        f"{who} returned {list(result.values)}, expected at least one accuracy, all in 0-1 (not "
        "per cent)",
    )
    classes = test.geometry.classes
    require(
        len(result.per_class) in (0, classes),
        f"{who} returned {len(result.per_class)} accuracies per class for {classes} classes",
    )
    right = result.right
    require(
        right is None or (right.dtype == torch.float32 and right.shape == test.labels.shape),
        f"{who} returned right {described(right)}, expected float32 ({len(test)},) or None",
    )
    try:
        check_plain(result.protocol, "protocol")
    except ValueError as error:
        raise BrokenPlugin(
            f"{who} returned an evaluation whose {error}; it is written as JSON"
        ) from None
    own = result.protocol.get("augmentation", augmentation.name)
    return replace(result, protocol={**result.protocol, "augmentation": own})
