"""What DSA draws: which operations, how often, how strong."""

import math

import pytest
import torch

from condense.errors import OptionError
from condense.interfaces import Geometry
from condense.options import build_options
from condense_plugins.augmentations import _warp
from condense_plugins.augmentations.dsa import DsaAugmentation

IDENTITY = torch.stack(_warp.identity_columns(torch.zeros(()))).tolist()
COLOUR = Geometry((3, 32, 32), 10)
DIGITS = Geometry((1, 8, 8), 10, flip=False)


def draw(n=20_000, geometry=COLOUR, seed=0, lead=(), **options):
    augmentation = DsaAugmentation(DsaAugmentation.Options(**options))
    role = torch.zeros((*lead, n), dtype=torch.uint8)
    return augmentation.draw(role, geometry, torch.Generator().manual_seed(seed))


def only(operation, **arguments):
    return draw(strategy=operation, **arguments).double()


def kinds(draws):
    """bool [..., B] per operation that visibly changed something."""
    a11, a12, tx, _, a22, ty = draws[..., :6].unbind(-1)
    return {
        "crop": (tx != 0) | (ty != 0),
        "flip": a11 == -1,
        "rotate": a12 != 0,
        "scale": (a12 == 0) & (a11 > 0) & ((a11 != 1) | (a22 != 1)),
        "color": draws[..., 8] != 1,
        "cutout": draws[..., 10] > draws[..., 9],
    }


def test_draws_are_float32_of_the_layout_width():
    draws = draw(5, lead=(2, 3))
    assert draws.shape == (2, 3, 5, _warp.WIDTH)
    assert draws.dtype == torch.float32


def test_each_sample_gets_exactly_one_operation():
    per_sample = torch.stack(list(kinds(draw()).values())).sum(0)
    assert per_sample.max() == 1


def test_operations_are_equally_frequent():
    found = {k: v.double().mean().item() for k, v in kinds(draw()).items()}
    expected = dict.fromkeys(found, 1 / 6)
    expected["flip"] = 1 / 12  # drawn, then mirrored half of the time
    expected["crop"] = 1 / 6 * (1 - 1 / 81)  # one shift of 9 × 9 is none
    assert found == pytest.approx(expected, abs=0.012)


def test_data_that_do_not_mirror_have_five_operations():
    found = {k: v.double().mean().item() for k, v in kinds(draw(geometry=DIGITS)).items()}
    expected = dict.fromkeys(found, 1 / 5) | {"flip": 0.0, "crop": 1 / 5 * (1 - 1 / 9)}
    assert found == pytest.approx(expected, abs=0.012)
    assert kinds(draw(geometry=DIGITS, flip=True))["flip"].any()
    assert not kinds(draw(geometry=COLOUR, flip=False))["flip"].any()


def test_one_operation_per_batch_with_strengths_per_sample():
    draws = draw(16, lead=(600,), per="batch")
    found = torch.stack(list(kinds(draws).values()))  # [6, 600, 16]
    assert found.any(2).sum(0).max() == 1
    shares = {k: v.any(1).double().mean().item() for k, v in kinds(draws).items()}
    assert shares == pytest.approx(dict.fromkeys(shares, 1 / 6), abs=0.06)
    rotated = draws[kinds(draws)["rotate"].any(1)][0, :, _warp.A12]
    assert rotated.unique().numel() == 16


def test_equal_generators_draw_equally_and_the_role_does_not_matter():
    augmentation = DsaAugmentation(DsaAugmentation.Options())
    real, distilled = torch.zeros(9, dtype=torch.uint8), torch.ones(9, dtype=torch.uint8)
    first = augmentation.draw(real, COLOUR, torch.Generator().manual_seed(4))
    second = augmentation.draw(distilled, COLOUR, torch.Generator().manual_seed(4))
    assert torch.equal(first, second)
    x = torch.randn(9, 3, 32, 32)
    assert torch.equal(augmentation.apply(x, first), augmentation.apply(x, second))


def test_columns_of_other_operations_hold_the_identity():
    for operation, used in {
        "color": {6, 7, 8},
        "crop": {2, 5},
        "cutout": {9, 10, 11, 12},
        "flip": {0},
        "scale": {0, 4},
        "rotate": {0, 1, 3, 4},
    }.items():
        draws = only(operation, n=50)
        for column in set(range(_warp.WIDTH)) - used:
            assert (draws[:, column] == IDENTITY[column]).all(), (operation, column)


