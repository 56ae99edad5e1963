"""Numeric precision of a pass: fp32, TF32 tensor cores, or bf16 autocast."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, Literal

import torch

from condense.options import Options, result_options

Precision = Literal["fp32", "tf32", "bf16"]
PrecisionOption = Literal["auto", "fp32", "tf32", "bf16"]


def resolve_precision(option: PrecisionOption, device: torch.device, best: Precision) -> Precision:
    """What ``option`` means on ``device``: ``auto`` is ``best`` on a GPU that has it, else fp32."""
    if option != "auto":
        return option
    if device.type != "cuda" or torch.cuda.get_device_capability(device)[0] < 8:
        return "fp32"
    return best


def auto_means(best: Precision) -> dict[str, Any]:
    """``json_schema_extra`` of a :data:`PrecisionOption`: ``auto`` is ``best`` on GPUs that can."""
    return {"auto_precision": best}


def precision_of(options: Options, device: torch.device) -> Precision:
    """What the option ``precision`` of ``options``, declared with :func:`auto_means`, comes to."""
    precision: Precision = _resolved(options, device)["precision"]
    return precision


def key_options(options: Options, device: torch.device) -> dict[str, Any]:
    """The options that a result on ``device`` depends on, for its cache key.

    ``auto`` is resolved, so that a result in bf16 from a GPU is never taken for one in fp32. Where
    an option does not declare what it means by ``auto`` it stays ``auto``, but for fp32.
    """
    return result_options(options) | _resolved(options, device)


_ANNOTATION: object = PrecisionOption


def _resolved(options: Options, device: torch.device) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, field in type(options).model_fields.items():
        if field.annotation == _ANNOTATION:
            extra = field.json_schema_extra
            best: Any = extra.get("auto_precision", "auto") if isinstance(extra, dict) else "auto"
            found[name] = resolve_precision(getattr(options, name), device, best)
    return found


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
