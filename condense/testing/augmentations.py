"""What an augmentation promises: randomness in ``draw``, none in ``apply``, sample by sample."""

from __future__ import annotations

import torch
from torch import Tensor

from condense.data import Geometry
from condense.testing.observation import Work
from condense.testing.subject import Subject
from condense.testing.toys import generator

BATCH = 6
COLOUR = Geometry((3, 8, 8), 3, flip=True)
GREY = Geometry((1, 8, 8), 3, flip=False)
FEATURES = Geometry((5,), 3)


def batch(geometry: Geometry, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    """Normalised inputs [B, …] and roles uint8 [B], real and distilled in turn."""
    inputs = torch.randn(BATCH, *geometry.shape, generator=generator(6), dtype=dtype)
    return inputs, (torch.arange(BATCH) % 2).to(torch.uint8)


def augment(subject: Subject, geometry: Geometry, seed: int = 0) -> tuple[Tensor, Tensor]:
    """(draws, changed inputs) of one batch."""
    inputs, role = batch(geometry)
    component = subject.create()
    draws: Tensor = component.draw(role, geometry, generator(seed))
    return draws, component.apply(inputs, draws)


def work(subject: Subject, seed: int) -> Work:
    """Drawing for and changing a batch of colour images."""
    inputs, role = batch(COLOUR)

    def call() -> dict[str, Tensor]:
        component = subject.create()
        draws = component.draw(role, COLOUR, generator(seed))
        return {"draws": draws, "inputs": component.apply(inputs, draws)}

    return Work({"inputs": inputs, "role": role}, call)


def check_draws_have_one_row_per_sample(subject: Subject) -> None:
    """float32 [..., B, P] for roles [..., B], with the same P each time."""
    for geometry in (COLOUR, GREY, FEATURES):
        flat = subject.create().draw(batch(geometry)[1], geometry, generator())
        many = subject.create().draw(batch(geometry)[1].expand(4, BATCH), geometry, generator())
        for draws, lead in ((flat, (BATCH,)), (many, (4, BATCH))):
            subject.require(
                isinstance(draws, Tensor)
                and draws.dtype == torch.float32
                and draws.shape == (*lead, flat.shape[-1]),
                f"drew {getattr(draws, 'dtype', type(draws).__name__)} "
                f"{tuple(getattr(draws, 'shape', ()))} for roles {lead} of samples "
                f"{geometry.shape}, expected float32 {(*lead, 'P')}",
            )


def check_shape_and_type_are_kept(subject: Subject) -> None:
    """Grey, colour and float64 images come back as they were, and finite."""
    for geometry, dtype in (
        (COLOUR, torch.float32),
        (GREY, torch.float32),
        (COLOUR, torch.float64),
    ):
        inputs, role = batch(geometry, dtype)
        component = subject.create()
        out = component.apply(inputs, component.draw(role, geometry, generator()))
        subject.require(
            out.shape == inputs.shape and out.dtype == inputs.dtype,
            f"turned {dtype} {tuple(inputs.shape)} into {out.dtype} {tuple(out.shape)}",
        )
        subject.require(
            bool(torch.isfinite(out).all()), f"made values that are not finite of {geometry.shape}"
        )


def check_features_pass_unchanged(subject: Subject) -> None:
    """Augmentation is for images; features [B, D] come back equal."""
    inputs, _ = batch(FEATURES)
    _, out = augment(subject, FEATURES)
    subject.require(torch.equal(out, inputs), "changed features [B, D]; only images are changed")


def check_equal_draws_give_equal_changes(subject: Subject) -> None:
    """``apply`` has no randomness of its own, so that a step can be replayed."""
    inputs, role = batch(COLOUR)
    component = subject.create()
    draws = component.draw(role, COLOUR, generator())
    first = component.apply(inputs, draws)
    component.draw(role, COLOUR, generator(1))
    second = component.apply(inputs, draws)
    subject.require(
        torch.equal(first, second),
        "changes a batch differently for equal draws; all randomness belongs into draw",
    )


def check_samples_are_changed_one_by_one(subject: Subject) -> None:
    """In another order, the same samples with the same draws: each is changed on its own."""
    inputs, role = batch(COLOUR)
    component = subject.create()
    draws = component.draw(role, COLOUR, generator())
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    together = component.apply(inputs, draws)[order]
    apart = component.apply(inputs[order], draws[order])
    subject.require(
        torch.allclose(together, apart, atol=1e-5),
        "changes a sample differently when the batch is in another order; what happens to a "
        "sample must follow its draws and role, not its position",
    )


def check_gradient_passes_through(subject: Subject) -> None:
    """``apply`` is differentiable in its inputs: float64 gradients are those of differences."""
    inputs, role = batch(GREY, torch.float64)
    component = subject.create()
    draws = component.draw(role, GREY, generator())
    inputs = inputs[:2, :, :4, :4] if not draws.shape[-1] else inputs[:2]
    inputs = inputs.clone().requires_grad_()
    weight = torch.randn(inputs.shape, generator=generator(7), dtype=torch.float64)

    def loss(values: Tensor) -> Tensor:
        total: Tensor = (component.apply(values, draws[:2]) * weight).sum()
        return total

    try:
        (gradient,) = torch.autograd.grad(loss(inputs), inputs)
    except RuntimeError as error:
        raise subject.failed(f"is not differentiable in its inputs: {error}") from error
    direction = torch.randn(inputs.shape, generator=generator(8), dtype=torch.float64)
    tiny = 1e-6
    with torch.no_grad():
        slope = (loss(inputs + tiny * direction) - loss(inputs - tiny * direction)) / (2 * tiny)
    along = (gradient * direction).sum()
    subject.require(
        abs(float(slope - along)) <= 1e-4 * (1 + abs(float(slope))),
        f"has gradient {float(along):.6g} along a direction in which the output changes by "
        f"{float(slope):.6g}",
    )


def check_draws_come_from_the_generator(subject: Subject) -> None:
    """Equal generators, equal draws; another seed, other draws (where there are any)."""
    first, again = augment(subject, COLOUR)[0], augment(subject, COLOUR)[0]
    subject.require(torch.equal(first, again), "draws differently from equal generators")
    others = [augment(subject, COLOUR, seed)[0] for seed in (1, 2, 3)]
    subject.require(
        first.shape[-1] == 0 or any(not torch.equal(first, other) for other in others),
        "draws the same from every generator; is the rng used?",
    )
