"""Numeric precision of a pass: fp32, TF32 tensor cores, or bf16 autocast."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Literal

import torch

Precision = Literal["fp32", "tf32", "bf16"]
PrecisionOption = Literal["auto", "fp32", "tf32", "bf16"]


def resolve_precision(option: PrecisionOption, device: torch.device, best: Precision) -> Precision:
    """What ``option`` means on ``device``: ``auto`` is ``best`` on a GPU that has it, else fp32."""
    if option != "auto":
        return option
    if device.type != "cuda" or torch.cuda.get_device_capability(device)[0] < 8:
        return "fp32"
    return best


@contextlib.contextmanager
def numeric_precision(precision: Precision, device: torch.device) -> Iterator[None]:
    """Run the inside at ``precision``; the process-wide switches are put back afterwards."""
    matmul = torch.backends.cuda.matmul.allow_tf32
    conv = torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = precision != "fp32"
    torch.backends.cudnn.allow_tf32 = precision != "fp32"
    try:
        # no cache: weights change inside this context, a cached cast of them would be stale
        with torch.autocast(
            device.type, torch.bfloat16, enabled=precision == "bf16", cache_enabled=False
        ):
            yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = matmul
        torch.backends.cudnn.allow_tf32 = conv
