"""The student's steps as CUDA graphs: some hundred small launches a step become one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from condense.engine.training.cuda_graph import capture
from condense_plugins.matchers.trajectory.gradient import Batch, StepGradients, Steps


@dataclass(frozen=True, eq=False)
class _Recording:
    """A recorded step with what it reads, and ``results``, filled by its last run."""

    run: Callable[[], object]
    theta: Tensor
    adjoint: Tensor
    step_size: Tensor
    batch: Batch
    results: list[Any]

    def replay(
        self, theta: Tensor, adjoint: Tensor | None, step_size: Tensor, batch: Batch
    ) -> list[Any]:
        self.theta.copy_(theta)
        if adjoint is not None:
            self.adjoint.copy_(adjoint)
        self.step_size.copy_(step_size)
        self.batch.indices.copy_(batch.indices)
        self.batch.draws.copy_(batch.draws)
        self.run()
        return self.results


class CapturedSteps:
    """Other steps recorded once per batch size and replayed.

    Args:
        steps: over a synthetic set whose storage stays where it is.
    """

    def __init__(self, steps: Steps) -> None:
        self.steps = steps
        self._forward: dict[int, _Recording] = {}
        self._backward: dict[int, _Recording] = {}

    def forward(self, theta: Tensor, step_size: Tensor, batch: Batch) -> Tensor:
        """θ_{t+1}, in new memory."""
        size = len(batch.indices)
        if size not in self._forward:
            self._forward[size] = self._record(theta, step_size, batch, back=False)
        (moved,) = self._forward[size].replay(theta, None, step_size, batch)
        return torch.clone(moved)

    def backward(
        self, theta: Tensor, adjoint: Tensor, step_size: Tensor, batch: Batch
    ) -> StepGradients:
        """Derivatives of s_t at θ_t, valid until the next call."""
        size = len(batch.indices)
        if size not in self._backward:
            self._backward[size] = self._record(theta, step_size, batch, back=True)
        return StepGradients(*self._backward[size].replay(theta, adjoint, step_size, batch))

    def _record(self, theta: Tensor, step_size: Tensor, batch: Batch, back: bool) -> _Recording:
        static_theta, static_adjoint = theta.clone(), torch.zeros_like(theta)
        static_step, static_batch = (
            step_size.clone(),
            Batch(batch.indices.clone(), batch.draws.clone()),
        )
        results: list[Any] = []

        def body() -> None:
            if back:
                results[:] = self.steps.backward(
                    static_theta, static_adjoint, static_step, static_batch
                )
            else:
                results[:] = [self.steps.forward(static_theta, static_step, static_batch)]

        return _Recording(
            capture(body), static_theta, static_adjoint, static_step, static_batch, results
        )
