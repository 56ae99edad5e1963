"""A small student, its steps and a rollout in float64, and the truth they are held against."""

from dataclasses import dataclass, replace
from types import SimpleNamespace

import pytest
import torch
from torch.nn import functional as F

from condense.engine.training.batches import initial_set
from condense.interfaces import Geometry, Selection
from condense.options import AugmentationSpec, NetworkSpec
from condense_plugins.matchers.trajectory.gradient import Batch, EagerSteps, Rollout
from condense_plugins.matchers.trajectory.matcher import draw_batches
from condense_plugins.matchers.trajectory.student import Student, flatten

CLASSES = 3


def plain_logits(parameters, inputs, norm):
    """The networks of these tests, written out; ``parameters`` by name."""
    x, number = inputs, 0
    if inputs.dim() == 2 or norm == "mlp":
        x = x.flatten(1)
        while f"features.{number + 1}.weight" in parameters:
            number += 1
            weight, bias = (parameters[f"features.{number}.{p}"] for p in ("weight", "bias"))
            x = (x @ weight.T + bias).relu()
            number += 1
    while f"features.{number}.weight" in parameters:
        weight, bias = (parameters[f"features.{number}.{p}"] for p in ("weight", "bias"))
        x = F.conv2d(x, weight, bias, padding=1)
        scale, offset = (parameters[f"features.{number + 1}.{p}"] for p in ("weight", "bias"))
        axes = (0, 2, 3) if norm == "batch" else (2, 3)
        x = x - x.mean(axes, keepdim=True)
        x = x / (x.square().mean(axes, keepdim=True) + 1e-5).sqrt()
        x = (x * scale[:, None, None] + offset[:, None, None]).relu()
        x = (x[..., ::2, :] + x[..., 1::2, :]) / 2
        x = (x[..., ::2] + x[..., 1::2]) / 2
        number += 4
    return x.flatten(1) @ parameters["classifier.weight"].T + parameters["classifier.bias"]


def plain_loss(parameters, inputs, labels, norm):
    log_probabilities = plain_logits(parameters, inputs, norm).log_softmax(1)
    if torch.is_tensor(labels):  # a distribution over the classes for each sample
        return -(labels * log_probabilities).sum() / len(labels)
    return -sum(log_probabilities[i, y] for i, y in enumerate(labels)) / len(labels)


@pytest.fixture
def plain():
    """``logits`` and ``loss`` of networks written out."""
    return SimpleNamespace(logits=plain_logits, loss=plain_loss)


@pytest.fixture
def small_set(tiny_images):
    """A function that makes a set of three samples a class, the first real, others distilled."""

    def make(roles=(0, 1, 1), classes=(0, 1, 2), dtype=torch.float64):
        none = torch.empty(0).long()
        chosen = [tiny_images.class_indices(c)[:3] if c in classes else none for c in range(3)]
        distilled = torch.tensor(roles * len(classes)).bool()
        made = initial_set(tiny_images, Selection.of_classes(chosen), distilled, float("nan"))
        return replace(made, inputs=made.inputs.to(dtype))

    return make


@dataclass
class Case:
    """One rollout, its steps, and all that the plain loop needs."""

    steps: EagerSteps
    rollout: Rollout
    names: list
    shapes: list
    norm: str

    @property
    def inputs(self):
        return self.steps.inputs

    def by_name(self, vector):
        sizes = [shape.numel() for shape in self.shapes]
        parts = vector.split(sizes)
        return {
            name: part.reshape(shape).clone()
            for name, part, shape in zip(self.names, parts, self.shapes, strict=True)
        }

    def plain_labels(self, batch, logits):
        """Of a batch: whole numbers, or probabilities where there are label logits."""
        if logits is None:
            return [int(self.steps.labels[i]) for i in batch.indices]
        rows = torch.stack([logits[i] for i in batch.indices.tolist()])
        return rows.exp() / rows.exp().sum(1, keepdim=True)

    def plain_end(self, inputs, eta, create_graph, logits=None):
        """Parameters by name at the end of a rollout over ``inputs`` with step size ``eta``."""
        theta = {k: v.requires_grad_() for k, v in self.by_name(self.rollout.start).items()}
        for batch in self.rollout.batches:
            raw = torch.stack([inputs[i] for i in batch.indices.tolist()])
            augmented = self.steps.augmentation.apply(raw, batch.draws)
            labels = self.plain_labels(batch, logits)
            loss = plain_loss(theta, augmented, labels, self.norm)
            gradient = torch.autograd.grad(loss, theta.values(), create_graph=create_graph)
            theta = {k: v - eta * g for (k, v), g in zip(theta.items(), gradient, strict=True)}
            if not create_graph:
                theta = {k: v.detach().requires_grad_() for k, v in theta.items()}
        return theta

    def plain(self, inputs=None, eta=None, create_graph=False):
        """(loss, dL/dinputs, dL/deta) by differentiating through the whole plain loop; and
        dL/dlogits where labels are learned."""
        logits = self.steps.label_logits
        learned = [] if logits is None else [logits.clone().requires_grad_()]
        inputs = (self.inputs if inputs is None else inputs).clone().requires_grad_()
        eta = (self.rollout.step_size if eta is None else eta).clone().requires_grad_()
        end = self.plain_end(inputs, eta, create_graph, *learned)
        start, target = self.by_name(self.rollout.start), self.by_name(self.rollout.target)
        miss = sum((end[k] - target[k]).square().sum() for k in end)
        way = sum((start[k] - target[k]).square().sum() for k in end)
        loss = miss / way
        if not create_graph:
            return loss.detach()
        return (loss.detach(), *torch.autograd.grad(loss, (inputs, eta, *learned)))


@pytest.fixture
def make_case(context):
    """A function that makes a :class:`Case`."""

    def make(
        network="batch",
        augmentation="none",
        *,
        channels=3,
        side=8,
        width=4,
        samples=7,
        batch_size=3,
        steps=4,
        batches=None,
        eta=0.3,
        dtype=torch.float64,
        soft=False,
        **options,
    ):
        rng = torch.Generator().manual_seed(5)
        geometry = Geometry((channels, side, side), CLASSES, flip=True)
        if network == "mlp":
            spec = NetworkSpec.of("mlp", width=width, depth=2)
        else:
            spec = NetworkSpec.of("convnet", width=width, depth=2, norm=network)
        module = context.network(spec, geometry, rng).to(dtype)
        inputs = torch.randn(samples, *geometry.shape, generator=rng, dtype=dtype)
        labels = torch.arange(samples) % CLASSES
        role = (torch.arange(samples) % 2).to(torch.uint8)
        augment = context.augmentation(AugmentationSpec.of(augmentation, **options))
        if batches is None:
            batches = draw_batches(samples, batch_size, steps, rng)
        drawn = [
            Batch(index, augment.draw(role[index], geometry, rng))
            for index in (torch.as_tensor(b) for b in batches)
        ]
        start = flatten(module)
        target = start + 0.1 * torch.randn(len(start), generator=rng, dtype=dtype)
        logits = torch.randn(samples, CLASSES, generator=rng, dtype=dtype) if soft else None
        rollout = Rollout(start, target, torch.tensor(eta, dtype=dtype), drawn)
        named = dict(module.named_parameters())
        return Case(
            EagerSteps(Student(module), augment, inputs, labels, logits),
            rollout,
            list(named),
            [p.shape for p in named.values()],
            network,
        )

    return make
