"""The exact meta-gradient of trajectory matching, in two forms with equal results.

A student makes steps θ_{t+1} = θ_t − η g_t with g_t = ∇_θ ℓ(θ_t; X_t), and the loss is
L = ‖θ_T − θ*‖² / ‖θ_0 − θ*‖² (MTT, arXiv 2203.11932, eq. 2). Wanted: dL/dX and dL/dη.

``unrolled`` keeps the graph of all T steps and lets autograd do the rest. ``constant_memory``
keeps only θ_0 … θ_T; its backward pass starts from the adjoint v_T = 2(θ_T − θ*)/‖θ_0 − θ*‖²:

    s_t = g_t·v_{t+1};  dL/dX_t = −η ∂s_t/∂X_t;  dL/dη −= s_t;  v_t = v_{t+1} − η ∂s_t/∂θ_t

so activations of one step at a time are alive. (TESLA, arXiv 2211.10586, drops the last term.)
Where labels are learned, dL/dZ_t = −η ∂s_t/∂Z_t of their logits Z, as for X.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from condense.interfaces import Augmentation, MatchStep
from condense_plugins.matchers.trajectory.student import Student


@dataclass(frozen=True, eq=False)
class Batch:
    """Positions in the synthetic set, int64 [B], and their augmentation draws [B, P].

    ``memo`` is what a step leaves for its backward pass, which takes it.
    """

    indices: Tensor
    draws: Tensor
    memo: list[Any] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class Rollout:
    """One student's rollout: where it starts, where it should end, and what it sees.

    Attributes:
        start: θ_0, float [P].
        target: θ*, float [P].
        step_size: η, scalar tensor.
        batches: one per step.
    """

    start: Tensor
    target: Tensor
    step_size: Tensor
    batches: Sequence[Batch]


class StepGradients(NamedTuple):
    """What the backward pass of one step gives of s = g·v.

    Attributes:
        theta: ∂s/∂θ, float [P].
        raw: ∂s/∂X of the batch before augmentation, float [B, …].
        slope: s, scalar.
        logits: ∂s/∂Z of the batch's label logits, float [B, C]; None where labels are fixed.
    """

    theta: Tensor
    raw: Tensor
    slope: Tensor
    logits: Tensor | None = None


class Steps(Protocol):
    """One step and its backward pass, run eagerly or replayed from CUDA graphs."""

    def forward(self, theta: Tensor, step_size: Tensor, batch: Batch) -> Tensor:
        """θ_{t+1} from θ_t."""

    def backward(
        self, theta: Tensor, adjoint: Tensor, step_size: Tensor, batch: Batch
    ) -> StepGradients:
        """Derivatives of s_t at θ_t for adjoint v_{t+1}."""


@dataclass(frozen=True, eq=False)
class EagerSteps:
    """Steps through plain autograd; the backward pass is reverse over reverse.

    Attributes:
        student: the network.
        augmentation: applied to every batch; the backward pass goes through it to the pixels.
        inputs: the synthetic set, float [M, …].
        labels: int64 [M].
        label_logits: float [M, C] where labels are learned, in the place of ``labels``.
    """

    student: Student
    augmentation: Augmentation
    inputs: Tensor
    labels: Tensor
    label_logits: Tensor | None = None

    def logits(self, batch: Batch) -> Tensor | None:
        """The batch's label logits, float [B, C]; None where labels are fixed."""
        return None if self.label_logits is None else self.label_logits[batch.indices]

    def targets(self, batch: Batch, logits: Tensor | None) -> Tensor:
        """What the student is trained towards: labels int64 [B], or soft labels float [B, C].

        Args:
            batch: which samples.
            logits: their :meth:`logits`.
        """
        return self.labels[batch.indices] if logits is None else logits.softmax(1)

    def loss(self, theta: Tensor, raw: Tensor, batch: Batch, logits: Tensor | None) -> Tensor:
        """Student loss on the augmented batch ``raw`` [B, …]; ``logits`` as for targets."""
        augmented = self.augmentation.apply(raw, batch.draws)
        return self.student.loss(theta, augmented, self.targets(batch, logits))

    def forward(self, theta: Tensor, step_size: Tensor, batch: Batch) -> Tensor:
        """Parameters [P] after a step on ``batch``."""
        leaf = theta.detach().requires_grad_()
        with torch.enable_grad():
            loss = self.loss(leaf, self.inputs[batch.indices], batch, self.logits(batch))
        (gradient,) = torch.autograd.grad(loss, leaf)
        return theta - step_size * gradient

    def backward(
        self, theta: Tensor, adjoint: Tensor, step_size: Tensor, batch: Batch
    ) -> StepGradients:
        """The step's gradients at ``adjoint`` [P], by differentiating twice."""
        leaf = theta.detach().requires_grad_()
        raw, logits = self.inputs[batch.indices].requires_grad_(), self.logits(batch)
        with torch.enable_grad():
            learned = () if logits is None else (logits.requires_grad_(),)
            loss = self.loss(leaf, raw, batch, logits)
            (gradient,) = torch.autograd.grad(loss, leaf, create_graph=True)
            slope = gradient @ adjoint
        grad_theta, grad_raw, *of_labels = torch.autograd.grad(slope, (leaf, raw, *learned))
        return StepGradients(grad_theta, grad_raw, slope.detach(), *of_labels)


