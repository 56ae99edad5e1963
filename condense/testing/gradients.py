"""Whether a matcher's gradient is that of its loss: central differences in float64."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from condense.data import LabeledData, SyntheticSet
from condense.engine.matching.state import carried_by, hand_back
from condense.engine.training.batches import initial_set
from condense.errors import describe
from condense.options import NetworkSpec, spec_fields
from condense.results import MatchStep
from condense.testing.subject import Subject, excused_by
from condense.testing.toys import generator, toy_data, toy_selection

# of an error, as a share of the gradient's length; central differences are good to about 1e-9
TOLERANCE, LOOSE = 1e-6, 0.05
DIFFERENCE_STEP = 1e-5  # how far the differences go to either side, as a share of what they move
STUDENTS = {"linear": NetworkSpec.of("mlp", depth=0), "mlp": NetworkSpec.of("mlp", depth=1)}
SEED = 3


@dataclass(frozen=True)
class Prepared:
    """A matcher after ``prepare``, with a set that its step size suits.

    Attributes:
        carried: what it carries to its first step; {} where it carries nothing.
    """

    matcher: Any
    synthetic: SyntheticSet
    carried: Mapping[str, Tensor]

    @staticmethod
    def of(matcher: Any, synthetic: SyntheticSet) -> Prepared:
        """``matcher`` as it stands, with that set."""
        carried = {name: tensor.clone() for name, tensor in carried_by(matcher).items()}
        return Prepared(matcher, synthetic, carried)

    def first_step(self, seed: int, synthetic: SyntheticSet | None = None) -> MatchStep:
        """The step that would be the first, at another set if one is given."""
        hand_back(self.matcher, self.carried)
        given = self.synthetic if synthetic is None else synthetic
        step: MatchStep = self.matcher.step(given, generator(seed))
        return step


def start_set(subject: Subject, data: LabeledData) -> SyntheticSet:
    """Five samples a class, every other one distilled."""
    chosen = toy_selection((5, 5, 5))
    mask = torch.arange(len(chosen.indices)) % 2 == 0
    return initial_set(data, chosen, mask, usual_step_size(subject.create()))


def whole_set(matcher: Any, data: LabeledData) -> SyntheticSet:
    """All samples of ``data``, each of them distilled."""
    chosen = toy_selection(tuple(torch.bincount(data.labels).tolist()))
    mask = torch.ones(len(data), dtype=torch.bool)
    return initial_set(data, chosen, mask, usual_step_size(matcher))


def usual_step_size(matcher: Any) -> float:
    """The plan's, or some number where it has none."""
    size = float(matcher.plan.step_size)
    return size if math.isfinite(size) else 0.01


def in_float64(synthetic: SyntheticSet) -> SyntheticSet:
    """The same set, its samples and step size in float64."""
    return replace(
        synthetic, inputs=synthetic.inputs.double(), step_size=synthetic.step_size.double()
    )


def prepare(
    subject: Subject, context: Any = None, options: Mapping[str, Any] | None = None
) -> Prepared:
    """Prepared on the toy data, from an empty cache unless a context is given."""
    data = toy_data().without_test()
    matcher = subject.create(**(options or {}))
    matcher.prepare(data, context or subject.context(), generator(1))
    return Prepared.of(matcher, start_set(subject, data))


@excused_by("no-gradient")
def check_gradient_is_that_of_the_loss(subject: Subject) -> None:
    """In float64 the loss changes along its gradient, along random directions, in single values
    and with the step size as central differences say, to one part in a million.

    Options that name a network are set to a linear one, then to one with a hidden layer. A
    component tagged ``float32`` is held to one part in twenty, along its gradient.
    """
    for student, options in _students(subject):
        ready = prepare(subject, options=options)
        if "float32" in subject.tags:
            _check_roughly(subject, ready, student)
            continue
        synthetic = in_float64(ready.synthetic)
        step = _step_in_float64(subject, ready, synthetic)
        gradient = step.grad_inputs.detach()
        for what, direction in _directions(gradient):
            expected = float((gradient * direction).sum())
            found = _slope(ready, synthetic, "inputs", direction)
            _compare(subject, f"{what}, {student}", expected, found, float(gradient.norm()))
        if step.grad_step_size is not None and subject.create().plan.step_size_lr != 0:
            expected = float(step.grad_step_size)
            direction = synthetic.step_size.abs().clamp(min=1e-3)
            found = _slope(ready, synthetic, "step_size", direction) / float(direction)
            _compare(subject, f"with the step size, {student}", expected, found, abs(expected))


@excused_by("no-gradient")
def check_label_gradient_is_that_of_the_loss(subject: Subject) -> None:
    """Where a step at a set with ``label_logits`` gives ``grad_labels``: like the logits, and
    right along themselves and in a random direction, by central differences in float64.

    A component that gives none matches with fixed labels only, which is no fault; one tagged
    ``float32`` is not asked.
    """
    if "float32" in subject.tags:
        return
    for student, options in _students(subject):
        ready = prepare(subject, options=options)
        logits = torch.randn(
            (len(ready.synthetic), len(toy_data().classes)), generator=generator(30)
        ).double()
        synthetic = replace(in_float64(ready.synthetic), label_logits=logits)
        gradient = _step_in_float64(subject, ready, synthetic).grad_labels
        if gradient is None:
            return
        subject.require(
            gradient.shape == logits.shape and gradient.dtype == logits.dtype,
            f"returned grad_labels {gradient.dtype} {tuple(gradient.shape)} for label_logits "
            f"{logits.dtype} {tuple(logits.shape)}",
        )
        length = float(gradient.norm())
        random = torch.randn(logits.shape, generator=generator(31), dtype=torch.float64)
        directions = {"at random": random / random.norm()}
        if length > 0:
            directions["along their gradient"] = gradient / length
        for what, direction in directions.items():
            expected = float((gradient * direction).sum())
            found = _slope(ready, synthetic, "label_logits", direction)
            _compare(subject, f"with the labels {what}, {student}", expected, found, length)


