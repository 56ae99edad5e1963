"""What a matcher promises: a finite loss, its true gradient, nothing carried between steps."""

from __future__ import annotations

import gc
import math
from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from condense.capabilities import CarriesState, HasTeachers, LabelsSamples
from condense.engine.matching.soft_labels import said_of_moved, teacher_logits
from condense.engine.matching.state import carried_by, hand_back
from condense.results import AUTO, MatchPlan, MatchStep
from condense.testing import gradients
from condense.testing.gradients import prepare, start_set
from condense.testing.observation import Work
from condense.testing.subject import Subject, excused_by
from condense.testing.toys import TEST_READ, generator, reads_test, toy_data

FURTHER = (gradients,)  # checks of this kind in files of their own


def work(subject: Subject, seed: int) -> Work:
    """Preparing and one step."""
    data = toy_data().without_test()
    synthetic = start_set(subject, data)
    given = {
        "data.inputs": data.inputs,
        "data.labels": data.labels,
        "synthetic.inputs": synthetic.inputs,
        "synthetic.step_size": synthetic.step_size,
    }

    def call() -> dict[str, Tensor]:
        matcher = subject.create()
        matcher.prepare(data, subject.context(), generator(1))
        return _tensors(matcher.step(synthetic, generator(seed)))

    return Work(given, call)


def _tensors(step: MatchStep) -> dict[str, Tensor]:
    parts = {
        "loss": step.loss,
        "grad_inputs": step.grad_inputs,
        "grad_labels": step.grad_labels,
        "grad_step_size": step.grad_step_size,
    }
    return {name: tensor.detach() for name, tensor in parts.items() if tensor is not None}


def check_plan_is_sound(subject: Subject) -> None:
    """A whole number of iterations, rates of at least 0 or ``auto``, an average in [0, 1)."""
    matcher = subject.create()
    plan = matcher.plan
    subject.require(
        isinstance(plan, MatchPlan), f"has a plan of {type(plan).__name__}, expected MatchPlan"
    )
    subject.require(
        isinstance(plan.iterations, int) and plan.iterations >= 0,
        f"plans {plan.iterations!r} iterations, expected a whole number of at least 0",
    )
    rates = {k: getattr(plan, k) for k in ("image_lr", "step_size_lr")}
    subject.require(
        all(v == AUTO or (math.isfinite(v) and v >= 0) for v in rates.values()),
        f"plans {rates}, expected finite numbers of at least 0, or '{AUTO}'",
    )
    subject.require(
        0 <= plan.image_ema < 1, f"plans image_ema {plan.image_ema!r}, expected a number in [0, 1)"
    )
    subject.require(
        isinstance(plan.trajectories, int) and plan.trajectories >= 1,
        f"plans {plan.trajectories!r} trajectories, expected a whole number of at least 1",
    )
    subject.require(
        plan.trajectories == 1 or not isinstance(matcher, CarriesState),
        f"plans {plan.trajectories} trajectories an iteration, which must need nothing of each "
        "other, and carries something from step to step",
    )


def check_loss_is_one_finite_number(subject: Subject) -> None:
    """A scalar tensor, finite."""
    loss = subject.results()["loss"]
    subject.require(
        loss.dim() == 0, f"returned a loss of shape {tuple(loss.shape)}, expected a scalar"
    )
    subject.require(bool(torch.isfinite(loss)), f"returned the loss {float(loss)}, not finite")


def check_gradients_have_the_shape_of_their_targets(subject: Subject) -> None:
    """Of inputs like the inputs, of the step size a scalar, both finite."""
    results, inputs = subject.results(), start_set(subject, toy_data()).inputs
    gradient = results["grad_inputs"]
    subject.require(
        gradient.shape == inputs.shape,
        f"returned grad_inputs {tuple(gradient.shape)} for inputs {tuple(inputs.shape)}",
    )
    for name, tensor in results.items():
        subject.require(bool(torch.isfinite(tensor).all()), f"returned {name} that is not finite")
    if "grad_step_size" in results:
        shape = tuple(results["grad_step_size"].shape)
        subject.require(shape == (), f"returned grad_step_size {shape}, expected a scalar")


@excused_by("no-gradient")
def check_gradient_reaches_the_samples(subject: Subject) -> None:
    """Some sample is moved, and the step size too where the plan says that it is learned."""
    results = subject.results()
    subject.require(
        bool(results["grad_inputs"].any()), "returned a gradient that is zero in every sample"
    )
    if subject.create().plan.step_size_lr != 0:
        slope = results.get("grad_step_size")
        subject.require(
            slope is not None and bool(slope),
            "plans to learn the step size but returned no gradient for it",
        )


