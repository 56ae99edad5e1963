"""What stored tensors must be before anybody works with them: types, shapes, ranges."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Expected:
    """A stored tensor as its reader needs it.

    Attributes:
        dtype: of the tensor.
        shape: None for a dimension of any size.
        finite: whether NaN and infinities are damage.
        low, high: smallest and largest value allowed, where there are any.
    """

    dtype: torch.dtype
    shape: tuple[int | None, ...]
    finite: bool = True
    low: float | None = None
    high: float | None = None

    def check(self, name: str, tensor: Tensor) -> None:
        """That ``tensor`` is one.

        Raises:
            ValueError: in one line.
        """
        fits = len(tensor.shape) == len(self.shape) and all(
            want in (None, size) for want, size in zip(self.shape, tensor.shape, strict=True)
        )
        if not fits or tensor.dtype != self.dtype:
            shape = ", ".join("any" if n is None else str(n) for n in self.shape)
            raise ValueError(
                f"{name} is {tensor.dtype} of shape {tuple(tensor.shape)}, expected {self.dtype} "
                f"of shape ({shape})"
            )
        if self.finite and not is_finite(tensor):
            raise ValueError(f"{name} has values that are not finite")
        if tensor.numel() and (self.low is not None or self.high is not None):
            low, high = (float(end) for end in tensor.aminmax())
            if (self.low is not None and low < self.low) or (
                self.high is not None and high > self.high
            ):
                raise ValueError(
                    f"{name} has values from {low:g} to {high:g}, expected {self.low} to "
                    f"{self.high}"
                )


def is_finite(tensor: Tensor) -> bool:
    """Whether no element is NaN or infinite; one pass over the memory where all are."""
    if not tensor.is_floating_point():
        return True
    # a sum is finite only if all its terms are; it may overflow although they are
    return bool(tensor.sum().isfinite()) or bool(tensor.isfinite().all())


def check_tensors(
    tensors: Mapping[str, Tensor],
    needed: Mapping[str, Expected],
    optional: Mapping[str, Expected] | None = None,
) -> None:
    """That ``tensors`` are those ``needed``, and no others than ``optional`` ones.

    Raises:
        ValueError: in one line.
    """
    known = {**needed, **(optional or {})}
    for name in needed:
        if name not in tensors:
            raise ValueError(f"{name} is missing")
    for name, tensor in tensors.items():
        if name not in known:
            raise ValueError(f"{name} does not belong there")
        known[name].check(name, tensor)
