"""Options of the trajectory matcher; the defaults are the values of the SelMatch paper, but rates
and step size, which follow from the data."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from condense.engine.runtime.precision import PrecisionOption, auto_means
from condense.engine.training.schedule import batches_per_epoch
from condense.options import SPEED_ONLY, AugmentationSpec, OrAuto
from condense.results import AUTO, Rate
from condense_plugins.matchers._options import ImageRate, ImageReach, MatcherOptions

ExpertDtype = Literal["fp32", "bf16"]
Memory = Literal["auto", "constant", "unrolled"]
Compile = Literal["auto", "on", "off"]

# what to do about a note or finding of a run, by its code
ADVICE = {
    "no-finite-loss": "lower matcher.image_lr, matcher.step_size_lr or matcher.step_size, or leave "
    "them at auto",
    "samples-diverged": "lower matcher.image_lr, or leave it at auto",
    "loss-no-progress": "the synthetic step size is too small or too large, or the experts have "
    "moved too little: raise matcher.step_size or matcher.steps; check matcher.expert_epochs",
    "loss-rises": "lower matcher.image_lr, then matcher.step_size_lr, or leave them at auto",
    "loss-flat": "raise matcher.image_lr, or give more matcher.iterations",
    "not-finite": "lower matcher.step_size and matcher.step_size_lr, or set matcher.precision=fp32",
    "step-size-collapsed": "lower matcher.step_size_lr or start from a smaller matcher.step_size",
    "step-size-grew": "lower matcher.step_size_lr, or start from a larger matcher.step_size",
    "teachers-at-chance": "lower matcher.expert_lr if it is high, else raise it or "
    "matcher.max_start_epoch, up to which experts are trained",
    "labels-foreign": "raise matcher.max_start_epoch, up to which experts are trained",
    "augmentation-mismatch": "match under the evaluation's with matcher.augmentation",
}


class TrajectoryOptions(MatcherOptions):
    """How experts are trained and students are matched to them."""

    iterations: int = Field(10000, ge=0, description="matching iterations")
    steps: int = Field(55, ge=1, description="student steps per iteration")
    trajectories: int = Field(
        1, ge=1, description="students an iteration, of whose gradients the mean is taken"
    )
    batch_size: int = Field(125, ge=1, description="synthetic samples per student step")
    experts: int = Field(100, ge=1, le=10_000, description="expert networks")
    max_start_epoch: int = Field(80, ge=1, description="students start at an epoch below this one")
    start_epoch_growth: int = Field(
        0,
        ge=0,
        description="iterations over which the bound on start epochs grows evenly, from "
        "first_max_start_epoch to max_start_epoch (as in DATM); 0: it stays at max_start_epoch",
    )
    first_max_start_epoch: int = Field(
        1, ge=1, description="the epoch it starts from, where start_epoch_growth is set"
    )
    expert_epochs: int = Field(2, ge=1, description="epochs between start and target snapshot")
    expert_lr: float = Field(0.01, gt=0, description="learning rate of the experts' SGD")
    expert_momentum: float = Field(0.0, ge=0, lt=1, description="momentum of the experts' SGD")
    expert_batch_size: int = Field(256, ge=1, description="samples per step of an expert")
    expert_dtype: ExpertDtype = Field(
        "fp32",
        description="how experts are stored: fp32, or bf16 (half the disk; each epoch's delta "
        "is kept to 0.2 %)",
    )
    experts_at_once: int | None = Field(
        None,
        ge=1,
        description="expert networks trained side by side; unset = on a GPU as many as its "
        "memory has room for, at most 8, on a CPU one",
        json_schema_extra=SPEED_ONLY,
    )
    expert_augmentation: AugmentationSpec = Field(
        AugmentationSpec.of("none"), description="augmentation of the experts (none, as released)"
    )
    augmentation: AugmentationSpec = Field(
        AugmentationSpec.of("dsa", per="batch"), description="augmentation of the student batches"
    )
    image_lr: ImageRate = "auto"
    image_reach: ImageReach = 0.5
    step_size: Annotated[Rate, OrAuto(gt=0)] = Field(
        "auto",
        description="initial synthetic step size, learned; auto: that with which a student takes "
        "as long a way as an expert, halved while that lowers the first loss",
    )
    step_size_lr: Annotated[Rate, OrAuto(ge=0)] = Field(
        "auto", description="learning rate of the step size; auto: an update is 3 % of it at most"
    )
    step_size_momentum: float = Field(0.5, ge=0, lt=1, description="its momentum")
    memory: Memory = Field(
        "auto",
        description="meta-gradient: constant memory, plain unrolling, or the quicker that fits",
    )
    precision: PrecisionOption = Field(
        "auto",
        description="of student steps and experts: auto (tf32 on GPUs) | fp32 | tf32 | bf16",
        json_schema_extra=auto_means("tf32"),
    )
    compile: Compile = Field(
        "auto",
        description="whether student steps go through torch.compile: auto = in long runs on GPUs",
    )

    @model_validator(mode="after")
    def _check_growth(self) -> TrajectoryOptions:
        if self.start_epoch_growth and self.first_max_start_epoch > self.max_start_epoch:
            raise ValueError(
                f"first_max_start_epoch={self.first_max_start_epoch} is above max_start_epoch="
                f"{self.max_start_epoch}, which it should grow to; lower it to at most that"
            )
        return self

    def start_bound(self, iteration: int) -> int:
        """Start epochs are drawn below this one after ``iteration`` iterations."""
        if iteration >= self.start_epoch_growth:
            return self.max_start_epoch
        growth = self.max_start_epoch - self.first_max_start_epoch
        return self.first_max_start_epoch + growth * iteration // self.start_epoch_growth

    def first_step_size(self, samples: int) -> float:
        """The initial synthetic step size on a training split of ``samples``.

        ``auto`` is that with which ``steps`` steps are as long as the experts' in
        ``expert_epochs`` epochs, where gradients are alike.
        """
        if self.step_size != AUTO:
            return self.step_size
        of_expert = self.expert_epochs * batches_per_epoch(samples, self.expert_batch_size)
        return self.expert_lr / (1 - self.expert_momentum) * of_expert / self.steps

    @property
    def last_epoch(self) -> int:
        """The last epoch whose snapshot can be a target; experts train no longer."""
        return self.max_start_epoch - 1 + self.expert_epochs
