"""The training step as a CUDA graph: hundreds of small launches become one."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from condense.engine.runtime.precision import Precision
from condense.engine.training.capture import capture_checked
from condense.engine.training.step import EagerStep, StepState

WARMUP = (
    3  # eager runs before capture, so that cuDNN has chosen and the allocator has what it needs
)


def capture(body: Callable[[], object]) -> Callable[[], object]:
    """``body`` warmed up on a side stream, then recorded; a call of the result replays it.

    cuDNN's benchmark mode is off while recording: its search cannot run inside a capture. Where
    something in ``body`` cannot be recorded (a plugin's network that waits for the device, say),
    a warning says so and ``body`` itself is returned: slower, with equal results.

    Raises:
        torch.cuda.OutOfMemoryError: if the recording does not fit the device.
    """
    benchmark = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = False
    try:
        stream = _stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARMUP):
                body()
        torch.cuda.current_stream().wait_stream(stream)
        return _recorded(body, stream)
    finally:
        torch.backends.cudnn.benchmark = benchmark


def _stream() -> torch.cuda.Stream:
    """Where to record: the present stream, or one of its own where that is the default one.

    Never torch's common stream for recording: a matrix library keeps one scratch buffer a stream,
    and graphs that are replayed side by side must not have theirs in common.
    """
    current = torch.cuda.current_stream()
    if current != torch.cuda.default_stream():
        return current
    return torch.cuda.Stream()  # type: ignore[no-untyped-call]


def _recorded(body: Callable[[], object], stream: torch.cuda.Stream) -> Callable[[], object]:
    graph = torch.cuda.CUDAGraph()
    try:
        with torch.cuda.graph(graph, stream=stream):
            body()
    except torch.cuda.OutOfMemoryError:
        raise
    except RuntimeError as error:
        torch.cuda.synchronize()
        reason = str(error).strip().partition("\n")[0]
        warnings.warn(
            f"a step could not be recorded as a CUDA graph ({reason}); it runs uncaptured, which "
            "is slower",
            RuntimeWarning,
            stacklevel=3,
        )
        return body
    return graph.replay


@dataclass(frozen=True, eq=False)
class _Recording:
    """A recorded step, what it reads, and ``out``, the logits that its last run left."""

    run: Callable[[], object]
    indices: Tensor
    draws: Tensor
    out: list[Tensor]


class CapturedStep:
    """One SGD step on a batch, recorded once per batch size and replayed.

    Args:
        step: whose rate is on the device; where its recording differs from it beyond rounding, it
            runs as it is, as does a step that draws from torch's global generator (dropout).
            Network, momentum and randomness are left as they were by recording.
        precision: that it runs at.
    """

    def __init__(self, step: EagerStep, precision: Precision) -> None:
        self.step = step
        self.precision = precision
        self._recorded: dict[int, _Recording] = {}

    def set_lr(self, lr: float) -> None:
        """The rate of the steps that follow."""
        self.step.set_lr(lr)

    def __call__(self, indices: Tensor, draws: Tensor) -> Tensor:
        """Logits float32 [B, C] of the samples at ``indices`` [B], before the step they lead to."""
        if len(indices) not in self._recorded:
            self._recorded[len(indices)] = self._record(indices, draws)
        recording = self._recorded[len(indices)]
        recording.indices.copy_(indices)
        recording.draws.copy_(draws)
        recording.run()
        return recording.out[0]

    def _record(self, indices: Tensor, draws: Tensor) -> _Recording:
        static_indices, static_draws = indices.clone(), draws.clone()
        out: list[Tensor] = []

        def body() -> None:
            out[:] = [self.step(static_indices, static_draws).float()]

        before = StepState(self.step)

        def record(body: Callable[[], object]) -> Callable[[], object]:
            # all graphs read the state of a device's generator from one place, also those that
            # are replayed side by side
            return body if before.drew else capture(body)

        run = capture_checked(
            body,
            record,
            lambda: [out[0], *before.changes()],
            self.precision,
            f"a training step recorded for {len(indices)} samples",
            before.restore,
        )
        return _Recording(run, static_indices, static_draws, out)
