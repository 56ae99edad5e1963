"""The training step as a CUDA graph: hundreds of small launches become one."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from condense.engine.schedule import Schedule
from condense.engine.tensors import Batcher, channels_last
from condense.interfaces import Augmentation

WARMUP = 3  # eager runs before capture, so that cuDNN and the allocator have settled


def capture(body: Callable[[], object]) -> torch.cuda.CUDAGraph:
    """``body`` warmed up on a side stream, then recorded.

    cuDNN's benchmark mode is off while recording: its search cannot run inside a capture.
    """
    benchmark = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = False
    try:
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARMUP):
                body()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            body()
    finally:
        torch.backends.cudnn.benchmark = benchmark
    return graph


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
        self._recorded: dict[int, tuple[torch.cuda.CUDAGraph, Tensor, Tensor, Tensor]] = {}

    def set_lr(self, lr: float) -> None:
        self.lr.fill_(lr)

    def __call__(self, indices: Tensor, draws: Tensor) -> Tensor:
        if len(indices) not in self._recorded:
            self._recorded[len(indices)] = self._record(indices, draws)
        graph, static_indices, static_draws, logits = self._recorded[len(indices)]
        static_indices.copy_(indices)
        static_draws.copy_(draws)
        graph.replay()
        return logits

    def _record(
        self, indices: Tensor, draws: Tensor
    ) -> tuple[torch.cuda.CUDAGraph, Tensor, Tensor, Tensor]:
        static_indices, static_draws = indices.clone(), draws.clone()
        out: list[Tensor] = []

        def body() -> None:
            inputs, labels = self.data.batch(static_indices)
            inputs = self.augmentation.apply(inputs, static_draws)
            logits = self.network(channels_last(inputs))
            self.optimizer.zero_grad(set_to_none=True)
            F.cross_entropy(logits.float(), labels).backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
            out[:] = [logits.detach().float()]

        state = {k: v.clone() for k, v in self.network.state_dict().items()}
        momentum = {p: b.clone() for p, b in self._momentum().items()}
        graph = capture(body)
        self.network.load_state_dict(state)
        for parameter, buffer in self._momentum().items():
            # zero momentum makes the first step a plain one, as a missing buffer does
            buffer.copy_(momentum.get(parameter, torch.zeros_like(buffer)))
        return graph, static_indices, static_draws, out[0]

    def _momentum(self) -> dict[Tensor, Tensor]:
        state = self.optimizer.state
        found = {p: state[p].get("momentum_buffer") for p in state}
        return {p: buffer for p, buffer in found.items() if buffer is not None}