def assert_uniform(values, low, high):
    assert low <= values.min() + 1e-6
    assert values.max() - 1e-6 <= high
    assert values.mean().item() == pytest.approx((low + high) / 2, abs=0.02 * (high - low))
    spread = (high - low) / math.sqrt(12)
    assert values.std().item() == pytest.approx(spread, rel=0.02)


def test_colour_strengths():
    brightness, saturation, contrast = only("color")[:, 6:9].unbind(1)
    assert_uniform(brightness, -0.5, 0.5)
    assert_uniform(saturation, 0, 2)
    assert_uniform(contrast, 0.5, 1.5)


def test_scale_strengths():
    draws = only("scale")
    assert_uniform(draws[:, _warp.A11], 1 / 1.2, 1.2)
    assert_uniform(draws[:, _warp.A22], 1 / 1.2, 1.2)
    assert torch.corrcoef(draws[:, [_warp.A11, _warp.A22]].T)[0, 1].abs() < 0.03


def test_rotation_strengths():
    draws = only("rotate")
    angle = torch.atan2(draws[:, _warp.A21], draws[:, _warp.A11]).rad2deg()
    assert_uniform(angle, -15, 15)
    torch.testing.assert_close(draws[:, _warp.A12], -draws[:, _warp.A21])
    torch.testing.assert_close(draws[:, _warp.A11], draws[:, _warp.A22])


@pytest.mark.parametrize(("shape", "pads"), [((3, 32, 32), (4, 4)), ((1, 16, 40), (5, 2))])
def test_crop_shifts_are_equally_likely_whole_pixels(shape, pads):
    draws = only("crop", geometry=Geometry(shape, 2))
    for column, pad in zip((_warp.TX, _warp.TY), pads, strict=True):
        values, counts = draws[:, column].unique(return_counts=True)
        assert values.tolist() == list(range(-pad, pad + 1))
        assert (counts / len(draws)).tolist() == pytest.approx(
            [1 / (2 * pad + 1)] * len(counts), abs=0.02
        )


@pytest.mark.parametrize("side", [8, 32, 9, 7])
def test_cutout_boxes_are_those_of_the_published_code(side):
    draws = only("cutout", geometry=Geometry((1, side, side), 2))
    size = int(side * 0.5 + 0.5)
    published = set()
    for offset in range(side + (1 - size % 2)):
        pixels = [min(max(offset + k - size // 2, 0), side - 1) for k in range(size)]
        published.add((min(pixels), max(pixels) + 1))
    found = {tuple(int(v) for v in row) for row in draws[:, 9:11].tolist()}
    assert found == published
    assert {tuple(int(v) for v in row) for row in draws[:, 11:13].tolist()} == published


def test_flip_mirrors_half_of_the_time():
    assert (only("flip")[:, 0] == -1).double().mean().item() == pytest.approx(0.5, abs=0.02)


def test_leaving_an_operation_out_keeps_the_strengths_of_others():
    both, alone = draw(500, strategy="scale_rotate"), draw(500, strategy="scale")
    scaled = kinds(both)["scale"]
    assert torch.equal(both[scaled], alone[scaled])


def test_grey_and_non_square_images_are_augmented():
    geometry = Geometry((1, 6, 11), 3)
    augmentation = DsaAugmentation(DsaAugmentation.Options())
    x = torch.randn(64, 1, 6, 11)
    draws = augmentation.draw(torch.zeros(64, dtype=torch.uint8), geometry, torch.Generator())
    result = augmentation.apply(x, draws)
    assert result.shape == x.shape
    assert result.isfinite().all()
    assert not torch.equal(result, x)


def test_features_pass_through():
    augmentation = DsaAugmentation(DsaAugmentation.Options())
    rng = torch.Generator().manual_seed(0)
    draws = augmentation.draw(torch.zeros(4, dtype=torch.uint8), Geometry((7,), 2), rng)
    assert draws.shape == (4, 0)
    x = torch.randn(4, 7)
    assert torch.equal(augmentation.apply(x, draws), x)


def test_unknown_operation_is_named_with_the_nearest():
    with pytest.raises(OptionError, match=r"unknown operation 'crob'; did you mean 'crop'\?"):
        build_options(DsaAugmentation.Options, {"strategy": "color_crob"}, "matcher")
    with pytest.raises(OptionError, match="'crop' is named twice"):
        build_options(DsaAugmentation.Options, {"strategy": "crop_crop"}, "matcher")


def test_a_strategy_without_any_operation_left_is_refused():
    with pytest.raises(OptionError, match=r"'flip' leaves no operation.*flip=true"):
        draw(4, geometry=DIGITS, strategy="flip")
