"""Gradient matching (DC, DSA): gradients on the set and on the data, along a network's training.

Zhao, Mopuri and Bilen, Dataset Condensation with Gradient Matching, ICLR 2021 (arXiv 2006.05929);
Zhao and Bilen, Dataset Condensation with Differentiable Siamese Augmentation, ICML 2021
(arXiv 2102.08259).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import ClassVar

import torch
from pydantic import Field
from torch import Generator, Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from condense.engine.runtime.precision import numeric_precision, precision_of
from condense.engine.training.batches import channels_last
from condense.interfaces import Context, LabeledData, MatchStep, SyntheticSet
from condense.traits import MatcherTraits
from condense_plugins.matchers._siamese import ADVICE, SiameseMatcher, SiameseOptions
from condense_plugins.matchers.trajectory.matcher import draw_batches
from condense_plugins.matchers.trajectory.student import flatten

NORM_SAMPLES = 16  # of each class, by which batch norms are set (released code)
TINY = 1e-6  # added to the product of two lengths (released code)


class GradientMatcher(SiameseMatcher):
    """Makes the set's gradients point as the data's do, while a network learns the set (DC, DSA).

    The loss of Algorithm 1 of arXiv 2006.05929: Σ_c D(∇_θ ℓ(A(S_c, ω_c); θ), ∇_θ ℓ(A(T_c, ω_c);
    θ)), with D(a, b) the sum over layers and over their output nodes i of 1 − a_i·b_i / (‖a_i‖
    ‖b_i‖). T_c is a batch of real samples of class c, S_c all of the set, A the augmentation with
    one draw for both. θ starts at random; between two iterations it takes steps of plain SGD on the
    set as it then is, and after ``network_iterations`` of them (the outer loop) a fresh network
    takes its place. The network is carried from iteration to iteration and kept in checkpoints.

    As in the released code: biases and the parameters of norms do not count, the loss of all
    classes is one update, and batch norms use the statistics of 16 real samples of each class while
    gradients are taken.

    Departures: the set starts at the selection, never at noise; an iteration is one update of the
    samples, of which the papers make ``network_iterations`` for each of their 1000 networks;
    training between iterations is counted in steps, of which the paper's epochs have one for every
    ``batch_size`` samples; samples that an update policy leaves real are part of S_c and stay where
    they are. Labels may be learned: S_c is then trained towards their softmax.
    """

    name: ClassVar[str] = "gradient"
    version: ClassVar[str] = "1"
    traits: ClassVar[MatcherTraits] = MatcherTraits(
        ADVICE | {"no-finite-loss": "lower matcher.network_lr or matcher.image_lr"}
    )

    class Options(SiameseOptions):
        iterations: int = Field(200, ge=0, description="matching iterations")
        network_iterations: int = Field(
            10, ge=1, description="iterations with one network, before a fresh one takes its place"
        )
        network_steps: int = Field(
            10, ge=0, description="steps of the network on the set between two iterations"
        )
        network_lr: float = Field(0.05, gt=0, description="learning rate of these steps, plain SGD")
        batch_size: int = Field(256, ge=1, description="synthetic samples per such step")

    options: Options

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self._network: nn.Module | None = None
        self._age = 0  # iterations that the network has been used in

    def prepare(self, data: LabeledData, context: Context, rng: Generator) -> None:
        """Put the training split on the device, and a network that :meth:`carry` may fill."""
        super().prepare(data, context, rng)
        self._network = self.fresh_network(torch.empty(0), rng)
        self._age = 0

    def carried(self) -> Mapping[str, Tensor]:
        """The network, float [P], and how many iterations it was used in."""
        return {"network": flatten(self._trained), "age": torch.tensor(self._age)}

    def carry(self, carried: Mapping[str, Tensor]) -> None:
        """Go on with that network."""
        parameters = list(self._trained.parameters())
        parts = torch.split(carried["network"], [p.numel() for p in parameters])
        with torch.no_grad():
            for parameter, part in zip(parameters, parts, strict=True):
                parameter.copy_(part.view_as(parameter))
        self._age = int(carried["age"])

    def step(self, synthetic: SyntheticSet, rng: Generator) -> MatchStep:
        """Loss and gradients at the network of this iteration, fresh or trained further.

        Args:
            synthetic: the set.
            rng: CPU generator; draws networks, batches, augmentations and real samples.
        """
        device = synthetic.inputs.device
        with numeric_precision(precision_of(self.options, device), device):
            if self._age == 0:
                self._network = self.fresh_network(synthetic.inputs, rng)
            else:
                self._train(synthetic, rng)
            step = self._match(synthetic, rng)
        self._age = (self._age + 1) % self.options.network_iterations
        return step

    @property
    def _trained(self) -> nn.Module:
        assert self._network is not None
        return self._network

    def _train(self, synthetic: SyntheticSet, rng: Generator) -> None:
        """The steps of the network between two iterations."""
        o, role = self.options, synthetic.role.cpu()
        parameters = list(self._trained.parameters())
        for index in draw_batches(len(synthetic), o.batch_size, o.network_steps, rng):
            draws, index = self.draw(role[index], rng), index.to(synthetic.inputs.device)
            with torch.enable_grad():
                loss = self._loss(synthetic.inputs[index], targets(synthetic, index), draws)
                gradients = torch.autograd.grad(loss, parameters)
            with torch.no_grad():
                for parameter, gradient in zip(parameters, gradients, strict=True):
                    parameter.add_(gradient, alpha=-o.network_lr)

    def _match(self, synthetic: SyntheticSet, rng: Generator) -> MatchStep:
        """Loss and gradients at the network as it is, one class after the other."""
        real, real_labels = self.draw_real(synthetic, rng)
        changes = self.draw_changes(rng)
        weights = [p for p in self._trained.parameters() if p.dim() > 1]
        total, moved = synthetic.inputs.new_zeros(()), torch.zeros_like(synthetic.inputs)
        logits = synthetic.label_logits
        learned = None if logits is None else torch.zeros_like(logits)
        of_class = [torch.nonzero(real_labels == c).flatten() for c in range(len(changes))]
        some = real[torch.cat([members[:NORM_SAMPLES] for members in of_class])]
        with fixed_norms(self._trained, some), torch.enable_grad():
            for label, members in enumerate(of_class):
                rows = torch.nonzero(synthetic.labels == label).flatten()
                if not len(rows):
                    continue
                draw = changes[label : label + 1]
                loss = self._loss(real[members], real_labels[members], draw)
                goal = torch.autograd.grad(loss, weights)
                leaf = synthetic.inputs[rows].requires_grad_()
                leaves, aims = [leaf], synthetic.labels[rows]
                if logits is not None:
                    leaves.append(logits[rows].requires_grad_())
                    aims = leaves[1].softmax(1)
                loss = self._loss(leaf, aims, draw)
                miss = distance(torch.autograd.grad(loss, weights, create_graph=True), goal)
                total += miss.detach()
                moved[rows], *of_labels = torch.autograd.grad(miss, leaves)
                if learned is not None:
                    (learned[rows],) = of_labels
        return MatchStep(total, moved, learned)

    def _loss(self, inputs: Tensor, aims: Tensor, draws: Tensor) -> Tensor:
        """Mean cross-entropy of ``inputs`` [B, …] under ``draws`` [B, P], or one draw for all."""
        changed = self.change(inputs, draws.expand(len(inputs), -1))
        logits = self._trained(channels_last(changed))
        return F.cross_entropy(logits.to(inputs.dtype), aims)


def targets(synthetic: SyntheticSet, index: Tensor) -> Tensor:
    """What a network is trained towards at ``index``: labels, soft where they are learned."""
    logits = synthetic.label_logits
    return synthetic.labels[index] if logits is None else logits[index].softmax(1)


def distance(one: Sequence[Tensor], other: Sequence[Tensor]) -> Tensor:
    """Σ over layers and their output nodes of 1 − cosine, of gradients by layer [out, …]."""
    total = one[0].new_zeros(())
    for a, b in zip(one, other, strict=True):
        a, b = a.flatten(1), b.flatten(1)
        lengths = torch.linalg.vector_norm(a, dim=1) * torch.linalg.vector_norm(b, dim=1)
        total = total + (1 - (a * b).sum(1) / (lengths + TINY)).sum()
    return total


@contextmanager
def fixed_norms(network: nn.Module, inputs: Tensor) -> Iterator[None]:
    """Inside, the batch norms of ``network`` use the statistics that they have on ``inputs``."""
    norms = [module for module in network.modules() if isinstance(module, _BatchNorm)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the average over all batches, of which there is one
    if norms:
        with torch.no_grad():
            network(channels_last(inputs))
    for norm in norms:
        norm.eval()
    try:
        yield
    finally:
        for norm in norms:
            norm.train()
