"""From stored samples to what a network sees, and back."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from condense.interfaces import (
    LabeledData,
    Normalization,
    Role,
    Selection,
    SyntheticSet,
    TrainingSet,
)


class Batcher:
    """Training samples on a device; a batch is one index operation.

    Args:
        data: samples; images stay uint8 on the device until a batch is drawn.
        device: where batches live.
    """

    def __init__(self, data: TrainingSet, device: torch.device) -> None:
        self.inputs = data.inputs.to(device)
        self.labels = data.labels.to(device)
        soft = data.soft_labels
        self.targets = self.labels if soft is None else soft.to(device)
        self.role = data.role.to(device)
        self.geometry = data.geometry
        self.device = device
        scale = data.normalization
        self._affine = None if scale is None else affine(scale, data.inputs, device)

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Normalised inputs [B, C, H, W] or [B, D] float32 at ``indices`` [B], and what a network
        is trained towards there: labels int64 [B], or soft labels float32 [B, classes]."""
        return self.prepare(self.inputs[indices]), self.targets[indices]

    def in_order(self, batch_size: int = 1000) -> Iterator[tuple[Tensor, Tensor]]:
        """All samples as :meth:`batch` gives them, in turn."""
        places = torch.arange(len(self), device=self.device)
        return map(self.batch, torch.split(places, batch_size))

    def prepare(self, inputs: Tensor) -> Tensor:
        """Stored samples [B, …] as a network sees them."""
        return inputs if self._affine is None else normalise(inputs, *self._affine)


def affine(
    normalization: Normalization, inputs: Tensor, device: torch.device
) -> tuple[Tensor, Tensor]:
    """(mean, 1/std) such that (x − mean)·scale normalises stored values, uint8 or float."""
    unit = 255.0 if inputs.dtype == torch.uint8 else 1.0
    mean = torch.tensor(normalization.mean, dtype=torch.float32, device=device) * unit
    std = torch.tensor(normalization.std, dtype=torch.float32, device=device) * unit
    return mean, 1.0 / std


def normalise(inputs: Tensor, mean: Tensor, scale: Tensor) -> Tensor:
    """uint8 [B, H, W, C] or float [B, D] → normalised float32 [B, C, H, W] or [B, D]."""
    values = (inputs.float() - mean) * scale
    return values.permute(0, 3, 1, 2).contiguous() if inputs.dim() == 4 else values


def channels_last(inputs: Tensor) -> Tensor:
    """Images [B, C, H, W] in the layout that convolutions, norms and pools take without copying.

    One channel has no order; its strides are made to say so, or what follows would be unordered
    too. Features [B, D] are returned as they are.
    """
    if inputs.dim() != 4:
        return inputs
    if inputs.shape[1] > 1:
        return inputs.contiguous(memory_format=torch.channels_last)
    height, width = inputs.shape[2:]
    return inputs.contiguous().as_strided(inputs.shape, (height * width, 1, width, 1))


def network_inputs(data: LabeledData, indices: Tensor) -> Tensor:
    """The samples of ``data`` at ``indices`` as a network sees them, on the CPU."""
    mean, scale = affine(data.normalization, data.inputs, torch.device("cpu"))
    return normalise(data.inputs[indices], mean, scale)


def initial_set(
    data: LabeledData, selection: Selection, distilled: Tensor, step_size: float
) -> SyntheticSet:
    """The set before matching: every sample equal to its source."""
    role = torch.where(distilled, int(Role.DISTILLED), int(Role.REAL)).to(torch.uint8)
    return SyntheticSet(
        network_inputs(data, selection.indices),
        selection.labels.clone(),
        role,
        selection.indices.clone(),
        torch.tensor(step_size, dtype=torch.float32),
    )


def to_pixels(inputs: Tensor, normalization: Normalization) -> Tensor:
    """Normalised [M, C, H, W] → uint8 [M, H, W, C], rounded and clamped to the pixel range."""
    return (_pixels(inputs, normalization) * 255).round().clamp(0, 255).to(torch.uint8)


def largest_magnitude(inputs: Tensor, normalization: Normalization) -> float:
    """Greatest size of a pixel of [M, C, H, W], in units of the pixel range (1 = white)."""
    pixels = _pixels(inputs, normalization)
    return float(pixels.abs().max()) if pixels.numel() else 0.0


def _pixels(inputs: Tensor, normalization: Normalization) -> Tensor:
    """Normalised [M, C, H, W] → float32 [M, H, W, C] on the CPU, 0 = black and 1 = white."""
    mean = torch.tensor(normalization.mean, dtype=torch.float32)
    std = torch.tensor(normalization.std, dtype=torch.float32)
    return inputs.detach().cpu().permute(0, 2, 3, 1) * std + mean


def class_means(inputs: Tensor, labels: Tensor, classes: int) -> Tensor:
    """float [classes, D], the mean of the flattened ``inputs`` [N, …] of each class.

    Differentiable in ``inputs``; 0 for a class without samples. ``labels`` are int64 [N].
    """
    member = one_hot(labels, classes).to(inputs.dtype)  # [N, classes]
    return (member / member.sum(0).clamp(min=1)).T @ inputs.flatten(1)