def _students(subject: Subject) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(name, option values) of each student to look at; its own where no option names one."""
    named = [n for n, s in spec_fields(type(subject.options)).items() if s is NetworkSpec]
    if not named:
        yield "as it is", {}
        return
    for student, spec in STUDENTS.items():
        yield f"{student} student", dict.fromkeys(named, spec)


def _step_in_float64(subject: Subject, ready: Prepared, synthetic: SyntheticSet) -> MatchStep:
    """The step at a float64 set, whose loss must be float64 as well."""
    advice = (
        "compute in the dtype of synthetic.inputs, so that the gradient can be checked exactly, "
        "or declare the tag 'float32'"
    )
    try:
        step = ready.first_step(SEED, synthetic)
    except RuntimeError as error:
        raise subject.failed(f"raised {describe(error)} on a float64 set; {advice}") from error
    for name in ("loss", "grad_inputs"):
        dtype = getattr(step, name).dtype
        subject.require(
            dtype == torch.float64, f"returned {name} of {dtype} for a float64 set; {advice}"
        )
    return step


def _directions(gradient: Tensor) -> Iterator[tuple[str, Tensor]]:
    """Directions of unit length to move the samples in."""
    length = float(gradient.norm())
    if length > 0:
        yield "along its gradient", gradient / length
    for number in range(2):
        direction = torch.randn(
            gradient.shape, generator=generator(20 + number), dtype=torch.float64
        )
        yield f"along random direction {number}", direction / direction.norm()
    steepest = int(gradient.abs().flatten().argmax())
    for place in {steepest, gradient.numel() // 2}:
        direction = torch.zeros(gradient.numel(), dtype=torch.float64)
        direction[place] = 1.0
        yield f"in value {place}", direction.view(gradient.shape)


def _slope(ready: Prepared, synthetic: SyntheticSet, field: str, direction: Tensor) -> float:
    """Central difference of the loss along ``direction`` of a tensor of the set, ``field``."""

    def loss(sign: int) -> float:
        moved = {field: getattr(synthetic, field) + sign * DIFFERENCE_STEP * direction}
        return float(ready.first_step(SEED, replace(synthetic, **moved)).loss)

    return (loss(1) - loss(-1)) / (2 * DIFFERENCE_STEP)


def _compare(subject: Subject, where: str, expected: float, found: float, scale: float) -> None:
    subject.require(
        abs(expected - found) <= TOLERANCE * max(scale, 1e-12),
        f"returned a gradient of {expected:.9g} {where}, where the loss changes by {found:.9g} for "
        f"each unit (central differences in float64); expected the same",
    )


def _check_roughly(subject: Subject, ready: Prepared, student: str) -> None:
    """In float32 a difference is either too coarse or too noisy; the best of five counts."""
    gradient = ready.first_step(SEED).grad_inputs.detach()
    length = float(gradient.double().norm())
    direction = gradient / max(length, 1e-30)

    def loss(size: float) -> float:
        moved = replace(ready.synthetic, inputs=ready.synthetic.inputs + size * direction)
        return float(ready.first_step(SEED, moved).loss.double())

    slopes = [(loss(s) - loss(-s)) / (2 * s) for s in (1.0, 0.3, 0.1, 0.03, 0.01)]
    nearest = min(slopes, key=lambda slope: abs(slope - length))
    subject.require(
        abs(nearest - length) <= LOOSE * max(length, 1e-30),
        f"returned a gradient of length {length:.4g}, along which the loss changes by "
        f"{nearest:.4g} for each unit ({student}); expected the same",
    )


@excused_by("no-gradient")
def check_student_at_the_target_has_no_loss(subject: Subject) -> None:
    """Where the kit is given ``exact_options``: loss and gradient are 0 at the training data.

    ``exact_options`` are option values under which a student that is trained on the training data
    themselves ends at the target. Nearly 0, that is, beside those of a set with noise on it.
    """
    options = subject.setup.exact_options
    if options is None:
        return
    data = toy_data().without_test()
    matcher = subject.cls(type(subject.options).model_validate(options))
    matcher.prepare(data, subject.context(), generator(1))
    exact = whole_set(matcher, data)
    ready = Prepared.of(matcher, exact)
    noise = torch.randn(exact.inputs.shape, generator=generator(12))
    there = ready.first_step(SEED)
    off = ready.first_step(SEED, replace(exact, inputs=exact.inputs + noise))
    for name, least in (("loss", 1e-6), ("grad_inputs", 1e-3)):
        size, usual = (float(getattr(s, name).double().norm()) for s in (there, off))
        subject.require(
            size <= least * usual,
            f"returned {name} of size {size:.3g} where the student is at the target (the training "
            f"data, under exact_options) and {usual:.3g} with noise on them; expected 0 at the "
            "target",
        )
