"""What distribution and gradient matching share: real samples of each class beside the set's own,
both under one draw of the augmentation (DSA, arXiv 2102.08259).
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from pydantic import Field
from torch import Generator, Tensor, nn

from condense.engine.runtime.precision import PrecisionOption, auto_means
from condense.engine.runtime.rng import Seed
from condense.engine.training.batches import Batcher, initial_set
from condense.engine.training.estimate import TimedPart, time_call
from condense.interfaces import (
    Augmentation,
    Context,
    Cost,
    LabeledData,
    MatchPlan,
    MatchStep,
    Role,
    Selection,
    SyntheticSet,
    TrainingSet,
)
from condense.options import AugmentationSpec
from condense_plugins.matchers._options import ImageRate, ImageReach, MatcherOptions
from condense_plugins.matchers.trajectory.student import without_dropout

# what to do about a note or finding of a run, by its code
ADVICE = {
    "no-finite-loss": "lower matcher.image_lr, or leave it at auto",
    "samples-diverged": "lower matcher.image_lr, or leave it at auto",
    "loss-rises": "lower matcher.image_lr, or leave it at auto",
    "loss-flat": "raise matcher.image_lr, or give more matcher.iterations",
    "not-finite": "lower matcher.image_lr, or set matcher.precision=fp32",
    "augmentation-mismatch": "match under the evaluation's with matcher.augmentation",
}


class SiameseOptions(MatcherOptions):
    """Of matchers that compare each class of the set with real samples of it."""

    iterations: int = Field(500, ge=0, description="matching iterations")
    real_per_class: int = Field(
        64, ge=1, description="training samples drawn of each class in an iteration"
    )
    augmentation: AugmentationSpec = Field(
        AugmentationSpec.of("dsa", per="batch"),
        description="augmentation of real and synthetic samples, one draw for a whole class",
    )
    image_lr: ImageRate = "auto"
    image_reach: ImageReach = 0.5
    precision: PrecisionOption = Field(
        "auto",
        description="auto (tf32 on GPUs) | fp32 | tf32 | bf16",
        json_schema_extra=auto_means("tf32"),
    )


class SiameseMatcher(ABC):
    """A matcher that compares each class of the set with real samples of it."""

    def __init__(self, options: SiameseOptions) -> None:
        self.options = options
        self._context: Context | None = None
        self._augmentation: Augmentation | None = None
        self._real: Batcher | None = None
        self._members: list[Tensor] = []

    @property
    def plan(self) -> MatchPlan:
        """The engine's optimiser settings, from the options; there is no step size."""
        o = self.options
        return MatchPlan(
            iterations=o.iterations,
            image_lr=o.image_lr,
            image_momentum=o.image_momentum,
            image_reach=o.image_reach,
            snapshots=o.snapshots,
            image_ema=o.image_ema,
        )

    @property
    def matched_under(self) -> str:
        """The augmentation of both sides."""
        return self.options.augmentation.component

    def prepare(self, data: LabeledData, context: Context, rng: Generator) -> None:
        """Put the training split on the device; nothing is drawn."""
        self._context = context
        self._augmentation = context.augmentation(self.options.augmentation)
        self._real = Batcher(TrainingSet.of(data), context.device)
        self._members = [data.class_indices(c) for c in range(len(data.classes))]

    @abstractmethod
    def step(self, synthetic: SyntheticSet, rng: Generator) -> MatchStep:
        """Loss and gradients of one iteration; each matcher's own."""

    def cost(self, data: LabeledData, samples: int, context: Context) -> Cost:
        """Estimate of all iterations, from some of them timed for real."""
        o, members = self.options, [data.class_indices(c) for c in range(len(data.classes))]
        real = sum(min(len(of_class), o.real_per_class) for of_class in members)
        samples = min(samples, len(data))
        part = TimedPart.of(samples + real, data.geometry, context.device)
        if part.cut:  # a part of one class, and as many real samples
            each = max(1, part.timed // 2)
            members, samples = [max(members, key=len)[:each]], each
            o = o.model_copy(update={"real_per_class": each})
        trial, rng = type(self)(o), Seed(0).generator()
        trial.prepare(data, context, rng)
        # of all classes by turns: only of those that are there real samples are drawn
        chosen = torch.cat([m[:samples] for m in members])
        turn = torch.cat([torch.arange(len(m[:samples])) for m in members])
        chosen = chosen[turn.argsort(stable=True)][:samples]
        selection = Selection(chosen, data.labels[chosen], (len(chosen),))
        distilled = torch.ones(len(chosen), dtype=torch.bool)
        synthetic = initial_set(data, selection, distilled, float("nan")).to(context.device)

        def step() -> object:
            return trial.step(synthetic, rng)

        memory = part.memory(step)
        return Cost(part.scale * o.iterations * time_call(step, context.device), memory)

    def prepare_cost(self, data: LabeledData, context: Context, rng: Generator) -> Cost:
        """Nothing is trained beforehand."""
        return Cost()

    def fresh_network(self, like: Tensor, rng: Generator) -> nn.Module:
        """A network with random weights in the dtype of ``like``, in train mode without dropout.

        ``rng`` is moved on by one draw.
        """
        assert self._context is not None
        assert self._real is not None
        seed = Seed(int(torch.randint(2**62, (), generator=rng)))
        network = self._context.network(self.options.network, self._real.geometry, seed.generator())
        return without_dropout(network.to(like.dtype))

    def draw_real(self, synthetic: SyntheticSet, rng: Generator) -> tuple[Tensor, Tensor]:
        """Training samples of the classes in ``synthetic``: inputs [B, …] as a network sees them,
        in its dtype, and labels int64 [B], ascending. Of small classes all there are."""
        assert self._real is not None
        present = set(synthetic.labels.tolist())
        chosen = [
            members[torch.randperm(len(members), generator=rng)[: self.options.real_per_class]]
            for label, members in enumerate(self._members)
            if label in present
        ]
        inputs, labels = self._real.batch(torch.cat(chosen).to(self._real.device))
        return inputs.to(synthetic.inputs.dtype), labels

    def draw_changes(self, rng: Generator) -> Tensor:
        """One draw of the augmentation for each class, as of a distilled sample: [classes, P]."""
        role = torch.full((len(self._members), 1), int(Role.DISTILLED), dtype=torch.uint8)
        return self.draw(role, rng)[:, 0]

    def draw(self, role: Tensor, rng: Generator) -> Tensor:
        """Draws of the augmentation for samples of ``role`` [..., B]: [..., B, P] on the device."""
        assert self._augmentation is not None
        assert self._real is not None
        draws = self._augmentation.draw(role, self._real.geometry, rng)
        return draws.to(self._real.device)

    def change(self, inputs: Tensor, draws: Tensor) -> Tensor:
        """``inputs`` [B, …] augmented as ``draws`` [B, P] say."""
        assert self._augmentation is not None
        return self._augmentation.apply(inputs, draws)
