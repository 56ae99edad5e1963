"""The shared transformation against independent, slow implementations of every operation."""

import math

import pytest
import torch

from condense_plugins.augmentations import _warp

SHAPES = [(3, 8, 8), (1, 7, 7), (3, 6, 9), (1, 5, 4)]


def images(shape, n=4, dtype=torch.float64, seed=0):
    return torch.randn(n, *shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def parameters(n=4, **columns):
    """Identity draws [n, P] with the named columns set."""
    values = _warp.identity_columns(torch.zeros(n))
    for name, value in columns.items():
        values[getattr(_warp, name.upper())] = torch.as_tensor(value, dtype=torch.float32).expand(n)
    return torch.stack(values, -1)


def bilinear(image, a11, a12, tx, a21, a22, ty):
    """One image [C, H, W] read pixel by pixel through the map, in plain python."""
    channels, height, width = image.shape
    result = torch.zeros_like(image)
    cx, cy = (width - 1) / 2, (height - 1) / 2
    for i in range(height):
        for j in range(width):
            x = a11 * (j - cx) + a12 * (i - cy) + tx + cx
            y = a21 * (j - cx) + a22 * (i - cy) + ty + cy
            left, top = math.floor(x), math.floor(y)
            for row, wy in ((top, 1 - (y - top)), (top + 1, y - top)):
                for column, wx in ((left, 1 - (x - left)), (left + 1, x - left)):
                    if 0 <= row < height and 0 <= column < width:
                        for c in range(channels):
                            result[c, i, j] += wy * wx * image[c, row, column]
    return result


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 5e-6)])
def test_mirror_equals_flip(shape, dtype, tolerance):
    x = images(shape, dtype=dtype)
    assert (_warp.apply(x, parameters(a11=-1.0)) - x.flip(3)).abs().max() < tolerance


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("dx", "dy"), [(1, 0), (0, -2), (-3, 2), (2, 3)])
def test_whole_pixel_shift_equals_pad_and_slice(shape, dx, dy):
    x = images(shape)
    height, width = shape[1:]
    padded = torch.nn.functional.pad(x, (3, 3, 3, 3))
    expected = padded[:, :, 3 + dy : 3 + dy + height, 3 + dx : 3 + dx + width]
    result = _warp.apply(x, parameters(tx=float(dx), ty=float(dy)))
    torch.testing.assert_close(result, expected, rtol=0, atol=1e-12)


def test_shifts_and_flips_of_a_32_pixel_image_are_bit_exact_in_float32():
    x = images((3, 32, 32), dtype=torch.float32)
    expected = torch.nn.functional.pad(x, (4, 4, 4, 4))[:, :, 1:33, 8:40].flip(3)
    result = _warp.apply(x, parameters(a11=-1.0, tx=4.0, ty=-3.0))
    assert torch.equal(result, expected)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("degrees", [15.0, -7.5, 90.0])
def test_rotation_equals_direct_bilinear_sampling(shape, degrees):
    x = images(shape)
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    draws = parameters(a11=cos, a12=-sin, a21=sin, a22=cos)
    map_ = draws[0, :6].double().tolist()
    expected = torch.stack([bilinear(image, *map_) for image in x])
    torch.testing.assert_close(_warp.apply(x, draws), expected, rtol=0, atol=1e-12)


def test_quarter_turn_equals_rot90():
    x = images((3, 6, 6))
    expected = torch.rot90(x, 1, (2, 3))
    draws = parameters(a11=0.0, a12=-1.0, a21=1.0, a22=0.0)
    torch.testing.assert_close(_warp.apply(x, draws), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("sx", "sy"), [(1.2, 0.9), (1 / 1.2, 1.0)])
def test_scale_equals_direct_bilinear_sampling(shape, sx, sy):
    x = images(shape)
    draws = parameters(a11=sx, a22=sy)
    map_ = draws[0, :6].double().tolist()
    expected = torch.stack([bilinear(image, *map_) for image in x])
    torch.testing.assert_close(_warp.apply(x, draws), expected, rtol=0, atol=1e-12)


def test_scale_by_hand():
    # five pixels, centre 2; factor 0.5 reads at 1, 1.5, 2, 2.5, 3
    x = torch.tensor([10.0, 20.0, 40.0, 80.0, 160.0]).expand(1, 1, 3, 5)
    result = _warp.apply(x, parameters(1, a11=0.5))
    expected = torch.tensor([20.0, 30.0, 40.0, 60.0, 80.0]).expand(1, 1, 3, 5)
    torch.testing.assert_close(result, expected, rtol=1e-5, atol=1e-5)


def colour_by_loops(image, brightness, saturation, contrast):
    """The published formulas, one pixel at a time, as nested lists."""
    channels, height, width = image.shape
    pixels = [[[float(image[c, i, j]) + brightness for j in range(width)] for i in range(height)]
              for c in range(channels)]  # fmt: skip
    for i in range(height):
        for j in range(width):
            grey = sum(pixels[c][i][j] for c in range(channels)) / channels
            for c in range(channels):
                pixels[c][i][j] = (pixels[c][i][j] - grey) * saturation + grey
    flat = [p for plane in pixels for row in plane for p in row]
    mean = sum(flat) / len(flat)
    pixels = [[[(p - mean) * contrast + mean for p in row] for row in plane] for plane in pixels]
    return torch.tensor(pixels, dtype=image.dtype)


