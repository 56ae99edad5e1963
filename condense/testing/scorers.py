"""What a scorer promises: one finite number per sample, higher = harder, the test split unseen."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from condense.data import LabeledData
from condense.engine.training.ranking import rank_correlation
from condense.errors import CondenseError, describe
from condense.results import Scores
from condense.testing.observation import Work
from condense.testing.subject import Subject, excused_by
from condense.testing.toys import TEST_READ, generator, planted, reads_test

LEAST_AREA = 0.6  # of the ROC curve: wrong labels against right ones; 0.5 is chance
LEAST_AGREEMENT = 0.3  # rank correlation of scores on data in two orders


def score(subject: Subject, data: LabeledData, seed: int = 0) -> Tensor:
    """The scores as the component returns them, as a tensor."""
    result = subject.create().score(data, subject.context(), generator(seed))
    return result.values if isinstance(result, Scores) else torch.as_tensor(result)


def work(subject: Subject, seed: int) -> Work:
    """Scoring the toy data with planted wrong labels; their test split is there, and readable."""
    data, _ = planted()
    given = {"data.inputs": data.inputs, "data.labels": data.labels}
    return Work(given, lambda: {"scores": score(subject, data, seed)})


def check_scores_are_one_per_sample(subject: Subject) -> None:
    """A 1-D float tensor as long as the data."""
    values = subject.results()["scores"]
    count = len(planted()[0])
    subject.require(
        tuple(values.shape) == (count,),
        f"returned scores of shape {tuple(values.shape)} for {count} samples, expected ({count},)",
    )
    subject.require(
        values.is_floating_point(), f"returned scores of {values.dtype}, expected float32"
    )


def check_scores_are_finite(subject: Subject) -> None:
    """No NaN, no infinity."""
    values = subject.results()["scores"]
    bad = torch.nonzero(~torch.isfinite(values.double())).flatten()
    if len(bad):
        raise subject.failed(
            f"rated sample {int(bad[0])} of {len(values)} {float(values[bad[0]])}; "
            "scores must be finite"
        )


@excused_by("no-hardness")
def check_harder_is_higher(subject: Subject) -> None:
    """Samples with a wrong label score higher than those with the right one."""
    _, wrong = planted()
    values = _usable(subject, subject.results()["scores"], len(wrong))
    area = _area(values, wrong)
    subject.require(
        area >= LEAST_AREA,
        f"rates {int(wrong.sum())} samples with a planted wrong label no higher than the other "
        f"{int((~wrong).sum())} (area under the ROC curve {area:.2f}, expected at least "
        f"{LEAST_AREA}); scores must rise with difficulty"
        + ("; is the sign flipped?" if area <= 1 - LEAST_AREA else ""),
    )


@excused_by("order-sensitive")
def check_scores_follow_their_samples(subject: Subject) -> None:
    """On the same samples in another order, the scores come in that order."""
    data, _ = planted()
    order = torch.randperm(len(data), generator=generator(5))
    moved = replace(data, inputs=data.inputs[order], labels=data.labels[order])
    first = _usable(subject, subject.results()["scores"], len(data))
    again = _usable(subject, score(subject, moved), len(data))
    agreement = rank_correlation(first[order], again)
    subject.require(
        agreement >= LEAST_AGREEMENT,
        f"gives unrelated scores when the data come in another order (rank correlation "
        f"{agreement:.2f}, expected at least {LEAST_AGREEMENT}); scores must belong to samples, "
        "not to positions",
    )


def check_test_split_is_not_read(subject: Subject) -> None:
    """The kit's data raise as soon as ``data.test`` is looked at."""
    read = reads_test(lambda data: score(subject, data), planted()[0])
    subject.require(not read, f"{TEST_READ}; score the training split only")


def check_other_length_is_followed(subject: Subject) -> None:
    """On shorter data there are fewer scores, or an error says why not."""
    data, _ = planted()
    short = data.subset(torch.arange(len(data) - 7))
    try:
        values = score(subject, short)
    except CondenseError:
        return
    subject.require(
        tuple(values.shape) == (len(short),),
        f"returned {tuple(values.shape)} scores for {len(short)} samples after {len(data)} before",
    )


def check_small_classes_work(subject: Subject) -> None:
    """Labels 0 and 2 of three classes, one sample of class 2: scores, or an error naming one."""
    data, _ = planted()
    one = torch.cat([data.class_indices(0), data.class_indices(2)[:1]])
    small = data.subset(one.sort().values)
    try:
        values = score(subject, small)
    except CondenseError as error:
        subject.require(
            any(name in str(error) for name in data.classes) or str(len(small)) in str(error),
            f"refuses data with a class of one sample with '{error}', which names no class",
        )
        return
    except Exception as error:
        raise subject.failed(
            f"raised {describe(error)} on data with one sample of class '{data.classes[2]}' and "
            f"none of '{data.classes[1]}'; expected scores or a DataError naming the class"
        ) from error
    subject.require(
        tuple(values.shape) == (len(small),) and bool(torch.isfinite(values.double()).all()),
        "returned scores of a wrong length or not finite on data with a class of one sample and "
        "an empty one",
    )


def _usable(subject: Subject, values: Tensor, count: int) -> Tensor:
    """Scores that can be ranked; other checks say what is wrong with those that cannot."""
    if tuple(values.shape) != (count,) or not bool(torch.isfinite(values.double()).all()):
        raise subject.failed("returned scores that cannot be ranked (length or finiteness)")
    return values.double()


def _area(values: Tensor, positive: Tensor) -> float:
    """Chance that a positive sample outranks another one, ties half."""
    high, low = values[positive][:, None], values[~positive][None, :]
    return float(((high > low).double() + 0.5 * (high == low).double()).mean())
