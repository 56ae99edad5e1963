"""Distribution matching (DM): class means of embeddings by random networks.

Zhao and Bilen, Dataset Condensation with Distribution Matching, WACV 2023 (arXiv 2110.04181).
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Generator, Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from condense.engine.feature_space.features import inputs_of_last_linear
from condense.engine.runtime.precision import numeric_precision, precision_of
from condense.engine.training.batches import channels_last, class_means
from condense.interfaces import MatchStep, SyntheticSet
from condense.traits import MatcherTraits
from condense_plugins.matchers._siamese import ADVICE, SiameseMatcher, SiameseOptions

PASS = 2000  # samples of the set whose activations are kept at once


class DistributionMatcher(SiameseMatcher):
    """Moves the class means of the set's embeddings to those of the data (DM, arXiv 2110.04181).

    The loss of its Algorithm 1: Σ_c ‖ mean ψ_ϑ(A(x, ω_c)) − mean ψ_ϑ(A(s, ω_c)) ‖², the means over
    a batch of real samples x and over all samples s of class c. ψ is what goes into the last
    linear layer of a network whose weights ϑ are random, drawn anew in every iteration; A is the
    augmentation, with one draw ω_c for both sides.

    Departures: the set starts at the selection, never at noise; samples that an update policy
    leaves real are part of the means, and stay where they are; of a class with fewer real samples
    than asked all are taken. Labels say which class a sample belongs to and have no gradient, so
    that they cannot be learned. With batch norm all classes pass as one batch, as in the released
    code; else a few at a time, which keeps memory low.
    """

    name: ClassVar[str] = "distribution"
    version: ClassVar[str] = "1"
    traits: ClassVar[MatcherTraits] = MatcherTraits(ADVICE, learns_labels=False)

    class Options(SiameseOptions):
        """Nothing of its own."""

    def step(self, synthetic: SyntheticSet, rng: Generator) -> MatchStep:
        """Loss and gradient for one random network.

        Args:
            synthetic: the set.
            rng: CPU generator; draws real samples, augmentation and network.
        """
        inputs, labels = synthetic.inputs, synthetic.labels
        real, real_labels = self.draw_real(synthetic, rng)
        changes = self.draw_changes(rng)
        network = self.fresh_network(inputs, rng).requires_grad_(False)

        def means(samples: Tensor, of: Tensor) -> Tensor:
            changed = self.change(samples, changes[of])
            return class_means(embedded(network, changed).to(inputs.dtype), of, len(changes))

        total, moved = inputs.new_zeros(()), torch.zeros_like(inputs)
        with numeric_precision(precision_of(self.options, inputs.device), inputs.device):
            for classes in passes(labels, network):
                rows, others = (torch.isin(of, classes) for of in (labels, real_labels))
                leaf = inputs[rows].requires_grad_()
                with torch.no_grad():
                    target = means(real[others], real_labels[others])
                with torch.enable_grad():
                    loss = (means(leaf, labels[rows]) - target).square().sum()
                (moved[rows],) = torch.autograd.grad(loss, leaf)
                total += loss.detach()
        return MatchStep(total, moved)


def passes(labels: Tensor, network: nn.Module) -> list[Tensor]:
    """The classes among ``labels`` that pass through ``network`` together, int64 [≤ classes] each.

    All of them where a batch norm ties them together; else about :data:`PASS` samples.
    """
    counts = torch.bincount(labels)
    classes = torch.nonzero(counts).flatten()
    if any(isinstance(module, _BatchNorm) for module in network.modules()):
        return [classes]
    part = (counts[classes].cumsum(0) - 1) // PASS
    return [classes[part == number] for number in sorted(set(part.tolist()))]


def embedded(network: nn.Module, inputs: Tensor) -> Tensor:
    """What goes into the last linear layer of ``network``, float [B, D].

    Raises:
        OptionError: if it has none.
    """
    with inputs_of_last_linear(network) as seen:
        network(channels_last(inputs))
    return seen[-1].flatten(1)
