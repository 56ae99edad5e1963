"""The backward pass of a step as one tangent pass: forward over reverse, layer by layer, no graph.

What the backward pass of a rollout needs of a step (see :mod:`.gradient`) is one directional
derivative, that of ∇ℓ in direction (v, 0). Carried through the layers with :mod:`.rules` it costs
8 convolutions a layer instead of the 9 of reverse over reverse: s = g·v is the tangent of the loss
itself, so ∇_θ ℓ is never formed. A batch norm, whose double backward is some thirty passes over
memory in autograd, costs eleven.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from condense.engine.training.batches import channels_last
from condense_plugins.matchers.trajectory.gradient import Batch, EagerSteps, StepGradients
from condense_plugins.matchers.trajectory.rules import Rule, rules_of

Tangents = tuple[Tensor, Tensor, Tensor, Tensor]
TangentPass = Callable[[Tensor, Tensor, Tensor, Tensor], Tangents]


@dataclass(frozen=True, eq=False)
class TangentSteps:
    """:class:`EagerSteps` whose backward pass goes through the rules.

    Attributes:
        eager: the steps it stands for; its own forward step is used.
        rules: of the student's network, in order.
    """

    eager: EagerSteps
    rules: tuple[Rule, ...]

    @staticmethod
    def of(eager: EagerSteps) -> TangentSteps | None:
        """For ``eager``'s student, or None where a layer of it has no rule."""
        network = eager.student.network
        rules = rules_of(network)
        if rules is None or sum(r.owned for r in rules) != len(list(network.parameters())):
            return None  # the sum differs where a layer appears twice
        return TangentSteps(eager, tuple(rules))

    def forward(self, theta: Tensor, step_size: Tensor, batch: Batch) -> Tensor:
        """θ_{t+1} from θ_t."""
        return self.eager.forward(theta, step_size, batch)

    def backward(
        self, theta: Tensor, adjoint: Tensor, step_size: Tensor, batch: Batch
    ) -> StepGradients:
        """Derivatives of s_t at θ_t for adjoint v_{t+1}."""
        return vjp_step(self.eager, self.tangent, theta, adjoint, batch)

    def tangent(self, theta: Tensor, adjoint: Tensor, inputs: Tensor, targets: Tensor) -> Tangents:
        """(∂s/∂θ [P], ∂s/∂inputs [B, …], s, ∂s/∂targets [B, C]) of the network alone.

        Args:
            theta: parameters [P].
            adjoint: v [P].
            inputs: augmented [B, …].
            targets: labels int64 [B], or soft labels float [B, C].
        """
        grad_theta = torch.empty_like(theta)
        student = self.eager.student
        vectors = (theta, adjoint, grad_theta)
        parts = list(zip(*(student.parts(t) for t in vectors), strict=True))
        owned: list[tuple[tuple[Tensor, ...], ...]] = []
        x, dx = inputs, None
        for rule in self.rules:
            mine, parts = parts[: rule.owned], parts[rule.owned :]
            owned.append(tuple(zip(*mine, strict=True)) if mine else ((), (), ()))
            x, dx = rule.push(x, dx, owned[-1][0], owned[-1][1])
        assert dx is not None
        g = torch.softmax(x, 1)
        dlog = dx - (g * dx).sum(1, keepdim=True)  # tangent of log softmax
        dg = (dlog * g).div_(len(x))
        soft = targets if targets.is_floating_point() else one_hot(targets, x.shape[1])
        g = (g - soft).div_(len(x))
        slope = (g * dx).sum()
        for number in reversed(range(len(self.rules))):
            p, v, changes = owned[number]
            g, dg = self.rules[number].pull(g, dg, p, v, changes, first=number == 0)
        return grad_theta, dg, slope, dlog.div_(-len(x))


@torch.no_grad()
def vjp_step(
    eager: EagerSteps, tangent: TangentPass, theta: Tensor, adjoint: Tensor, batch: Batch
) -> StepGradients:
    """A backward pass whose network part is ``tangent``; through the augmentation to the pixels,
    and through the softmax to the label logits."""
    raw = eager.inputs[batch.indices].requires_grad_()
    with torch.enable_grad():
        augmented = eager.augmentation.apply(raw, batch.draws)
    inputs = augmented.detach()
    if inputs.device.type == "cpu":  # on a GPU a first layer of 3 channels loses more by it
        inputs = channels_last(inputs)
    targets = eager.targets(batch, eager.logits(batch))
    grad_theta, change, slope, of_targets = tangent(theta, adjoint, inputs, targets)
    if augmented is not raw:
        (change,) = torch.autograd.grad(augmented, raw, change)
    if eager.label_logits is None:
        return StepGradients(grad_theta, change, slope)
    of_logits = targets * (of_targets - (targets * of_targets).sum(1, keepdim=True))
    return StepGradients(grad_theta, change, slope, of_logits)
