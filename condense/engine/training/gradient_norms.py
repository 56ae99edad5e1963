"""How long the gradient of each sample's loss is: in closed form for the last layer, or in full."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn import functional as F

from condense.engine.runtime.precision import numeric_precision
from condense.engine.training.loop import evaluating, predict_batches

NUMBERS_AT_ONCE = 2**24  # of the gradients of as many samples as are worked on together


def last_linear(network: nn.Module) -> nn.Linear | None:
    """The last linear layer of ``network``, if it has any."""
    linear = [module for module in network.modules() if isinstance(module, nn.Linear)]
    return linear[-1] if linear else None


def predict_with_inputs(
    network: nn.Module, batches: Iterable[Tensor], device: torch.device
) -> tuple[Tensor, Tensor]:
    """Logits float32 [N, C] in eval mode, and √(‖h‖² + 1) of what goes into the last layer.

    With it, h, and a bias, whose input is 1, the gradient of a sample's loss by weight and bias of
    that layer is (softmax − onehot) ⊗ (h, 1). Without a bias there is no 1.

    Args:
        network: any.
        batches: of inputs as it sees them, N samples in all, on ``device``.
        device: of the network.

    Returns:
        the logits, and float32 [N], NaN where they are not the output of a linear layer.
    """
    lengths, outputs = [], []

    def look(module: nn.Module, given: tuple[Tensor, ...], output: Tensor) -> None:
        lengths.append(given[0].flatten(1).float().square().sum(1))
        outputs.append(output.float())

    linear = last_linear(network)
    hook = None if linear is None else linear.register_forward_hook(look)
    try:
        logits = predict_batches(network, batches, device)
    finally:
        if hook is not None:
            hook.remove()
    if linear is None or not outputs or not torch.equal(torch.cat(outputs), logits):
        return logits, logits.new_full((len(logits),), torch.nan)
    return logits, (torch.cat(lengths) + (linear.bias is not None)).sqrt()


def gradients_at_once(network: nn.Module) -> int:
    """Samples whose gradients fit into memory together."""
    return max(1, NUMBERS_AT_ONCE // sum(p.numel() for p in network.parameters()))


def full_gradient_norms(
    network: nn.Module, batches: Iterable[tuple[Tensor, Tensor]], device: torch.device
) -> Tensor:
    """Norm of the gradient of each sample's cross-entropy by all parameters, in eval mode.

    Args:
        network: any.
        batches: inputs as it sees them and labels int64, on ``device``.
        device: of the network.

    Returns:
        float32 [N].
    """
    parameters = {name: p.detach() for name, p in network.named_parameters()}
    buffers = dict(network.named_buffers())

    def loss(at: dict[str, Tensor], one: Tensor, label: Tensor) -> Tensor:
        logits = functional_call(network, (at, buffers), (one[None],))
        return F.cross_entropy(logits.float(), label[None])

    gradients = vmap(grad(loss), in_dims=(None, 0, 0))
    size, parts = gradients_at_once(network), []
    with evaluating(network), numeric_precision("fp32", device):
        for inputs, labels in batches:
            for part in zip(*(torch.split(t, size) for t in (inputs, labels)), strict=True):
                found = gradients(parameters, *part).values()
                parts.append(torch.stack([g.flatten(1).norm(dim=1) for g in found]).norm(dim=0))
    return torch.cat(parts)
