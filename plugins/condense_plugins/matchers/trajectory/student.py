"""A network as a pure function of one flat parameter vector."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd


class Student:
    """The loss of ``network`` at any flat vector θ (float [P], order of ``parameters()``).

    Batch norm always uses the batch's own statistics and keeps none, as students do in MTT's
    train mode; dropout is off, since the backward pass must see the forward pass again.

    Args:
        network: its weights do not matter, only its shape; it is copied.
    """

    def __init__(self, network: nn.Module) -> None:
        self.network = _stateless(copy.deepcopy(network))
        parameters = dict(self.network.named_parameters())
        self._names = list(parameters)
        self._shapes = [p.shape for p in parameters.values()]
        self._sizes = [p.numel() for p in parameters.values()]

    @property
    def size(self) -> int:
        """Number of parameters P."""
        return sum(self._sizes)

    def parts(self, theta: Tensor) -> list[Tensor]:
        """The parameters inside ``theta`` [P], as views in ``parameters()`` order."""
        parts = torch.split(theta, self._sizes)
        return [part.view(shape) for part, shape in zip(parts, self._shapes, strict=True)]

    def loss(self, theta: Tensor, inputs: Tensor, targets: Tensor) -> Tensor:
        """Mean cross-entropy of a batch [B, …] at ``theta`` [P].

        Args:
            targets: int64 [B] labels, or float [B, C] soft labels.
        """
        return F.cross_entropy(self.logits(theta, inputs).to(theta.dtype), targets)

    def logits(self, theta: Tensor, inputs: Tensor) -> Tensor:
        """Logits [B, C] of a batch [B, …] at ``theta`` [P]."""
        parameters = dict(zip(self._names, self.parts(theta), strict=True))
        logits: Tensor = functional_call(self.network, parameters, (inputs,))
        return logits


def flatten(network: nn.Module) -> Tensor:
    """All parameters of ``network`` as one new float [P] vector, in ``parameters()`` order."""
    return torch.cat([p.detach().reshape(-1) for p in network.parameters()])


def _stateless(network: nn.Module) -> nn.Module:
    for module in network.modules():
        if isinstance(module, _BatchNorm):
            module.track_running_stats = False
            module.running_mean = module.running_var = module.num_batches_tracked = None
    return without_dropout(network).train()


def without_dropout(network: nn.Module) -> nn.Module:
    """``network`` itself, whose dropout, which would draw from global randomness, is off."""
    for module in network.modules():
        if isinstance(module, _DropoutNd):
            module.p = 0.0
    return network