def check_teachers_give_one_row_of_logits_a_sample(subject: Subject) -> None:
    """Where there is a ``label_logits``: finite floats [M, classes], the same when asked again, and
    none that depend on or change global randomness.
    """
    ready, data = prepare(subject), toy_data().without_test()
    if not isinstance(ready.matcher, HasTeachers):
        return
    answers = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        tools = (data, ready.synthetic, subject.context(), generator(1))
        with subject.held_to_the_engine():
            answers.append(teacher_logits(ready.matcher, *tools))
    subject.require(
        torch.equal(*answers), "returned other label_logits for the same samples and rng"
    )


def check_teachers_label_any_samples(subject: Subject) -> None:
    """Where there is a ``sample_logits``: finite floats [M, classes], the same when asked again,
    others for other samples, and none that depend on or change global randomness.
    """
    ready, data = prepare(subject), toy_data().without_test()
    matcher, own = ready.matcher, ready.synthetic.to(torch.device("cpu"))
    if not isinstance(matcher, LabelsSamples):
        return

    def asked(inputs: Tensor, seed: int) -> Tensor:
        torch.manual_seed(seed)
        tools = (matcher, data, subject.context(), generator(1))
        with subject.held_to_the_engine():
            return said_of_moved(replace(own, inputs=inputs), *tools)

    first = asked(own.inputs, 1)
    same = torch.equal(first, asked(own.inputs, 2))
    subject.require(same, "returned other sample_logits for the same samples and rng")
    moved = not torch.equal(first, asked(own.inputs.flip(0), 1))
    subject.require(moved, "returned the same sample_logits for other samples")


def check_step_carries_nothing_over(subject: Subject) -> None:
    """The same set and the same rng give the same step, whatever was done in between; after what
    is ``carried`` has been put back as it was, where there is such a thing.
    """
    ready = prepare(subject)
    first = _tensors(ready.first_step(5))
    first = {k: v.clone() for k, v in first.items()}
    for seed in range(6, 9):
        ready.matcher.step(ready.synthetic, generator(seed))
    again = _tensors(ready.first_step(5))
    for name, tensor in first.items():
        subject.require(
            torch.equal(tensor, again[name]),
            f"returned another {name} for the same set and rng after three further steps; is a "
            "teacher trajectory or a network changed in place?",
        )


def check_what_is_carried_is_all_that_a_step_needs(subject: Subject) -> None:
    """Where there is a ``carried``: another matcher, prepared alike, that is given it goes on with
    the same steps; and its names, types and shapes are those it had after ``prepare``.
    """
    ready = prepare(subject)
    if not isinstance(ready.matcher, CarriesState):
        return
    form = _form(ready.carried)
    for seed in range(5, 11):
        other = prepare(subject)
        carried = {name: tensor.clone() for name, tensor in carried_by(ready.matcher).items()}
        subject.require(
            _form(carried) == form,
            f"carries {_form(carried)} after {seed - 5} steps, {form} before the first",
        )
        hand_back(other.matcher, carried)
        steps = [
            _tensors(one.matcher.step(one.synthetic, generator(seed))) for one in (ready, other)
        ]
        for name, tensor in steps[0].items():
            subject.require(
                torch.equal(tensor, steps[1][name]),
                f"returned another {name} in step {seed - 4} when it went on from what it carried: "
                "what else does a step depend on?",
            )


def _form(tensors: Mapping[str, Tensor]) -> dict[str, str]:
    return {name: f"{t.dtype} {tuple(t.shape)}" for name, t in sorted(tensors.items())}


def check_cached_preparation_makes_no_difference(subject: Subject) -> None:
    """Steps are the same whether ``prepare`` computed or found what it needs in the cache."""
    context = subject.context()
    steps = []
    for _ in range(2):
        ready = prepare(subject, context)
        steps.append(_tensors(ready.matcher.step(ready.synthetic, generator(5))))
    for name, tensor in steps[0].items():
        subject.require(
            torch.equal(tensor, steps[1][name]),
            f"returned another {name} after preparing from a warm cache",
        )


def check_memory_is_flat(subject: Subject) -> None:
    """Further steps keep no further tensors alive."""
    ready = prepare(subject)

    def alive(seed: int) -> int:
        ready.matcher.step(ready.synthetic, generator(seed))
        gc.collect()
        return sum(type(o) is Tensor for o in gc.get_objects())

    gc.freeze()  # what was there before is not looked at, which is most of it
    try:
        alive(0)
        counts = [alive(seed) for seed in range(1, 5)]
    finally:
        gc.unfreeze()
    subject.require(
        counts[-1] <= counts[0],
        f"keeps {counts[-1] - counts[0]} more tensors alive after three further steps",
    )


def check_test_split_is_not_read(subject: Subject) -> None:
    """The kit's data raise as soon as ``data.test`` is looked at."""
    read = reads_test(
        lambda data: subject.create().prepare(data, subject.context(), generator(1)), toy_data()
    )
    subject.require(not read, f"{TEST_READ}; prepare on the training split only")
