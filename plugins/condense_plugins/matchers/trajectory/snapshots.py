"""Snapshots of an expert: kept while it trains, packed for the store."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from condense.engine.runtime.expected import Expected
from condense_plugins.matchers.trajectory.options import ExpertDtype
from condense_plugins.matchers.trajectory.student import flatten


class Snapshots:
    """Keeps the parameters after every epoch, without holding the training up.

    Args:
        network: in training; its parameters of now are the first snapshot.
        epochs: how many more will come.
    """

    def __init__(self, network: nn.Module, epochs: int) -> None:
        self.network = network
        first = flatten(network)
        # one block in main memory; page-locked, so that a GPU copies into it on its own
        self._kept = torch.empty(epochs + 1, len(first), pin_memory=first.is_cuda)
        self._copies = torch.cuda.Stream(first.device) if first.is_cuda else None  # type: ignore[no-untyped-call]
        self._keep(0, first)

    def _keep(self, epoch: int, vector: Tensor) -> None:
        # flatten() is a new vector: no snapshot shares memory with the live weights
        if self._copies is None:
            self._kept[epoch] = vector
            return
        self._copies.wait_stream(torch.cuda.current_stream(vector.device))
        with torch.cuda.stream(self._copies):
            self._kept[epoch].copy_(vector, non_blocking=True)
        vector.record_stream(self._copies)  # not to be used anew before it is copied

    def on_batch(self, indices: Tensor, logits: Tensor) -> None:
        """Nothing to see inside an epoch."""

    def on_epoch(self, done: int) -> None:
        """Keep the parameters after ``done`` epochs."""
        self._keep(done, flatten(self.network))

    def all(self) -> Tensor:
        """float32 [epochs + 1, P] on the CPU, once every copy is done."""
        if self._copies is not None:
            self._copies.synchronize()
        return self._kept


def packed(trajectory: Tensor, dtype: ExpertDtype) -> dict[str, Tensor]:
    """``trajectory`` float32 [E + 1, P] as it is stored.

    In bf16 the first snapshot stays float32 and each later one is the delta from the one before
    *as it will be read back*: rounding errors are those of one epoch's delta, and do not add up.
    """
    if dtype == "fp32":
        return {"trajectory": trajectory}
    now = trajectory[0].clone()
    deltas = torch.empty(len(trajectory) - 1, len(now), dtype=torch.bfloat16)
    for delta, snapshot in zip(deltas, trajectory[1:], strict=True):
        delta.copy_(snapshot - now)
        now += delta
    return {"first": trajectory[0], "deltas": deltas}


def expected(epochs: int, dtype: ExpertDtype) -> dict[str, Expected]:
    """What :func:`packed` gives of ``epochs``; an expert that diverged is not kept."""
    if dtype == "fp32":
        return {"trajectory": Expected(torch.float32, (epochs + 1, None))}
    return {
        "first": Expected(torch.float32, (None,)),
        "deltas": Expected(torch.bfloat16, (epochs, None)),
    }


def unpacked(stored: dict[str, Tensor]) -> Tensor:
    """The trajectory float32 [E + 1, P] behind :func:`packed`."""
    if "trajectory" in stored:
        return stored["trajectory"]
    trajectory = torch.empty(len(stored["deltas"]) + 1, len(stored["first"]))
    trajectory[0] = stored["first"]
    for epoch, delta in enumerate(stored["deltas"]):
        torch.add(trajectory[epoch], delta, out=trajectory[epoch + 1])
    return trajectory
