"""The student's steps as CUDA graphs: some hundred small launches a step become one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from condense.engine.runtime.precision import Precision
from condense.engine.training.capture import capture_checked
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
        steps: over a synthetic set whose storage stays where it is; where a recording differs from
            them beyond rounding, they run as they are.
        precision: that they run at.
    """

    def __init__(self, steps: Steps, precision: Precision = "fp32") -> None:
        self.steps = steps
        self.precision = precision
        self._forward: dict[int, _Recording] = {}
        self._backward: dict[int, _Recording] = {}

    def forward(self, theta: Tensor, step_size: Tensor, batch: Batch) -> Tensor:
        """θ_{t+1}, in new memory."""
        size = len(batch.indices)
        if size not in self._forward:
            self._forward[size] = self._record(theta, None, step_size, batch)
        (moved,) = self._forward[size].replay(theta, None, step_size, batch)
        return torch.clone(moved)

    def backward(
        self, theta: Tensor, adjoint: Tensor, step_size: Tensor, batch: Batch
    ) -> StepGradients:
        """Derivatives of s_t at θ_t, valid until the next call."""
        size = len(batch.indices)
        if size not in self._backward:
            self._backward[size] = self._record(theta, adjoint, step_size, batch)
        return StepGradients(*self._backward[size].replay(theta, adjoint, step_size, batch))

    def _record(
        self, theta: Tensor, adjoint: Tensor | None, step_size: Tensor, batch: Batch
    ) -> _Recording:
        """The step, or where an adjoint is given its backward pass."""
        static_theta, static_step = theta.clone(), step_size.clone()
        static_adjoint = torch.zeros_like(theta) if adjoint is None else adjoint.clone()
        static_batch = Batch(batch.indices.clone(), batch.draws.clone())
        results: list[Any] = []

        def forward() -> None:
            results[:] = [self.steps.forward(static_theta, static_step, static_batch)]

        def backward() -> None:
            results[:] = self.steps.backward(
                static_theta, static_adjoint, static_step, static_batch
            )

        def outcome() -> list[Tensor]:
            if adjoint is None:
                return [results[0] - theta]
            return [t for t in results if t is not None]

        part = "step" if adjoint is None else "backward pass"
        run = capture_checked(
            forward if adjoint is None else backward,
            capture,
            outcome,
            self.precision,
            f"a student's {part} recorded for {len(batch.indices)} samples",
        )
        return _Recording(run, static_theta, static_adjoint, static_step, static_batch, results)
