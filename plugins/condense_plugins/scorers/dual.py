"""DUAL, difficulty × uncertainty early in training (Cho et al. 2025, arXiv 2502.06905)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field
from torch import Tensor

from condense.interfaces import Dynamics
from condense_plugins.scorers._dynamics import EarlyWindows, companions_of


class DualScorer(EarlyWindows):
    """Difficulty × uncertainty over windows of early epochs (DUAL, arXiv 2502.06905).

    With p_t the probability of the right class in epoch t, of the first T epochs (``until``), and
    windows of J of them (``window``):

        p̄_k = 1/J · Σ_{j<J} p_{k+j},   U_k = √(1/(J − 1) · Σ_{j<J} (p_{k+j} − p̄_k)²)
        DUAL = 1/(T − J + 1) · Σ_{k=1}^{T−J+1} (1 − p̄_k) · U_k

    High where a sample is being learned, late: neither the easy ones nor those never learned, so
    it is no measure of difficulty. Its companion ``probability`` is the mean over the T epochs, by
    which its authors' sampling goes.

    Departures: the mean over several networks instead of one. T = 30 of the paper's 200 epochs are
    those of a high learning rate; here they are most of a training whose rate falls to 0 over
    ``epochs``. Where there are fewer epochs than ``until`` or ``window``, all there are count. The
    factor 10 of the released code, which ranks nothing differently, is left out.
    """

    name: ClassVar[str] = "dual"
    version: ClassVar[str] = "2"

    class Options(EarlyWindows.Options):
        least: ClassVar[int] = 2
        until: int = Field(30, ge=2, description="epochs read, counted from the first")
        window: int = Field(10, ge=2, description="epochs in a window")

    def of_networks(self, dynamics: Dynamics) -> Tensor:
        """float32 [K, N]: the score of each network, in 0–½."""
        until, window = self.windows(dynamics)
        windows = dynamics.probability[:, :until].unfold(1, window, 1)  # [K, W, N, J]
        return ((1 - windows.mean(dim=-1)) * windows.std(dim=-1)).mean(dim=1)

    def companions(self, dynamics: Dynamics) -> Mapping[str, Tensor]:
        """The probability of the epochs that are read; the margin of all."""
        until, _ = self.windows(dynamics)
        early = dynamics.probability[:, :until].mean(dim=(0, 1))
        return {**companions_of(dynamics), "probability": early}
