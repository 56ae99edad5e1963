"""What an update policy promises: one mask, by class, and frozen samples that never move."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Generator, Tensor

from condense.data import LabeledData, SyntheticSet, portion
from condense.engine.checked import run_label_plan, run_policy
from condense.engine.matching.loop import match
from condense.engine.runtime.progress import SilentProgress
from condense.engine.training.batches import initial_set
from condense.interfaces import Context
from condense.options import Options
from condense.results import MatchPlan, MatchStep, Selection
from condense.testing.observation import Work
from condense.testing.subject import Subject
from condense.testing.toys import generator, toy_data, toy_selection

STEPS = 5


def split(subject: Subject, selection: Selection, **options: Any) -> Tensor:
    """The mask as the component returns it."""
    mask: Tensor = subject.create(**options).split(selection)
    return mask


def work(subject: Subject, seed: int) -> Work:
    """Splitting a selection of 7, 10 and 5 samples."""
    chosen = toy_selection()
    given = {"selection.indices": chosen.indices, "selection.labels": chosen.labels}
    return Work(given, lambda: {"mask": split(subject, chosen)})


def check_mask_is_one_bool_per_sample(subject: Subject) -> None:
    """A bool tensor as long as the selection, whatever the sizes of its classes."""
    for counts in ((7, 10, 5), (1, 1, 1), (4, 0, 6)):
        with subject.held_to_the_engine(f"{counts} samples a class"):
            run_policy(subject.create(), toy_selection(counts))


def check_alpha_counts_by_class(subject: Subject) -> None:
    """Where there is an option ``alpha``: ⌊alpha·count + 1e-9⌋ of every class are distilled."""
    if "alpha" not in type(subject.options).model_fields:
        return
    counts = (7, 10, 5)
    for alpha in (0.0, 0.29, 0.5, 0.7, 1.0):
        if not subject.takes(alpha=alpha):
            continue
        mask = split(subject, toy_selection(counts), alpha=alpha)
        got = [int(part.sum()) for part in torch.split(mask, list(counts))]
        expected = [portion(alpha, n) for n in counts]
        subject.require(
            got == expected,
            f"distils {got} of {list(counts)} samples a class at alpha={alpha}, expected "
            f"{expected}",
        )


def check_label_plan_is_sound(subject: Subject) -> None:
    """Where there is a ``label_plan``: a LabelPlan with rates and shares in their range."""
    with subject.held_to_the_engine():
        run_label_plan(subject.create())


def check_frozen_samples_never_move(subject: Subject) -> None:
    """After five steps of the engine with momentum and weight decay: real ones equal to the bit."""
    chosen = toy_selection()
    start = initial_set(toy_data(), chosen, split(subject, chosen), 0.1)
    moved = SyntheticSet(
        start.inputs.clone(), start.labels, start.role, start.source_index, start.step_size.clone()
    )
    match(_Push(), moved, generator(), SilentProgress())
    still = (moved.inputs == start.inputs).flatten(1).all(1)
    real = start.role == 0
    subject.require(
        bool(still[real].all()),
        f"let {int((~still[real]).sum())} of {int(real.sum())} frozen samples move",
    )
    subject.require(
        not bool(still[~real].any()), f"kept {int(still[~real].sum())} distilled samples in place"
    )


class _Push:
    """A matcher whose gradient is random everywhere, on frozen samples too."""

    name: ClassVar[str] = "push"
    version: ClassVar[str] = "1"
    Options: ClassVar[type[Options]] = Options

    def __init__(self, options: Any = None) -> None:
        self.options = options

    @property
    def plan(self) -> MatchPlan:
        return MatchPlan(STEPS, image_lr=0.1, image_momentum=0.9)

    def prepare(self, data: LabeledData, context: Context, rng: Generator) -> None:
        """Nothing to prepare."""

    def step(self, synthetic: SyntheticSet, rng: Generator) -> MatchStep:
        """Loss 1 and a random gradient."""
        push = torch.randn(synthetic.inputs.shape, generator=rng) + 3.0
        return MatchStep(torch.ones(()), push)
