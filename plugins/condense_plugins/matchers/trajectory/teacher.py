"""What experts say of samples: where learned labels start (DATM, arXiv 2310.05773), what labels
moved samples get in the end, and whether they have learned anything."""

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
EXAMINED = (8, 1000)  # experts and samples, at most, that show whether they have learned anything


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
            order = torch.randperm(
                len(data), generator=Seed.of(rng).fork("ask", number).generator()
            )
            mine = _last_logits(trajectory, student, batcher, order)[asked]
            right = mine.argmax(1) == labels
            total += mine
            right_total += mine * right[:, None]
            right_count += right
            task.advance()
    of_right = right_total / right_count.clamp(min=1)[:, None]
    return torch.where((right_count > 0)[:, None], of_right, total / len(experts)).cpu()


@torch.no_grad()
def sample_logits(
    experts: Sequence[Tensor],
    student: Student,
    samples: TrainingSet,
    data: LabeledData,
    context: Context,
    rng: Generator,
    precision: Precision = "fp32",
) -> Tensor:
    """float32 [M, C], the mean logits that the experts give ``samples`` at their last epoch.

    They are shown among all of the training split, in random order, as :func:`expert_logits` shows
    its own: a batch norm takes the statistics of its batch.

    Args:
        samples: M normalised samples; other arguments as for :func:`expert_logits`.
    """
    device, known = context.device, len(data)
    split, asked = Batcher(TrainingSet.of(data), device), Batcher(samples, device)
    total = torch.zeros(len(samples), len(data.classes), device=device)
    with (
        context.progress.task("ask experts", len(experts), "expert") as task,
        numeric_precision(precision, device),
    ):
        for number, trajectory in enumerate(experts):
            draw = Seed.of(rng).fork("label", number).generator()
            order = torch.randperm(known + len(samples), generator=draw)
            theta = trajectory[-1].to(device)
            for chunk in batches(order):
                mine = (chunk[chunk >= known] - known).to(device)
                others = split.batch(chunk[chunk < known].to(device))[0]
                inputs = torch.cat([asked.batch(mine)[0], others])
                total[mine] += student.logits(theta, inputs).float()[: len(mine)]
            task.advance()
    return (total / len(experts)).cpu()


@torch.no_grad()
def expert_accuracy(
    experts: Sequence[Tensor],
    student: Student,
    data: LabeledData,
    context: Context,
    rng: Generator,
    precision: Precision = "fp32",
) -> Tensor:
    """float32 [≤ 8], the share of the training split that each of the first experts is right about.

    At their last epoch, on at most 1000 samples that ``rng``'s seed draws; other arguments as for
    :func:`expert_logits`.
    """
    batcher = Batcher(TrainingSet.of(data), context.device)
    order = torch.randperm(len(data), generator=Seed.of(rng).fork("examine").generator())
    some, right = order[: EXAMINED[1]], []
    with numeric_precision(precision, context.device):
        for trajectory in experts[: EXAMINED[0]]:
            guess = _last_logits(trajectory, student, batcher, some)[some].argmax(1).cpu()
            right.append((guess == data.labels[some]).float().mean())
    return torch.stack(right)


def _last_logits(trajectory: Tensor, student: Student, batcher: Batcher, order: Tensor) -> Tensor:
    """float32 [N, C] at the end of ``trajectory``; 0 for samples that are not in ``order``."""
    device, theta = batcher.device, trajectory[-1].to(batcher.device)
    found = torch.zeros(len(batcher), batcher.geometry.classes, device=device)
    for chunk in batches(order.to(device)):
        found[chunk] = student.logits(theta, batcher.batch(chunk)[0]).float()
    return found


def batches(order: Tensor) -> Sequence[Tensor]:
    """``order`` in chunks of about :data:`BATCH`, none of them a short rest."""
    return torch.tensor_split(order, max(1, round(len(order) / BATCH)))
