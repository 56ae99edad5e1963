"""TDDS, temporal dual-depth scoring (Zhang et al. 2024, arXiv 2311.13613)."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from condense.interfaces import Dynamics
from condense_plugins.scorers._dynamics import EarlyWindows


class TddsScorer(EarlyWindows):
    """How much the change of a sample's softmax between epochs varies (TDDS, arXiv 2311.13613).

    With p_t the whole softmax in epoch t, of the first T epochs (``until``), windows of J of them
    (``window``) and β (``decay``), as its authors' released code has it:

        inner depth   d_t = Σ_c |p_{t+1,c} · log(p_{t+1,c} / p_{t,c})|
        outer depth   R_k = ‖d_k − d̄_k, …, d_{k+J−2} − d̄_k‖₂, the J − 1 changes within a window
        TDDS = Σ_{k=1}^{T−J+1} β · (1 − β)^{T−J+1−k} · R_k

    The paper motivates it as the variance of a sample's share in the accumulated gradient. It is
    no measure of difficulty: what is never learned changes as little as what is known at once.

    Departures: the mean over several networks instead of one. The log-softmax is exact, where the
    released code adds 1e-8 inside the logarithm. Where there are fewer epochs than ``until`` or
    ``window``, all there are count. T and J were chosen by the share kept, out of 200 epochs: the
    defaults are those for 10 %, as condensed sets are that small or smaller; 20 and 10 for 20 %,
    60 and 20 for 30 %, 70 and 10 for 50 % (the pairs that DUAL's released code compares with). The
    paper keeps the highest scores of all, the method ``tdds`` those of each class.
    """

    name: ClassVar[str] = "tdds"
    version: ClassVar[str] = "2"

    class Options(EarlyWindows.Options):
        least: ClassVar[int] = 3
        until: int = Field(10, ge=3, description="epochs read, counted from the first")
        window: int = Field(5, ge=3, description="epochs in a window")
        decay: float = Field(
            0.9, gt=0, le=1, description="weight of the last window; each before has 1 − it of that"
        )

    options: Options

    def of_networks(self, dynamics: Dynamics) -> Tensor:
        """float32 [K, N]: the score of each network, in nats."""
        until, window = self.windows(dynamics)
        # T epochs have T − 1 changes, windows of J epochs J − 1
        windows = dynamics.change[:, : until - 1].unfold(1, window - 1, 1)
        spread = (windows - windows.mean(dim=-1, keepdim=True)).norm(dim=-1)  # [K, W, N]
        count, decay = spread.shape[1], self.options.decay
        weights = decay * (1 - decay) ** torch.arange(count - 1, -1, -1)
        return torch.einsum("w,kwn->kn", weights.to(spread), spread)
