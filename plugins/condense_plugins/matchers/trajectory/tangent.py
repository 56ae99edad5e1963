"""The backward pass of a step as one tangent pass: forward over reverse, layer by layer, no graph.

What the backward pass of a rollout needs of a step (see :mod:`.gradient`) is one directional
derivative, that of ∇ℓ in direction (v, 0). Carried through the layers with :mod:`.rules` it costs
8 convolutions a layer instead of the 9 of reverse over reverse: s = g·v is the tangent of the loss
itself, so ∇_θ ℓ is never formed. A batch norm, whose double backward is some thirty passes over
memory in autograd, costs eleven.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from condense.engine.training.batches import channels_last
from condense_plugins.matchers.trajectory.chain import rules_of, with_stem
from condense_plugins.matchers.trajectory.gradient import Batch, EagerSteps, StepGradients
from condense_plugins.matchers.trajectory.rules import Rule

Tangents = tuple[Tensor, Tensor, Tensor, Tensor]
TangentPass = Callable[[Tensor, Tensor, Tensor, Tensor], Tangents]


@dataclass(frozen=True, eq=False)
class TangentSteps:
    """:class:`EagerSteps` through the rules.

    Attributes:
        eager: the steps it stands for.
        rules: of the student's network, in order.
        budget: bytes that a step may leave for its backward pass. What is not left is computed
            again, with equal results to the bit.
    """

    eager: EagerSteps
    rules: tuple[Rule, ...]
    budget: int = 0

    @staticmethod
    def of(eager: EagerSteps, *, budget: int = 0, stem: bool = True) -> TangentSteps | None:
        """For ``eager``'s student, or None where a layer of it has no rule.

        Args:
            stem: whether, on a CPU, the first layers may be one rule.
        """
        network = eager.student.network
        rules = rules_of(network)
        if rules is None or sum(r.owned for r in rules) != len(list(network.parameters())):
            return None  # the sum differs where a layer appears twice
        if stem and eager.inputs.device.type == "cpu":
            rules = with_stem(rules, eager.inputs.shape)
        return TangentSteps(eager, tuple(rules), budget)

    @torch.no_grad()
    def forward(self, theta: Tensor, step_size: Tensor, batch: Batch) -> Tensor:
        """θ_{t+1} from θ_t."""
        if theta.device.type != "cpu":  # the library's own backward pass is the quicker one there
            return self.eager.forward(theta, step_size, batch)
        seen = augmented(self.eager, batch)
        targets = self.eager.targets(batch, self.eager.logits(batch))
        with torch.inference_mode():  # a tenth of a small step is what autograd notes of it
            gradient = self.gradient(theta, seen.inputs, targets)
        self._leave(batch, seen)
        return theta - step_size * gradient

    def _leave(self, batch: Batch, seen: Seen) -> None:
        """Leave what fits the budget; of the last layers first, small for what it saves."""
        left = self.budget - _bytes(seen)
        memo: list[tuple[Tensor, ...]] = []
        for rule in reversed(self.rules):
            fits = _bytes(rule.memo) <= left
            memo.insert(0, rule.memo if fits else ())
            left -= _bytes(memo[0])
            rule.memo = ()
        batch.memo[:] = [seen, memo] if left >= 0 else []

    def backward(
        self, theta: Tensor, adjoint: Tensor, step_size: Tensor, batch: Batch
    ) -> StepGradients:
        """Derivatives of s_t at θ_t for adjoint v_{t+1}."""
        if batch.memo:
            for rule, memo in zip(self.rules, batch.memo[1], strict=True):
                rule.memo = memo
        tangent = self._unnoted if theta.device.type == "cpu" else self.tangent
        return vjp_step(self.eager, tangent, theta, adjoint, batch)

    def _unnoted(self, *given: Tensor) -> Tangents:
        """As :meth:`tangent`, of which autograd notes nothing; what leaves can be noted again."""
        with torch.inference_mode():
            found = self.tangent(*given)
        theta, inputs, slope, targets = (tensor.clone() for tensor in found)
        return theta, inputs, slope, targets

    def gradient(self, theta: Tensor, inputs: Tensor, targets: Tensor) -> Tensor:
        """∂ℓ/∂θ [P] of the network alone; arguments as for :meth:`tangent`."""
        found = torch.empty_like(theta)
        owned = self._owned(theta, found)
        x = inputs
        for rule, (p, _) in zip(self.rules, owned, strict=True):
            x = rule.ahead(x, p)
        g = torch.softmax(x, 1).sub_(_soft(targets, x)).div_(len(x))
        for number in reversed(range(len(self.rules))):
            p, of_p = owned[number]
            g = self.rules[number].back(g, p, of_p, first=number == 0)
        return found

    def tangent(self, theta: Tensor, adjoint: Tensor, inputs: Tensor, targets: Tensor) -> Tangents:
        """(∂s/∂θ [P], ∂s/∂inputs [B, …], s, ∂s/∂targets [B, C]) of the network alone.

        Args:
            theta: parameters [P].
            adjoint: v [P].
            inputs: augmented [B, …].
            targets: labels int64 [B], or soft labels float [B, C].
        """
        grad_theta = torch.empty_like(theta)
        owned = self._owned(theta, adjoint, grad_theta)
        x, dx = inputs, None
        for rule, (p, v, _) in zip(self.rules, owned, strict=True):
            x, dx = rule.push(x, dx, p, v)
        assert dx is not None
        g = torch.softmax(x, 1)
        dlog = dx - (g * dx).sum(1, keepdim=True)  # tangent of log softmax
        dg = (dlog * g).div_(len(x))
        g = (g - _soft(targets, x)).div_(len(x))
        slope = (g * dx).sum()
        for number in reversed(range(len(self.rules))):
            p, v, of_p = owned[number]
            g, dg = self.rules[number].pull(g, dg, p, v, of_p, first=number == 0)
        return grad_theta, dg, slope, dlog.div_(-len(x))

    def _owned(self, *vectors: Tensor) -> list[tuple[tuple[Tensor, ...], ...]]:
        """Each rule's own part of every vector [P]."""
        whole = [iter(self.eager.student.parts(vector)) for vector in vectors]
        return [tuple(tuple(islice(parts, r.owned)) for parts in whole) for r in self.rules]


