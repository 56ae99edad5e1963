"""One SGD step on a batch, as it is written."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from condense.engine.runtime.rng import global_states, same_states, set_global_states
from condense.engine.training.batches import Batcher, channels_last
from condense.engine.training.schedule import Schedule
from condense.interfaces import Augmentation


@dataclass(frozen=True, eq=False)
class Teacher:
    """A trained network that says what another is to say (arXiv 1503.02531).

    Attributes:
        network: on the data's device, in eval mode; never changed.
        temperature: by which the logits of both are divided.
    """

    network: nn.Module
    temperature: float

    def loss(self, inputs: Tensor, logits: Tensor) -> Tensor:
        """T²·KL(teacher ‖ student), mean over the batch, of softmaxes at temperature T.

        Args:
            inputs: [B, …] as the student saw them, augmented.
            logits: [B, C], the student's.
        """
        with torch.no_grad():
            own = F.log_softmax(self.network(inputs) / self.temperature, 1)
        other = F.log_softmax(logits / self.temperature, 1)
        divergence = F.kl_div(other, own, log_target=True, reduction="batchmean")
        return self.temperature**2 * divergence


class Sgd:
    """SGD with momentum by PyTorch's fused kernel, as ``torch.optim.SGD(fused=True)`` calls it.

    ``torch.optim`` itself would load PyTorch's compiler at its first use, more than a second.

    Attributes:
        lr: the rate, a tensor where a recorded step is to read it anew.
        momentum: the momentum buffer of each parameter, once there is one.
    """

    def __init__(
        self, parameters: Iterable[Tensor], schedule: Schedule, lr: float | Tensor
    ) -> None:
        self.parameters = list(parameters)
        self.lr = lr
        self.momentum: dict[Tensor, Tensor] = {}
        self._schedule = schedule

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Move every parameter that has a gradient."""
        found = [(p, p.grad) for p in self.parameters if p.grad is not None]
        moved, gradients = [p for p, _ in found], [g for _, g in found]
        if not found:
            return
        first, momentum = not self.momentum, self._schedule.momentum
        if momentum:
            for parameter in moved:
                if parameter not in self.momentum:
                    self.momentum[parameter] = torch.zeros_like(parameter)
        torch._fused_sgd_(
            moved,
            gradients,
            [self.momentum[p] for p in moved] if momentum else [],
            weight_decay=self._schedule.weight_decay,
            momentum=momentum,
            lr=self.lr,
            dampening=0.0,
            nesterov=False,
            maximize=False,
            is_first_step=first and momentum > 0,
        )


class EagerStep:
    """One SGD step on a batch.

    Args:
        network: trained in place.
        data: where batches come from.
        schedule: of the optimiser; its rate is set by :meth:`set_lr` from then on.
        augmentation: of the batches.
        teacher: whose outputs are trained towards in the place of the data's targets.
        lr_on_device: whether the rate is a tensor, which a recorded step can read anew.
    """

    def __init__(
        self,
        network: nn.Module,
        data: Batcher,
        schedule: Schedule,
        augmentation: Augmentation,
        teacher: Teacher | None = None,
        *,
        lr_on_device: bool = False,
    ) -> None:
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload,unused-ignore]
        self.data = data
        self.augmentation = augmentation
        self.teacher = teacher
        lr = torch.tensor(schedule.lr, device=data.device) if lr_on_device else schedule.lr
        self.optimizer = Sgd(network.parameters(), schedule, lr)

    def set_lr(self, lr: float) -> None:
        """The rate of the steps that follow."""
        if isinstance(self.optimizer.lr, Tensor):
            self.optimizer.lr.fill_(lr)
        else:
            self.optimizer.lr = lr

    def __call__(self, indices: Tensor, draws: Tensor) -> Tensor:
        """Logits [B, C] of the samples at ``indices`` [B], before the step they lead to."""
        inputs, targets = self.data.batch(indices)
        inputs = channels_last(self.augmentation.apply(inputs, draws))
        logits: Tensor = self.network(inputs)
        teacher = self.teacher
        loss = F.cross_entropy(logits, targets) if teacher is None else teacher.loss(inputs, logits)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return logits.detach()


class StepState:
    """What a step changes, as it was when this was made: weights, buffers, momentum, randomness.

    Attributes:
        drew: whether a run of the step was found to draw from torch's global generators.
    """

    def __init__(self, step: EagerStep) -> None:
        self._step = step
        self._parameters = [p.detach().clone() for p in step.network.parameters()]
        self._buffers = [b.clone() for b in step.network.buffers()]
        self._momentum = {p: b.clone() for p, b in step.optimizer.momentum.items()}
        self._random = global_states(step.data.device)
        self.drew = False

    @torch.no_grad()
    def restore(self) -> None:
        """Put everything back, in place."""
        network = self._step.network
        for now, before in zip(network.parameters(), self._parameters, strict=True):
            now.copy_(before)
        for buffer, before in zip(network.buffers(), self._buffers, strict=True):
            buffer.copy_(before)
        for parameter, momentum in self._step.optimizer.momentum.items():
            # zero momentum makes the first step a plain one, as a missing buffer does
            momentum.copy_(self._momentum.get(parameter, torch.zeros_like(momentum)))
        device = self._step.data.device
        self.drew = self.drew or not same_states(global_states(device), self._random)
        set_global_states(self._random, device)

    @torch.no_grad()
    def changes(self) -> list[Tensor]:
        """How far weights, buffers and momentum are from where they were, one vector each."""
        network = self._step.network
        moved = [
            [n - b for n, b in zip(network.parameters(), self._parameters, strict=True)],
            [n - b for n, b in zip(network.buffers(), self._buffers, strict=True)],
            list(self._step.optimizer.momentum.values()),
        ]
        return [torch.cat([t.float().flatten() for t in part]) for part in moved if part]
