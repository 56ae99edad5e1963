"""What a network promises: logits of the right shape, from a seed, every parameter in use."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from condense.data import Geometry
from condense.engine.runtime.rng import global_seed
from condense.errors import CondenseError, describe
from condense.testing.observation import Work
from condense.testing.subject import Subject
from condense.testing.toys import generator, modes

BATCH = 4
GEOMETRIES = (
    Geometry((3, 32, 32), 10),
    Geometry((1, 16, 16), 3),
    Geometry((3, 16, 24), 2),
    Geometry((6,), 3),
)


def build(subject: Subject, geometry: Geometry, seed: int = 0) -> nn.Module:
    """A network as the engine makes it: under a seeded global generator, restored afterwards."""
    with global_seed(seed):
        module: nn.Module = subject.create().build(geometry)
    subject.require(
        isinstance(module, nn.Module),
        f"built a {type(module).__name__}, expected a torch.nn.Module",
    )
    return module


def logits_of(module: nn.Module, inputs: Tensor) -> Tensor:
    """Its output as in a training: torch's global generator is seeded, for dropout to draw from."""
    with global_seed(0):
        logits: Tensor = module(inputs)
    return logits


def batch(geometry: Geometry) -> Tensor:
    """Normalised inputs float32 [B, …]."""
    return torch.randn(BATCH, *geometry.shape, generator=generator(9))


def work(subject: Subject, seed: int) -> Work:
    """Building one, and its logits of the first geometry that it accepts, in either mode."""
    inputs = batch(GEOMETRIES[0])

    def call() -> dict[str, Tensor]:
        for geometry in GEOMETRIES:
            try:
                module = build(subject, geometry, seed)
            except CondenseError:
                continue
            given = inputs if geometry is GEOMETRIES[0] else batch(geometry)
            return {"training": logits_of(module, given), "logits": module.eval()(given)}
        return {}

    return Work({"inputs": inputs}, call)


def _accepted(subject: Subject) -> Iterator[tuple[Geometry, nn.Module]]:
    """Each geometry that it takes, with a network; those it refuses must be refused politely."""
    taken = 0
    for geometry in GEOMETRIES:
        try:
            module = build(subject, geometry)
        except CondenseError:
            continue
        except Exception as error:
            raise subject.failed(
                f"raised {describe(error)} for samples of shape {geometry.shape}; expected a "
                "network, or an OptionError that says what it takes"
            ) from error
        taken += 1
        yield geometry, module
    subject.require(taken > 0, f"refuses all of {[g.shape for g in GEOMETRIES]}")


def check_logits_have_one_column_per_class(subject: Subject) -> None:
    """[B, classes] float, finite, for grey, colour, non-square images and features."""
    for geometry, module in _accepted(subject):
        logits = logits_of(module, batch(geometry))
        subject.require(
            tuple(logits.shape) == (BATCH, geometry.classes),
            f"gives logits {tuple(logits.shape)} for {BATCH} samples {geometry.shape} of "
            f"{geometry.classes} classes, expected {(BATCH, geometry.classes)}",
        )
        subject.require(
            bool(torch.isfinite(logits).all()),
            f"gives logits that are not finite for samples {geometry.shape}",
        )


def check_seed_settles_the_start(subject: Subject) -> None:
    """Equal global seeds, equal parameters; another seed, others."""
    for geometry, module in _accepted(subject):
        twin, other = build(subject, geometry), build(subject, geometry, seed=1)
        own = [p.detach() for p in module.parameters()]
        pairs = zip(own, twin.parameters(), strict=True)
        subject.require(
            all(torch.equal(a, b) for a, b in pairs),
            f"starts differently from equal seeds (samples {geometry.shape})",
        )
        others = zip(own, other.parameters(), strict=True)
        subject.require(
            any(not torch.equal(a, b) for a, b in others),
            f"starts the same from every seed (samples {geometry.shape})",
        )


def check_every_parameter_learns(subject: Subject) -> None:
    """A cross-entropy loss has a gradient in every parameter."""
    for geometry, module in _accepted(subject):
        module.train()
        labels = torch.arange(BATCH) % geometry.classes
        loss = nn.functional.cross_entropy(logits_of(module, batch(geometry)), labels)
        named = dict(module.named_parameters())
        subject.require(loss.requires_grad, "has parameters that no loss reaches (none at all)")
        reached = torch.autograd.grad(loss, list(named.values()), allow_unused=True)
        idle = [n for n, g in zip(named, reached, strict=True) if g is None]
        subject.require(
            not idle,
            f"has parameters that no loss reaches ({', '.join(idle)}) for samples {geometry.shape}",
        )


def check_evaluation_looks_at_one_sample_at_a_time(subject: Subject) -> None:
    """In eval mode a sample's logits do not depend on the rest of the batch."""
    for geometry, module in _accepted(subject):
        module.eval()
        inputs = batch(geometry)
        with torch.no_grad():
            together, alone = module(inputs)[:1], module(inputs[:1])
        subject.require(
            torch.allclose(together, alone, atol=1e-4),
            f"gives a sample {geometry.shape} other logits alone than in a batch, in eval mode",
        )


def check_forward_keeps_the_mode(subject: Subject) -> None:
    """A forward pass leaves every module in the mode, train or eval, that it was put in."""
    for geometry, module in _accepted(subject):
        for training in (True, False):
            module.train(training)
            logits_of(module, batch(geometry))
            moved = [n or "itself" for n, mode in modes(module).items() if mode != training]
            subject.require(
                not moved,
                f"is put in {'train' if training else 'eval'} mode, and after a forward pass of "
                f"samples {geometry.shape} not all of it is ({', '.join(moved)})",
            )
