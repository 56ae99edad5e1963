"""Logits that experts give samples: where learned labels start (DATM, arXiv 2310.05773)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from condense.engine.runtime.precision import Precision, numeric_precision
from condense.engine.runtime.rng import Seed
from condense.engine.training.batches import Batcher
from condense.interfaces import Context, LabeledData, TrainingSet
from condense_plugins.matchers.trajectory.student import Student

BATCH = 250  # samples whose statistics a batch norm takes


@torch.no_grad()
def expert_logits(
    experts: Sequence[Tensor],
    student: Student,
    data: LabeledData,
    indices: Tensor,
    context: Context,
    rng: Generator,
    precision: Precision = "fp32",
) -> Tensor:
    """float32 [M, C], the mean logits of those experts that are right about a sample.

    Of all experts where none is right. They are asked at their last epoch. Snapshots hold no
    running statistics, so a batch norm takes those of its batch: the samples are shown among all
    the others, in random order.

    Args:
        experts: trajectories, float32 [epochs + 1, P] each.
        student: the experts' network.
        data: the training split they were trained on.
        indices: int64 [M] of the samples asked about.
        context: device and progress.
        rng: its seed orders the batches.
        precision: of the forward passes.
    """
    batcher = Batcher(TrainingSet.of(data), context.device)
    asked, labels = indices.to(context.device), data.labels[indices].to(context.device)
    total = torch.zeros(len(indices), len(data.classes), device=context.device)
    right_total, right_count = torch.zeros_like(total), torch.zeros_like(labels)
    with (
        context.progress.task("ask experts", len(experts), "expert") as task,
        numeric_precision(precision, context.device),
    ):
        for number, trajectory in enumerate(experts):
            theta = trajectory[-1].to(context.device)
            order = torch.randperm(
                len(data), generator=Seed.of(rng).fork("ask", number).generator()
            )
            of_all = torch.empty(len(data), len(data.classes), device=context.device)
            for chunk in batches(order.to(context.device)):
                of_all[chunk] = student.logits(theta, batcher.batch(chunk)[0]).float()
            mine = of_all[asked]
            right = mine.argmax(1) == labels
            total += mine
            right_total += mine * right[:, None]
            right_count += right
            task.advance()
    of_right = right_total / right_count.clamp(min=1)[:, None]
    return torch.where((right_count > 0)[:, None], of_right, total / len(experts)).cpu()


def batches(order: Tensor) -> Sequence[Tensor]:
    """``order`` in chunks of about :data:`BATCH`, none of them a short rest."""
    return torch.tensor_split(order, max(1, round(len(order) / BATCH)))
