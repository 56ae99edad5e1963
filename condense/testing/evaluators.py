"""What an evaluator promises: figures in 0–1, roles that travel with samples, a test never used."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, ClassVar

import torch
from torch import Generator, Tensor

from condense.data import Geometry, LabeledData, TrainingSet
from condense.engine.checked import run_evaluator
from condense.interfaces import Augmentation, Context
from condense.options import AugmentationSpec, Options
from condense.results import Arm, Evaluation
from condense.testing.observation import Work
from condense.testing.subject import Subject, excused_by
from condense.testing.toys import generator, toy_data


def evaluate(subject: Subject, data: LabeledData, **given: Any) -> Evaluation:
    """The evaluation of all of ``data`` as one arm; ``given`` as for :func:`arguments`."""
    result: Evaluation = subject.create().evaluate(*arguments(subject, data, **given))
    return result


def arguments(
    subject: Subject,
    data: LabeledData,
    augmentation: Augmentation | None = None,
    test: TrainingSet | None = None,
    train: TrainingSet | None = None,
    seed: int = 0,
) -> tuple[Arm, TrainingSet, Augmentation, Context, Generator]:
    """What an evaluator is given; half of the arm is marked as distilled."""
    train = train if train is not None else training_set(data)
    assert data.test is not None
    test = test if test is not None else TrainingSet.of(data.test)
    context = subject.context()
    augmentation = augmentation or context.augmentation(AugmentationSpec.of("none"))
    arm = Arm("toy", lambda repeat: train, len(train), TrainingSet.of(data))
    return arm, test, augmentation, context, generator(seed)


def training_set(data: LabeledData) -> TrainingSet:
    """``data`` with the role distilled for a random half of the samples."""
    role = torch.randint(2, (len(data),), generator=generator(10)).to(torch.uint8)
    return replace(TrainingSet.of(data), role=role)


def work(subject: Subject, seed: int) -> Work:
    """Evaluating the toy data on their own test split."""
    data = toy_data()
    test, train = TrainingSet.of(data.test or data), training_set(data)
    given = {
        "test.inputs": test.inputs,
        "test.labels": test.labels,
        "arm.inputs": train.inputs,
        "arm.role": train.role,
    }

    def call() -> dict[str, Tensor]:
        result = evaluate(subject, data, test=test, train=train, seed=seed)
        return {"values": torch.tensor(result.values, dtype=torch.float64)}

    return Work(given, call)


def check_values_are_shares(subject: Subject) -> None:
    """At least one repeat; every figure a finite number in 0–1, per class too."""
    with subject.held_to_the_engine():
        run_evaluator(subject.create(), *arguments(subject, toy_data()))


def check_protocol_is_json(subject: Subject) -> None:
    """How it was measured goes into results.json."""
    protocol = evaluate(subject, toy_data()).protocol
    try:
        again = json.loads(json.dumps(protocol, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise subject.failed(f"has a protocol that is not JSON: {error}") from None
    subject.require(isinstance(again, dict), f"has a protocol that is no table: {protocol!r}")


def check_augmentation_follows_the_role(subject: Subject) -> None:
    """Every sample is augmented by its own role, wherever it stands in a batch."""
    spy = _RoleSpy()
    data = toy_data()
    train = training_set(data)
    marked = train.inputs.clone()
    marked[:, 0, 0, 0] = torch.where(train.role == 1, 255, 0).to(torch.uint8)
    evaluate(subject, data, augmentation=spy, train=replace(train, inputs=marked))
    subject.require(
        spy.wrong == 0,
        f"augmented {spy.wrong} of {spy.seen} samples by the role of another sample; index the "
        "roles with the batch, as the inputs",
    )


@excused_by("not-accuracy")
def check_test_split_chooses_nothing(subject: Subject) -> None:
    """With two classes, turning all test labels round turns every accuracy a into 1 − a.

    A best epoch, learning rate or repeat picked on the test split would break that.
    """
    data = toy_data(classes=("ant", "bee"))
    blurred = data.inputs.float().mul(0.1).add(100).to(torch.uint8)  # so that no run is perfect
    data = replace(data, inputs=blurred)
    assert data.test is not None
    test = TrainingSet.of(data.test)
    turned = replace(test, labels=1 - test.labels)
    one = evaluate(subject, data, test=test).values
    other = evaluate(subject, data, test=turned).values
    sums = [round(a + b, 6) for a, b in zip(one, other, strict=True)]
    subject.require(
        all(abs(s - 1) < 1e-6 for s in sums),
        f"has accuracies {list(one)}, and {list(other)} with both test labels turned round, "
        "expected sums of 1: something (epoch, learning rate, repeat) is chosen on the test split",
    )


@excused_by("not-accuracy")
def check_accuracy_is_that_of_the_test_split(subject: Subject) -> None:
    """On a test split whose labels are random, nothing can be right much more often than chance."""
    data = toy_data()
    assert data.test is not None
    test = TrainingSet.of(data.test)
    labels = test.labels[torch.randperm(len(test), generator=generator(11))]
    mean = evaluate(subject, data, test=replace(test, labels=labels)).mean
    subject.require(
        mean < 0.8, f"is right in {mean:.0%} of test samples whose labels were drawn at random"
    )


class _RoleSpy:
    """An augmentation that changes nothing and compares each sample's draws with its mark."""

    name: ClassVar[str] = "role-spy"
    version: ClassVar[str] = "1"
    Options: ClassVar[type[Options]] = Options

    def __init__(self, options: Any = None) -> None:
        self.options = options
        self.seen = self.wrong = 0

    def draw(self, role: Tensor, geometry: Geometry, rng: Generator) -> Tensor:
        """The role itself, float32 [..., B, 1]."""
        return role.float()[..., None]

    def apply(self, inputs: Tensor, draws: Tensor) -> Tensor:
        """``inputs``; samples carry their role in the first pixel (low or high)."""
        mark = (inputs[:, 0, 0, 0] > 0).float()
        self.seen += len(mark)
        self.wrong += int((mark != draws[:, 0]).sum())
        return inputs
