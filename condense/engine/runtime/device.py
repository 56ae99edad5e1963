"""Which device a run uses."""

from __future__ import annotations

import torch

from condense.errors import OptionError


def pick_device(name: str | None = None) -> torch.device:
    """The device called ``name``, or the first CUDA device, or the CPU.

    Raises:
        OptionError: if there is no such device here.
    """
    if name in (None, "auto"):
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(str(name))
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError):
        here = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
        raise OptionError(
            f"device '{name}' is not available (available: {', '.join(here)})"
        ) from None
    if device.type == "cuda":
        torch.cuda.set_device(device)  # streams and graphs are made on the present device
    return device
