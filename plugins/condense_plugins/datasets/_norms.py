"""Mean and standard deviation that images are normalised with."""

from __future__ import annotations

from typing import Literal

from condense.data import Normalization

Norm = Literal["own", "selmatch"]
NORM_HELP = (
    "mean and std: own = of the training split, selmatch = the constants of the released code "
    "(CIFAR-10's, also for CIFAR-100)"
)
_SELMATCH = Normalization((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010))


def normalization(norm: Norm) -> Normalization | None:
    """The constants that ``norm`` names; None where they are to be those of the data."""
    return _SELMATCH if norm == "selmatch" else None
