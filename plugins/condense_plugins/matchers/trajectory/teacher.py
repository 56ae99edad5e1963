"""What experts say of samples: where learned labels start (DATM, arXiv 2310.05773), what labels
moved samples get in the end, and whether they have learned anything."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Generator, Tensor

from condense.engine.runtime.precision import Precision, numeric_precision
from condense.engine.runtime.rng import Seed
from condense.engine.training.batches import Batcher
from condense.interfaces import Context, LabeledData, Task, TrainingSet
from condense_plugins.matchers.trajectory.student import Student

BATCH = 250  # samples whose statistics a batch norm takes
EXAMINED = (8, 1000)  # experts and samples, at most, that show whether they have learned anything


@dataclass(frozen=True, eq=False)
class ExpertPanel:
    """Experts, asked at their last epoch.

    Snapshots hold no running statistics, so a batch norm takes those of its batch: samples are
    shown among all of the training split, in random order.

    Attributes:
        experts: trajectories, float32 [epochs + 1, P] each.
        student: their network.
        data: the training split they were trained on.
        context: device and progress.
        rng: its seed orders the batches.
        precision: of the forward passes.
    """

    experts: Sequence[Tensor]
    student: Student
    data: LabeledData
    context: Context
    rng: Generator
    precision: Precision = "fp32"

    @torch.no_grad()
    def logits(self, indices: Tensor) -> Tensor:
        """float32 [M, C], the mean logits of those experts that are right about a sample.

        Of all experts where none is right.

        Args:
            indices: int64 [M] of the samples asked about.
        """
        data, device = self.data, self.context.device
        asked, labels = indices.to(device), data.labels[indices].to(device)
        total = torch.zeros(len(indices), len(data.classes), device=device)
        right_total, right_count = torch.zeros_like(total), torch.zeros_like(labels)
        with self._asking() as task:
            for number, trajectory in enumerate(self.experts):
                order = self._order(len(data), "ask", number)
                mine = self._last_logits(trajectory, order)[asked]
                right = mine.argmax(1) == labels
                total += mine
                right_total += mine * right[:, None]
                right_count += right
                task.advance()
        of_right = right_total / right_count.clamp(min=1)[:, None]
        return torch.where((right_count > 0)[:, None], of_right, total / len(self.experts)).cpu()

    @torch.no_grad()
    def sample_logits(self, samples: TrainingSet) -> Tensor:
        """float32 [M, C], the mean logits that all experts give ``samples``, normalised."""
        device, known = self.context.device, len(self.data)
        asked = Batcher(samples, device)
        total = torch.zeros(len(samples), len(self.data.classes), device=device)
        with self._asking() as task:
            for number, trajectory in enumerate(self.experts):
                order = self._order(known + len(samples), "label", number)
                theta = trajectory[-1].to(device)
                for chunk in batches(order):
                    mine = (chunk[chunk >= known] - known).to(device)
                    others = self._split.batch(chunk[chunk < known].to(device))[0]
                    inputs = torch.cat([asked.batch(mine)[0], others])
                    total[mine] += self.student.logits(theta, inputs).float()[: len(mine)]
                task.advance()
        return (total / len(self.experts)).cpu()

    @torch.no_grad()
    def accuracy(self) -> Tensor:
        """float32 [≤ 8], the share of the training split that each of the first is right about.

        On at most 1000 samples that the seed draws.
        """
        some, right = self._order(len(self.data), "examine")[: EXAMINED[1]], []
        with numeric_precision(self.precision, self.context.device):
            for trajectory in self.experts[: EXAMINED[0]]:
                guess = self._last_logits(trajectory, some)[some].argmax(1).cpu()
                right.append((guess == self.data.labels[some]).float().mean())
        return torch.stack(right)

    @cached_property
    def _split(self) -> Batcher:
        return Batcher(TrainingSet.of(self.data), self.context.device)

    @contextmanager
    def _asking(self) -> Iterator[Task]:
        """At their precision, with a task of one step an expert."""
        with (
            self.context.progress.task("ask experts", len(self.experts), "expert") as task,
            numeric_precision(self.precision, self.context.device),
        ):
            yield task

    def _order(self, count: int, *stream: str | int) -> Tensor:
        return torch.randperm(count, generator=Seed.of(self.rng).fork(*stream).generator())

    def _last_logits(self, trajectory: Tensor, order: Tensor) -> Tensor:
        """float32 [N, C] at the end of ``trajectory``; 0 for samples that are not in ``order``."""
        device, theta = self.context.device, trajectory[-1].to(self.context.device)
        found = torch.zeros(len(self.data), len(self.data.classes), device=device)
        for chunk in batches(order.to(device)):
            found[chunk] = self.student.logits(theta, self._split.batch(chunk)[0]).float()
        return found


def batches(order: Tensor) -> Sequence[Tensor]:
    """``order`` in chunks of about :data:`BATCH`, none of them a short rest."""
    return torch.tensor_split(order, max(1, round(len(order) / BATCH)))
