"""Mean and standard deviation that images are normalised with."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from condense.data import Normalization
from condense.options import Options

Norm = Literal["own", "selmatch"]
_SELMATCH = Normalization((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010))


class NormOptions(Options):
    """Of data sets whose images can be normalised as the released code does."""

    norm: Norm = Field(
        "own",
        description="mean and std: own = of the training split, selmatch = the constants of the "
        "released code (CIFAR-10's, also for CIFAR-100)",
    )


def normalization(norm: Norm) -> Normalization | None:
    """The constants that ``norm`` names; None where they are to be those of the data."""
    return _SELMATCH if norm == "selmatch" else None
