"""The matcher: draws an expert, a start and batches, and hands the rollout to a gradient form."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Generator, Tensor

from condense.engine.runtime.precision import numeric_precision, precision_of
from condense.engine.training.capture import plain_only
from condense.engine.training.schedule import batch_sizes
from condense.interfaces import (
    Augmentation,
    Context,
    Cost,
    Geometry,
    LabeledData,
    MatchPlan,
    MatchStep,
    StoreEntry,
    SyntheticSet,
    TrainingSet,
)
from condense.results import AUTO
from condense.traits import MatcherTraits
from condense_plugins.matchers.trajectory.compiled import CompiledSteps, compiles
from condense_plugins.matchers.trajectory.cost import trajectory_cost
from condense_plugins.matchers.trajectory.experts import Experts
from condense_plugins.matchers.trajectory.gradient import (
    Batch,
    EagerSteps,
    Rollout,
    Steps,
    constant_memory,
    unrolled,
)
from condense_plugins.matchers.trajectory.graphs import CapturedSteps
from condense_plugins.matchers.trajectory.memory import choose_form, step_budget
from condense_plugins.matchers.trajectory.options import ADVICE, TrajectoryOptions
from condense_plugins.matchers.trajectory.student import Student, flatten
from condense_plugins.matchers.trajectory.tangent import TangentSteps, left_bytes
from condense_plugins.matchers.trajectory.teacher import ExpertPanel


class TrajectoryMatcher:
    """Moves the synthetic set so that students trained on it follow experts (MTT)."""

    name: ClassVar[str] = "trajectory"
    version: ClassVar[str] = "3"
    # a loss of 1: the student came no nearer to the expert
    traits: ClassVar[MatcherTraits] = MatcherTraits(ADVICE, relative_loss=True)
    Options: ClassVar[type[TrajectoryOptions]] = TrajectoryOptions

    def __init__(self, options: TrajectoryOptions) -> None:
        self.options = options
        self._experts: list[Tensor] = []
        self._student: Student | None = None
        self._augmentation: Augmentation | None = None
        self._geometry: Geometry | None = None
        self._steps: tuple[SyntheticSet, Steps, str] | None = None
        self._role: tuple[SyntheticSet, Tensor] | None = None
        self._iteration = 0
        self._step_size = math.nan

    @property
    def matched_under(self) -> str:
        """The augmentation of the student batches."""
        return self.options.augmentation.component

    @property
    def plan(self) -> MatchPlan:
        """The engine's optimiser settings, from the options; the step size once it is prepared."""
        o = self.options
        return MatchPlan(
            iterations=o.iterations,
            image_lr=o.image_lr,
            image_momentum=o.image_momentum,
            step_size=self._step_size if o.step_size == AUTO else o.step_size,
            step_size_lr=o.step_size_lr,
            step_size_momentum=o.step_size_momentum,
            snapshots=o.snapshots,
            image_ema=o.image_ema,
            image_reach=o.image_reach,
            trajectories=o.trajectories,
        )

    def prepare(self, data: LabeledData, context: Context, rng: Generator) -> None:
        """Train the experts, or read them from the store.

        Raises:
            CapacityError: if they would not fit the disk.
        """
        self.use(Experts.of(data, context, self.options, rng).load(), data, context, rng)

    def pieces(self, data: LabeledData, context: Context, rng: Generator) -> Sequence[StoreEntry]:
        """Where each expert is kept."""
        return Experts.of(data, context, self.options, rng).entries()

    def run_piece(self, number: int, data: LabeledData, context: Context, rng: Generator) -> None:
        """Train expert ``number``, unless it is stored."""
        Experts.of(data, context, self.options, rng).load([number])

    def use(
        self, experts: list[Tensor], data: LabeledData, context: Context, rng: Generator
    ) -> None:
        """Match against ``experts``, float32 [epochs + 1, P] each."""
        pin = context.device.type == "cuda"
        self._experts = [e.pin_memory() if pin else e for e in experts]
        network = context.network(self.options.network, data.geometry, rng)
        self._student = Student(network)
        self._augmentation = context.augmentation(self.options.augmentation)
        self._geometry = data.geometry
        self._steps = None
        self._iteration = 0
        self._step_size = self.options.first_step_size(len(data))

    def at_iteration(self, done: int) -> None:
        """The next step is that after ``done`` iterations; the bound on start epochs may grow."""
        self._iteration = done

    def step(self, synthetic: SyntheticSet, rng: Generator) -> MatchStep:
        """Loss and gradients of one student's rollout.

        Args:
            synthetic: the set; the same object at every call, updated in place in between.
            rng: CPU generator; draws expert, start epoch, batches and augmentation.
        """
        device = synthetic.inputs.device
        precision = precision_of(self.options, device)
        rollout = self._draw(synthetic, rng)
        steps, form = self._bind(synthetic, rollout.batches[0])
        with numeric_precision(precision, device):
            if form == "unrolled":
                assert isinstance(steps, EagerSteps)
                return unrolled(steps, rollout, synthetic.inputs)
            return constant_memory(steps, rollout, synthetic.inputs)

    def label_logits(
        self, data: LabeledData, indices: Tensor, context: Context, rng: Generator
    ) -> Tensor:
        """What the experts say of the samples at ``indices`` [M]: float32 [M, classes]."""
        return self._panel(data, context, rng).logits(indices)

    def sample_logits(
        self, samples: TrainingSet, data: LabeledData, context: Context, rng: Generator
    ) -> Tensor:
        """What the experts say of ``samples``: float32 [M, classes]."""
        return self._panel(data, context, rng).sample_logits(samples)

    def training_accuracy(self, data: LabeledData, context: Context, rng: Generator) -> Tensor:
        """float32 [K], of the first experts at their last epoch."""
        return self._panel(data, context, rng).accuracy()

    def _panel(self, data: LabeledData, context: Context, rng: Generator) -> ExpertPanel:
        assert self._student is not None
        precision = precision_of(self.options, context.device)
        return ExpertPanel(self._experts, self._student, data, context, rng, precision)

    def start_vector(self, data: LabeledData, context: Context) -> Tensor:
        """Parameters float32 [P] of a fresh network."""
        rng = torch.Generator().manual_seed(0)
        return flatten(context.network(self.options.network, data.geometry, rng)).cpu()

    def cost(self, data: LabeledData, samples: int, context: Context) -> Cost:
        """Estimate of all iterations."""
        return trajectory_cost(self, data, samples, context)

    def left_by_a_step(self, synthetic: SyntheticSet, rng: Generator) -> int:
        """Bytes that a student's step on ``synthetic`` leaves for its backward pass."""
        rollout = self._draw(synthetic, rng)
        batch = rollout.batches[0]
        self._bind(synthetic, batch)[0].forward(rollout.start, rollout.step_size, batch)
        return left_bytes(batch)

    def prepare_cost(self, data: LabeledData, context: Context, rng: Generator) -> Cost:
        """Estimate of the experts that are not stored yet; ``rng`` as for :meth:`prepare`."""
        return Experts.of(data, context, self.options, rng).cost()

    def _bind(self, synthetic: SyntheticSet, batch: Batch) -> tuple[Steps, str]:
        """The steps over ``synthetic`` and the gradient's form, chosen at the first call."""
        if self._steps is None or self._steps[0] is not synthetic:
            assert self._student is not None
            assert self._augmentation is not None
            eager = EagerSteps(
                self._student,
                self._augmentation,
                synthetic.inputs,
                synthetic.labels,
                synthetic.label_logits,
            )
            quick = self._quick_steps(eager)
            form = choose_form(self.options, eager, batch, tangent=quick is not eager)
            self._steps = (synthetic, quick if form == "constant" else eager, form)
        return self._steps[1], self._steps[2]

    def _quick_steps(self, eager: EagerSteps) -> Steps:
        """``eager`` as it runs quickest in the constant form."""
        device = eager.inputs.device
        precision = precision_of(self.options, device)
        steps: Steps = eager
        tangent = None
        if precision != "bf16":  # rules take one dtype
            tangent = TangentSteps.of(eager, budget=step_budget(self.options))
        if tangent is not None:
            compiled = compiles(self.options, device)
            steps = CompiledSteps(tangent, precision) if compiled else tangent
        if device.type == "cuda" and not plain_only():
            steps = CapturedSteps(steps, precision)
        return steps

    def _draw(self, synthetic: SyntheticSet, rng: Generator) -> Rollout:
        """Everything random of one iteration, in a fixed order."""
        assert self._augmentation is not None
        assert self._geometry is not None
        device = synthetic.inputs.device
        o = self.options
        expert = self._experts[int(torch.randint(len(self._experts), (), generator=rng))]
        first = int(torch.randint(o.start_bound(self._iteration), (), generator=rng))
        if self._role is None or self._role[0] is not synthetic:
            self._role = (synthetic, synthetic.role.cpu())
        role = self._role[1]
        indices = draw_batches(len(synthetic), o.batch_size, o.steps, rng)
        batches = []
        for index in indices:
            draws = self._augmentation.draw(role[index], self._geometry, rng)
            batches.append(
                Batch(index.to(device, non_blocking=True), draws.to(device, non_blocking=True))
            )
        start, target = (
            expert[epoch].to(device, synthetic.inputs.dtype, non_blocking=True)
            for epoch in (first, first + o.expert_epochs)
        )
        return Rollout(start, target, synthetic.step_size, batches)


def draw_batches(samples: int, batch_size: int, steps: int, rng: Generator) -> list[Tensor]:
    """``steps`` batches of positions: chunks of permutations of the whole set, int64 [≤ B] each.

    A permutation is used up before the next is drawn, so its last chunks may be short.
    """
    batches: list[Tensor] = []
    sizes = batch_sizes(samples, batch_size)
    while len(batches) < steps:
        batches.extend(torch.split(torch.randperm(samples, generator=rng), sizes))
    return batches[:steps]