def _soft(targets: Tensor, logits: Tensor) -> Tensor:
    return targets if targets.is_floating_point() else one_hot(targets, logits.shape[1])


class Seen(NamedTuple):
    """A batch [B, …] as it is stored, as it is augmented (with its graph back to that), and as the
    network takes it."""

    raw: Tensor
    augmented: Tensor
    inputs: Tensor


def left_bytes(batch: Batch) -> int:
    """Of what a step left in ``batch`` for its backward pass."""
    if not batch.memo:
        return 0
    seen, memo = batch.memo
    return sum(map(_bytes, (seen, *memo)))


def _bytes(tensors: Sequence[Tensor]) -> int:
    return sum(t.nbytes for t in tensors)


def augmented(eager: EagerSteps, batch: Batch) -> Seen:
    """``batch`` as the network sees it."""
    raw = eager.inputs[batch.indices].requires_grad_()
    with torch.enable_grad():
        changed = eager.augmentation.apply(raw, batch.draws)
    inputs = changed.detach()
    if inputs.device.type == "cpu":  # on a GPU a first layer of 3 channels loses more by it
        inputs = channels_last(inputs)
    return Seen(raw, changed, inputs)


@torch.no_grad()
def vjp_step(
    eager: EagerSteps, tangent: TangentPass, theta: Tensor, adjoint: Tensor, batch: Batch
) -> StepGradients:
    """A backward pass whose network part is ``tangent``; through the augmentation to the pixels,
    and through the softmax to the label logits."""
    seen = batch.memo[0] if batch.memo else augmented(eager, batch)
    batch.memo.clear()
    targets = eager.targets(batch, eager.logits(batch))
    grad_theta, change, slope, of_targets = tangent(theta, adjoint, seen.inputs, targets)
    if seen.augmented is not seen.raw:
        # as a sum, since a gradient that is handed over has autograd load PyTorch's compiler
        with torch.enable_grad():
            along = (seen.augmented * change).sum()
        (change,) = torch.autograd.grad(along, seen.raw)
    if eager.label_logits is None:
        return StepGradients(grad_theta, change, slope)
    of_logits = targets * (of_targets - (targets * of_targets).sum(1, keepdim=True))
    return StepGradients(grad_theta, change, slope, of_logits)
