"""The training step as a CUDA graph: hundreds of small launches become one."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from condense.engine.training.batches import Batcher, channels_last
from condense.engine.training.schedule import Schedule
from condense.interfaces import Augmentation

WARMUP = 3  # eager runs before capture, so that cuDNN and the allocator have settled


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

    The network, its buffers and the momentum are where they were before warm-up.
    """

    def __init__(
        self, network: nn.Module, data: Batcher, schedule: Schedule, augmentation: Augmentation
    ) -> None:
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.data = data
        self.augmentation = augmentation
        self.lr = torch.tensor(schedule.lr, device=data.device)
        self.optimizer = torch.optim.SGD(
            network.parameters(),
            lr=self.lr,
            momentum=schedule.momentum,
            weight_decay=schedule.weight_decay,
            fused=True,
        )
        self._recorded: dict[int, _Recording] = {}

    def set_lr(self, lr: float) -> None:
        self.lr.fill_(lr)

    def __call__(self, indices: Tensor, draws: Tensor) -> Tensor:
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
            inputs, targets = self.data.batch(static_indices)
            inputs = self.augmentation.apply(inputs, static_draws)
            logits = self.network(channels_last(inputs))
            self.optimizer.zero_grad(set_to_none=True)
            F.cross_entropy(logits.float(), targets).backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
            out[:] = [logits.detach().float()]

        state = {k: v.clone() for k, v in self.network.state_dict().items()}
        momentum = {p: b.clone() for p, b in self._momentum().items()}
        run = capture(body)
        self.network.load_state_dict(state)
        for parameter, buffer in self._momentum().items():
            # zero momentum makes the first step a plain one, as a missing buffer does
            buffer.copy_(momentum.get(parameter, torch.zeros_like(buffer)))
        return _Recording(run, static_indices, static_draws, out)

    def _momentum(self) -> dict[Tensor, Tensor]:
        state = self.optimizer.state
        found = {p: state[p].get("momentum_buffer") for p in state}
        return {p: buffer for p, buffer in found.items() if buffer is not None}
