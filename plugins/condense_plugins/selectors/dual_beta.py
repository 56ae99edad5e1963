"""DUAL's sampling: uncertain and difficult, the easier the fewer are kept (arXiv 2502.06905)."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Generator, Tensor

from condense.errors import DataError
from condense.interfaces import Budget, Context, LabeledData, Scores, Selection
from condense.options import Options as BaseOptions
from condense.selection import companion, hardest_first, require
from condense_plugins._built_in import Instant

CONSTANT = 15.0  # C of the paper: how narrow the density is
ANCHORS = 10  # samples of the highest scores, whose mean probability is μ_D, as in their code
EDGE = 1e-3  # probabilities are kept in half precision, in which 0.9995 may be 1
GIVEN_BY = "dual, or another that reads the training dynamics"
NEVER = -1e6  # logarithm of the weight of a sample of score 0: after all others


class DualBetaSelector(Instant):
    """Draws by score × Beta density at the mean probability of the label (DUAL, arXiv 2502.06905).

    "Lightweight Dataset Pruning without Full Training via Example Difficulty and Prediction
    Uncertainty" (Cho et al., ICML 2025, arXiv 2502.06905, section 3.3): without replacement, with
    weights in proportion to s_i · Beta(p̄_i; α_r, β_r), where r is the share that is pruned,

        β_r = C (1 − μ_D)(1 − r^c),   α_r = C + 1 − β_r,   C = 15,

    μ_D the mean of p̄ of the ten samples of the highest score, and c the option ``complexity``
    (form and constants of ``beta_sampling`` in the code that the authors released, which they run
    on CIFAR-100 with ``--c_d 4``). The fewer samples are kept, the more the density prefers those
    that are easy.

    Departures: samples are drawn class by class, with the r of each class; p̄ (the companion
    ``probability`` of the scores) is the mean over all networks and epochs of the pass.
    """

    name: ClassVar[str] = "dual-beta"
    version: ClassVar[str] = "2"
    needs_scores: ClassVar[bool] = True

    class Options(BaseOptions):
        complexity: float = Field(
            4.0,
            ge=0,
            description="c: the larger, the fewer must be kept before the density turns to easy "
            "samples",
        )

    options: Options

    def select(
        self,
        data: LabeledData,
        scores: Scores | None,
        budget: Budget,
        context: Context,
        rng: Generator,
    ) -> Selection:
        """``count`` samples of every class, hardest first.

        Raises:
            OptionError: without scores, or without their companion ``probability``.
            DataError: for a score below 0.
        """
        scores = require(scores, self.name)
        mean = companion(scores, "probability", self.name, GIVEN_BY).double()
        values = scores.values.double()
        if bool((values < 0).any()):
            first = int((values < 0).nonzero()[0])
            raise DataError(
                f"selector '{self.name}' multiplies by scores, which must be at least 0, and "
                f"{scores.estimator} rates sample {first} {float(values[first]):.3g}; set "
                "`scorer=dual`"
            )
        anchor = float(mean[values.topk(min(ANCHORS, len(values))).indices].mean())
        chosen = []
        for label, count in enumerate(budget.counts(data)):
            members = data.class_indices(label)
            pruned = 1 - count / max(len(members), 1)
            shape = beta_shape(pruned, anchor, self.options.complexity)
            weights = values[members].log() + log_beta_density(mean[members], *shape)
            taken = members[_drawn(weights, count, rng)].sort().values
            chosen.append(hardest_first(scores.values, taken))
        return Selection.of_classes(chosen)


def beta_shape(pruned: float, anchor: float, complexity: float) -> tuple[float, float]:
    """α_r and β_r at r = ``pruned``, with μ_D = ``anchor``."""
    beta = CONSTANT * (1 - anchor) * (1 - pruned**complexity)
    beta = max(beta, EDGE)  # a density needs β > 0, which μ_D = 1 is without
    return CONSTANT + 1 - beta, beta


def log_beta_density(at: Tensor, alpha: float, beta: float) -> Tensor:
    """float64 [n]: the logarithm of the density at ``at`` (float64 [n]), but for a constant."""
    inside = at.clamp(EDGE, 1 - EDGE)
    return (alpha - 1) * inside.log() + (beta - 1) * (-inside).log1p()


def _drawn(log_weights: Tensor, count: int, rng: Generator) -> Tensor:
    """int64 [``count``] positions, one after another in proportion to the weights that are left.

    By the ``count`` largest of log w + Gumbel noise, which have that distribution.
    """
    uniform = torch.rand(len(log_weights), generator=rng, dtype=torch.float64)
    noise = -(-uniform.clamp(min=torch.finfo(torch.float64).tiny).log()).log()
    return (log_weights.clamp(min=NEVER) + noise).topk(count).indices