@torch.no_grad()
def constant_memory(steps: Steps, rollout: Rollout, inputs: Tensor) -> MatchStep:
    """Loss and gradients with one step's activations alive at a time.

    Args:
        steps: the student's steps and their backward passes.
        rollout: start, target, step size and batches.
        inputs: the synthetic set [M, …]; a sample drawn more than once sums its gradients.
    """
    eta = rollout.step_size
    kept = [rollout.start]
    for batch in rollout.batches:
        kept.append(steps.forward(kept[-1], eta, batch))
    scale = (rollout.start - rollout.target).square().sum()
    miss = kept.pop() - rollout.target
    adjoint = 2 * miss / scale
    grad_inputs, grad_labels = torch.zeros_like(inputs), None
    grad_eta = torch.zeros_like(eta)
    for batch in reversed(rollout.batches):
        back = steps.backward(kept.pop(), adjoint, eta, batch)
        grad_inputs.index_add_(0, batch.indices, back.raw * -eta)
        if back.logits is not None:
            if grad_labels is None:
                grad_labels = back.logits.new_zeros(len(inputs), back.logits.shape[1])
            grad_labels.index_add_(0, batch.indices, back.logits * -eta)
        grad_eta -= back.slope
        adjoint = adjoint - eta * back.theta
    return MatchStep(miss.square().sum() / scale, grad_inputs, grad_labels, grad_eta)


def unrolled(steps: EagerSteps, rollout: Rollout, inputs: Tensor) -> MatchStep:
    """The same by differentiating through all steps at once; memory grows with their number."""
    leaf = inputs.detach().requires_grad_()
    learned = None if steps.label_logits is None else steps.label_logits.detach().requires_grad_()
    eta = rollout.step_size.detach().clone().requires_grad_()
    theta = rollout.start.detach().requires_grad_()
    for batch in rollout.batches:
        logits = None if learned is None else learned[batch.indices]
        loss = steps.loss(theta, leaf[batch.indices], batch, logits)
        (gradient,) = torch.autograd.grad(loss, theta, create_graph=True)
        theta = theta - eta * gradient
    scale = (rollout.start - rollout.target).square().sum()
    distance = (theta - rollout.target).square().sum() / scale
    leaves = (leaf, eta) if learned is None else (leaf, eta, learned)
    grad_inputs, grad_eta, *of_labels = torch.autograd.grad(distance, leaves)
    grad_labels = of_labels[0] if of_labels else None
    return MatchStep(distance.detach(), grad_inputs, grad_labels, grad_eta)