@pytest.mark.parametrize("shape", SHAPES)
def test_colour_equals_the_published_formulas(shape):
    x = images(shape)
    strengths = torch.tensor([[0.3, 1.7, 0.6], [-0.5, 0.0, 1.5], [0.0, 1.0, 0.5], [0.1, 2.0, 1.0]])
    b, s, c = strengths.unbind(1)
    result = _warp.apply(x, parameters(brightness=b, saturation=s, contrast=c))
    rows = strengths.double().tolist()
    expected = torch.stack([colour_by_loops(i, *row) for i, row in zip(x, rows, strict=True)])
    torch.testing.assert_close(result, expected, rtol=0, atol=1e-12)


def test_colour_by_hand():
    # two channels of one pixel: +1 → 1, 3; grey 2; × 0.5 about it → 1.5, 2.5; contrast × 2 → 1, 3
    x = torch.tensor([0.0, 2.0]).reshape(1, 2, 1, 1)
    result = _warp.apply(x, parameters(1, brightness=1.0, saturation=0.5, contrast=2.0))
    assert result.flatten().tolist() == [1.0, 3.0]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("box", [(0, 2, 1, 4), (3, 4, 0, 5), (2, 2, 0, 4), (0, 9, 0, 9)])
def test_cutout_clears_exactly_the_box(shape, box):
    x = images(shape)
    x0, x1, y0, y1 = (float(v) for v in box)
    result = _warp.apply(x, parameters(x0=x0, x1=x1, y0=y0, y1=y1))
    for i in range(shape[1]):
        for j in range(shape[2]):
            inside = box[0] <= j < box[1] and box[2] <= i < box[3]
            expected = torch.zeros_like(x[:, :, i, j]) if inside else x[:, :, i, j]
            assert torch.equal(result[:, :, i, j], expected)


def mixed():
    """A batch of five: untouched, rotated and shifted, coloured, cut, all at once."""
    draws = parameters(5)
    turn = torch.tensor([0.95, -0.3, 1.3, 0.3, 0.95, -0.7])
    draws[1, :6] = draws[4, :6] = turn
    draws[2, 6:9] = draws[4, 6:9] = torch.tensor([0.2, 1.6, 0.7])
    draws[3, 9:] = draws[4, 9:] = torch.tensor([1.0, 3.0, 2.0, 5.0])
    return draws


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_sample_does_not_depend_on_the_rest_of_the_batch(dtype):
    x, draws = images((3, 8, 8), 5, dtype), mixed()
    whole = _warp.apply(x, draws)
    assert whole.dtype == dtype
    assert torch.equal(whole[0], x[0])  # exactly, although others were resampled
    for i in range(5):
        torch.testing.assert_close(_warp.apply(x[i : i + 1], draws[i : i + 1])[0], whole[i])


def test_gradient_is_exact():
    x = images((2, 5, 6), 5).requires_grad_()
    draws = mixed()
    assert torch.autograd.gradcheck(lambda v: _warp.apply(v, draws), x)


def test_result_is_linear_up_to_brightness():
    x, z, draws = images((3, 8, 8), 5), images((3, 8, 8), 5, seed=1), mixed()
    zero = _warp.apply(torch.zeros_like(x), draws)
    result = _warp.apply(2 * x - 3 * z, draws) - zero
    expected = 2 * (_warp.apply(x, draws) - zero) - 3 * (_warp.apply(z, draws) - zero)
    torch.testing.assert_close(result, expected)


def test_off_the_cpu_no_value_is_read_back():
    # a meta tensor has no values: any .item() or branch on one would raise
    x, draws = images((3, 8, 8), 5).to("meta"), mixed().to("meta")
    assert _warp.apply(x, draws).shape == (5, 3, 8, 8)


def test_skipping_on_the_cpu_changes_no_result():
    x = images((3, 8, 8), 5, torch.float32)
    assert torch.equal(_warp._colour(x, parameters(5)), x)
    assert not _warp._box(x, parameters(5)).any()


def test_inputs_stay_as_they_were():
    x, draws = images((3, 8, 8), 5), mixed()
    before = x.clone(), draws.clone()
    _warp.apply(x, draws)
    assert torch.equal(x, before[0])
    assert torch.equal(draws, before[1])


def test_features_and_empty_draws_pass_through():
    features, x = torch.randn(4, 7), images((3, 8, 8))
    assert _warp.apply(features, torch.zeros(4, 0)) is features
    assert _warp.apply(x, torch.zeros(4, 0)) is x


def test_one_pixel_images_survive():
    x = images((3, 1, 1))
    assert _warp.apply(x, parameters(a11=-1.0)).isfinite().all()
    assert (_warp.apply(x, parameters(tx=1.0)) == 0).all()


def test_shifts_are_whole_and_within_the_pad():
    uniform = torch.tensor([0.0, 0.19, 0.21, 0.5, 0.99, 1 - 2**-24])
    assert _warp.shift(uniform, 2).tolist() == [-2, -2, -1, 0, 2, 2]
    assert _warp.margin(32, 0.125) == 4
    assert _warp.margin(8, 0.125) == 1
    assert _warp.margin(28, 0.125) == 4  # 3.5 is rounded up
