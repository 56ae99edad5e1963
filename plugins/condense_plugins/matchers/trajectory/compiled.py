"""The student's steps through ``torch.compile``: what lies between convolutions becomes one pass.

Convolutions stay the library's. A batch norm with its tangent, a ReLU and a pool are some thirty
kernels of a few passes over memory each in eager mode, a handful once they are fused.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from condense_plugins.matchers.trajectory.gradient import Batch, StepGradients
from condense_plugins.matchers.trajectory.options import TrajectoryOptions
from condense_plugins.matchers.trajectory.tangent import TangentSteps, vjp_step

WORTH = 20_000  # student steps of a run from which a minute of compiling is soon made up for


def compiles(options: TrajectoryOptions, device: torch.device) -> bool:
    """What ``options.compile`` means on ``device``: ``auto`` is long runs on a GPU."""
    if options.compile != "auto":
        return options.compile == "on"
    long = options.iterations * options.steps >= WORTH
    return device.type == "cuda" and long and importlib.util.find_spec("triton") is not None


class CompiledSteps:
    """:class:`TangentSteps` compiled, once per batch size; the augmentation stays as it is.

    What does not compile here (no compiler, an operation unknown to it) runs as written, after a
    warning.

    Args:
        tangent: the steps it stands for.
        backend: of ``torch.compile``.
    """

    def __init__(self, tangent: TangentSteps, backend: str = "inductor") -> None:
        self.tangent = tangent
        # the compiler counts its attempts by code, not by object, and gives up after a few; what
        # earlier matchers of this process had compiled is let go of
        torch.compiler.reset()
        self._forward = _Compiled(self._walk, backend)
        self._backward = _Compiled(tangent.tangent, backend)

    @torch.no_grad()
    def forward(self, theta: Tensor, step_size: Tensor, batch: Batch) -> Tensor:
        """θ_{t+1} from θ_t."""
        eager = self.tangent.eager
        inputs = eager.augmentation.apply(eager.inputs[batch.indices], batch.draws)
        targets = eager.targets(batch, eager.logits(batch))
        moved: Tensor = self._forward(theta, step_size, inputs, targets)
        return moved

    def backward(
        self, theta: Tensor, adjoint: Tensor, step_size: Tensor, batch: Batch
    ) -> StepGradients:
        """Derivatives of s_t at θ_t for adjoint v_{t+1}."""
        return vjp_step(self.tangent.eager, self._backward, theta, adjoint, batch)

    def _walk(self, theta: Tensor, step_size: Tensor, inputs: Tensor, targets: Tensor) -> Tensor:
        # torch.func, since a compiled function cannot call torch.autograd.grad
        gradient: Tensor = torch.func.grad(self.tangent.eager.student.loss)(theta, inputs, targets)
        return theta - step_size * gradient


class _Compiled:
    """``function`` compiled, or itself once that has failed."""

    def __init__(self, function: Callable[..., Any], backend: str) -> None:
        self.function = function
        self.compiled: Callable[..., Any] | None = torch.compile(
            function, fullgraph=True, dynamic=False, backend=backend
        )

    def __call__(self, *tensors: Tensor) -> Any:
        if self.compiled is not None:
            try:
                return self.compiled(*tensors)
            except torch.cuda.OutOfMemoryError:
                raise
            except Exception as error:  # of many kinds: the compiler's own, its backend's, gcc's
                self.compiled = None
                reason = str(error).strip().partition("\n")[0]
                warnings.warn(
                    f"student steps could not be compiled ({type(error).__name__}: {reason}); "
                    "they run uncompiled, which is slower (matcher.compile=off silences this)",
                    RuntimeWarning,
                    stacklevel=2,
                )
        return self.function(*tensors)
