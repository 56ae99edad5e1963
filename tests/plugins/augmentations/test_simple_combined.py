"""Crop and flip, the combination by role, and no augmentation at all."""

import pytest
import torch

from condense.interfaces import Geometry, Role
from condense_plugins.augmentations import _warp
from condense_plugins.augmentations.combined import CombinedAugmentation
from condense_plugins.augmentations.dsa import DsaAugmentation
from condense_plugins.augmentations.none import NoAugmentation
from condense_plugins.augmentations.simple import SimpleAugmentation

COLOUR = Geometry((3, 32, 32), 10)
DIGITS = Geometry((1, 8, 8), 10, flip=False)
ALL = [DsaAugmentation, SimpleAugmentation, CombinedAugmentation, NoAugmentation]


def make(augmentation, **options):
    return augmentation(augmentation.Options(**options))


def roles(n, value=Role.REAL):
    return torch.full((n,), int(value), dtype=torch.uint8)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_simple_equals_pad_slice_and_flip():
    simple, x = make(SimpleAugmentation), torch.randn(40, 3, 32, 32, dtype=torch.float64)
    draws = simple.draw(roles(40), COLOUR, seeded())
    result = simple.apply(x, draws)
    padded = torch.nn.functional.pad(x, (4, 4, 4, 4))
    for i in range(40):
        dx, dy = int(draws[i, _warp.TX]) + 4, int(draws[i, _warp.TY]) + 4
        mirrored = draws[i, _warp.A11] == -1
        # the shift is in the image that is read: mirror last
        expected = padded[i, :, dy : dy + 32, dx : dx + 32]
        expected = expected.flip(2) if mirrored else expected
        torch.testing.assert_close(result[i], expected, rtol=0, atol=1e-12)


def test_simple_frequencies_on_colour_images():
    draws = make(SimpleAugmentation).draw(roles(20_000), COLOUR, seeded())
    assert (draws[:, _warp.A11] == -1).double().mean().item() == pytest.approx(0.5, abs=0.02)
    for column in (_warp.TX, _warp.TY):
        values, counts = draws[:, column].unique(return_counts=True)
        assert values.tolist() == list(range(-4, 5))
        assert (counts / 20_000).tolist() == pytest.approx([1 / 9] * 9, abs=0.01)


def test_simple_on_digits_shifts_by_one_pixel_and_never_flips():
    draws = make(SimpleAugmentation).draw(roles(500), DIGITS, seeded())
    assert (draws[:, _warp.A11] == 1).all()
    assert draws[:, _warp.TX].unique().tolist() == [-1, 0, 1]
    flipped = make(SimpleAugmentation, flip=True).draw(roles(500), DIGITS, seeded())
    assert (flipped[:, _warp.A11] == -1).any()


@pytest.mark.parametrize("geometry", [COLOUR, DIGITS])
def test_combined_is_dsa_on_distilled_and_simple_on_real(geometry):
    combined = make(CombinedAugmentation)
    distilled = combined.draw(roles(200, Role.DISTILLED), geometry, seeded(5))
    dsa = make(DsaAugmentation).draw(roles(200), geometry, seeded(5))
    assert torch.equal(distilled, dsa)

    rng = seeded(5)
    make(DsaAugmentation).draw(roles(200), geometry, rng)
    simple = make(SimpleAugmentation).draw(roles(200), geometry, rng)
    assert torch.equal(combined.draw(roles(200), geometry, seeded(5)), simple)

    mixed = torch.randint(0, 2, (200,), dtype=torch.uint8)
    draws = combined.draw(mixed, geometry, seeded(5))
    assert torch.equal(draws[mixed == 1], dsa[mixed == 1])
    assert torch.equal(draws[mixed == 0], simple[mixed == 0])


def test_combined_hands_its_options_on():
    draws = make(CombinedAugmentation, padding=0.0, flip=False).draw(roles(99), COLOUR, seeded())
    assert torch.equal(draws, torch.stack(_warp.identity_columns(torch.zeros(99)), -1))
    distilled = make(CombinedAugmentation, flip=False).draw(
        roles(2000, Role.DISTILLED), COLOUR, seeded()
    )
    assert not (distilled[:, _warp.A11] == -1).any()


def test_none_draws_nothing_and_returns_its_input():
    none, rng, x = make(NoAugmentation), seeded(), torch.randn(4, 3, 8, 8)
    before = rng.get_state()
    draws = none.draw(roles(4).expand(2, 4), COLOUR, rng)
    assert draws.shape == (2, 4, 0)
    assert torch.equal(rng.get_state(), before)
    assert none.apply(x, draws[0]) is x


@pytest.mark.parametrize("augmentation", ALL)
@pytest.mark.parametrize("geometry", [COLOUR, DIGITS, Geometry((2, 5, 9), 3), Geometry((7,), 3)])
def test_equal_draws_give_equal_changes(augmentation, geometry):
    component = make(augmentation)
    role = torch.arange(12, dtype=torch.uint8) % 2
    first = component.draw(role, geometry, seeded(2))
    second = component.draw(role, geometry, seeded(2))
    assert torch.equal(first, second)
    assert first.dtype == torch.float32
    x = torch.randn(12, *geometry.shape)
    result = component.apply(x, first)
    assert result.shape == x.shape
    assert torch.equal(result, component.apply(x, second))


@pytest.mark.parametrize("augmentation", ALL)
def test_global_random_state_is_untouched(augmentation):
    before = torch.get_rng_state()
    component = make(augmentation)
    draws = component.draw(roles(8), COLOUR, seeded())
    component.apply(torch.zeros(8, 3, 32, 32), draws)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("augmentation", [DsaAugmentation, CombinedAugmentation])
def test_gradients_are_exact(augmentation):
    component, geometry = make(augmentation), Geometry((2, 5, 6), 3)
    role = torch.arange(8, dtype=torch.uint8) % 2
    draws = component.draw(role, geometry, seeded(1))
    x = torch.randn(8, 2, 5, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda v: component.apply(v, draws), x)


@pytest.mark.parametrize("augmentation", ALL)
def test_drawing_reads_no_value_back(augmentation):
    # meta tensors have no values; the shape must not depend on the roles
    draws = make(augmentation).draw(roles(6).expand(2, 6).to("meta"), COLOUR, None)
    assert draws.shape[:2] == (2, 6)
