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

from condense.engine.runtime.precision import Precision
from condense.engine.training.capture import agrees, plain_only
from condense_plugins.matchers.trajectory.gradient import Batch, StepGradients
from condense_plugins.matchers.trajectory.options import TrajectoryOptions
from condense_plugins.matchers.trajectory.tangent import Tangents, TangentSteps, vjp_step

WORTH = 20_000  # student steps of a run from which a minute of compiling is soon made up for


def compiles(options: TrajectoryOptions, device: torch.device) -> bool:
    """What ``options.compile`` means on ``device``: ``auto`` is long runs on a GPU.

    Nothing is compiled where ``CONDENSE_EAGER=1`` asks for steps as they are written.
    """
    if plain_only():
        return False
    if options.compile != "auto":
        return options.compile == "on"
    long = options.iterations * options.steps >= WORTH
    return device.type == "cuda" and long and importlib.util.find_spec("triton") is not None


class CompiledSteps:
    """:class:`TangentSteps` compiled, once per batch size; the augmentation stays as it is.

    What does not compile here (no compiler, an operation unknown to it), or gives another result
    than what is written beyond rounding, runs as written, after a warning.

    Args:
        tangent: the steps it stands for.
        precision: that they run at.
        backend: of ``torch.compile``.
    """

    def __init__(
        self, tangent: TangentSteps, precision: Precision = "fp32", backend: str = "inductor"
    ) -> None:
        tangent = TangentSteps.of(tangent.eager, stem=False) or tangent  # the compiler's to fuse
        self.tangent = tangent
        # the compiler counts its attempts by code, not by object, and gives up after a few; what
        # earlier matchers of this process had compiled is freed
        torch.compiler.reset()
        self._forward = _Compiled(self._step, _change, precision, backend)
        self._backward = _Compiled(tangent.tangent, _comparable, precision, backend)

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

    def _step(self, theta: Tensor, step_size: Tensor, inputs: Tensor, targets: Tensor) -> Tensor:
        # torch.func, since a compiled function cannot call torch.autograd.grad
        gradient: Tensor = torch.func.grad(self.tangent.eager.student.loss)(theta, inputs, targets)
        return theta - step_size * gradient


def _change(moved: Tensor, theta: Tensor) -> list[Tensor]:
    return [moved - theta]


def _comparable(tangents: Tangents, theta: Tensor) -> list[Tensor]:
    """The slope, a sum that may cancel, beside the values that it is a sum of."""
    grad_theta, change, slope, of_targets = tangents
    return [grad_theta, change, torch.cat([slope.flatten(), of_targets.flatten()])]


class _Compiled:
    """``function`` compiled, or itself once that has failed or given another result.

    Args:
        function: of tensors, the parameters first.
        compared: what is compared of its result, given the parameters.
        precision: that it runs at.
        backend: of ``torch.compile``.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        compared: Callable[[Any, Tensor], list[Tensor]],
        precision: Precision,
        backend: str,
    ) -> None:
        self.function = function
        self.compared = compared
        self.precision = precision
        self.compiled: Callable[..., Any] | None = torch.compile(
            function, fullgraph=True, dynamic=False, backend=backend
        )
        self._checked: set[tuple[torch.Size, ...]] = set()  # shapes

    def __call__(self, *tensors: Tensor) -> Any:
        if self.compiled is None:
            return self.function(*tensors)
        try:
            found = self.compiled(*tensors)
        except torch.cuda.OutOfMemoryError:
            raise
        except Exception as error:  # noqa: BLE001 – the compiler's own, its backend's, gcc's
            self.compiled = None
            reason = str(error).strip().partition("\n")[0]
            warnings.warn(
                f"student steps could not be compiled ({type(error).__name__}: {reason}); "
                "they run uncompiled, which is slower (matcher.compile=off silences this)",
                RuntimeWarning,
                stacklevel=2,
            )
            return self.function(*tensors)
        shapes = tuple(t.shape for t in tensors)
        return found if shapes in self._checked else self._check(found, shapes, *tensors)

    def _check(self, found: Any, shapes: tuple[torch.Size, ...], *tensors: Tensor) -> Any:
        """``found``, or what ``function`` gives where that is something else."""
        expected = self.function(*tensors)
        ours, theirs = (self.compared(result, tensors[0]) for result in (found, expected))
        if agrees(
            ours, theirs, self.precision, f"a student's step compiled for {shapes[2][0]} samples"
        ):
            self._checked.add(shapes)
            return found
        self.compiled = None
        return expected
