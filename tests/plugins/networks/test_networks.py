"""The built-in networks: shapes, structure, determinism, second derivatives."""

import copy

import pytest
import torch
from torch import nn
from torch.func import functional_call

from condense.errors import OptionError
from condense.interfaces import Geometry
from condense_plugins.networks.auto import Auto
from condense_plugins.networks.convnet import ConvNet, default_depth
from condense_plugins.networks.mlp import Mlp
from condense_plugins.networks.resnet import ResNet18, _BasicBlock
from condense_plugins.networks.vgg import Vgg11

ALL = [ConvNet, ResNet18, Vgg11, Mlp]
IMAGES = [ConvNet, ResNet18, Vgg11]
SHAPES = [(1, 8, 8), (3, 32, 32), (3, 64, 64), (1, 28, 28), (3, 24, 40), (3, 9, 31)]


def build(network, shape, classes=5, seed=0, **options):
    torch.manual_seed(seed)
    return network(network.Options(**options)).build(Geometry(shape, classes))


def count(module, kind):
    return sum(isinstance(m, kind) for m in module.modules())


@pytest.mark.parametrize("network", ALL)
@pytest.mark.parametrize("shape", SHAPES)
def test_logits_have_one_column_a_class(network, shape):
    module = build(network, shape, width=4)
    logits = module(torch.randn(3, *shape))
    assert logits.shape == (3, 5)
    assert logits.isfinite().all()


@pytest.mark.parametrize("network", ALL)
def test_equal_global_seed_gives_equal_parameters(network):
    first, second = (build(network, (3, 16, 16), width=4, seed=1) for _ in range(2))
    assert all(
        torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True)
    )
    other = build(network, (3, 16, 16), width=4, seed=2)
    assert not torch.equal(next(first.parameters()), next(other.parameters()))


@pytest.mark.parametrize("network", ALL)
def test_in_eval_mode_a_sample_does_not_depend_on_its_batch(network):
    module = build(network, (1, 8, 8), width=4).eval()
    batch = torch.randn(4, 1, 8, 8)
    torch.testing.assert_close(module(batch)[:1], module(batch[:1]))


@pytest.mark.parametrize(("shape", "meant"), [((3, 16, 16), ConvNet), ((7,), Mlp)])
def test_auto_is_a_convnet_for_images_and_an_mlp_for_features(shape, meant):
    for options in ({}, {"width": 6}, {"depth": 1}):
        found, expected = (build(n, shape, seed=2, **options) for n in (Auto, meant))
        pairs = zip(found.state_dict().items(), expected.state_dict().items(), strict=True)
        assert all(a == b and torch.equal(x, y) for (a, x), (b, y) in pairs)


@pytest.mark.parametrize("network", IMAGES)
def test_image_networks_send_features_to_mlp(network):
    with pytest.raises(OptionError, match=r"shape \(7,\); set `scorer.network=mlp`"):
        build(network, (7,))


@pytest.mark.parametrize(
    ("side", "depth"), [(2, 1), (3, 1), (4, 1), (8, 2), (16, 2), (28, 3), (32, 3), (64, 4)]
)
def test_default_depth_follows_the_side(side, depth):
    assert default_depth(side) == depth
    assert count(build(ConvNet, (3, side, side), width=4), nn.Conv2d) == depth


def test_convnet_matches_the_published_parameter_count():
    # 3·128·9+128 + 2·(128·128·9+128) + 3·2·128 norm + 2048·10+10, as in DC and MTT
    module = build(ConvNet, (3, 32, 32), classes=10)
    assert sum(p.numel() for p in module.parameters()) == 320_010


def test_convnet_is_convolution_norm_relu_pool():
    module = build(ConvNet, (3, 32, 32))
    kinds = [type(m) for m in module.features]
    assert kinds == [nn.Conv2d, nn.BatchNorm2d, nn.ReLU, nn.AvgPool2d] * 3
    assert all(m.bias is not None for m in module.features if isinstance(m, nn.Conv2d))


def test_convnet_depth_one_by_hand():
    module = build(ConvNet, (1, 2, 2), classes=1, width=1, depth=1, norm="none")
    with torch.no_grad():
        module.features[0].weight.fill_(1.0)
        module.features[0].bias.fill_(-9.0)
        module.classifier.weight.fill_(2.0)
        module.classifier.bias.fill_(0.5)
    # every 3×3 window covers all four pixels: relu(1+2+3+4 − 9) = 1, mean 1, 2·1 + 0.5
    assert module(torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])).item() == 2.5


@pytest.mark.parametrize(("norm", "groups"), [("instance", 8), ("layer", 1), ("group", 4)])
def test_convnet_norms_are_group_norms(norm, groups):
    module = build(ConvNet, (3, 8, 8), width=8, norm=norm)
    norms = [m for m in module.modules() if isinstance(m, nn.GroupNorm)]
    assert [m.num_groups for m in norms] == [groups] * 2
    assert all(m.affine for m in norms)


def test_convnet_without_norm_has_none():
    assert count(build(ConvNet, (3, 8, 8), norm="none"), (nn.BatchNorm2d, nn.GroupNorm)) == 0


def test_group_norm_names_a_width_that_works():
    with pytest.raises(OptionError, match=r"divisible by 4, got 6; try width=4"):
        build(ConvNet, (3, 8, 8), width=6, norm="group")


def test_convnet_names_the_greatest_depth():
    with pytest.raises(OptionError, match=r"side of 8 .* depth 4 \(greatest depth 3\)"):
        build(ConvNet, (1, 8, 12), depth=4)
    assert build(ConvNet, (1, 8, 12), depth=3)(torch.randn(2, 1, 8, 12)).shape == (2, 5)
    with pytest.raises(OptionError, match=r"greatest depth 0.*use network mlp"):
        build(ConvNet, (1, 1, 9))


def test_resnet18_has_the_size_of_the_cifar_resnet18():
    module = build(ResNet18, (3, 32, 32), classes=10)
    assert sum(p.numel() for p in module.parameters()) == 11_173_962
    assert count(module, nn.Conv2d) == 20  # 17 of 3×3, 3 in the shortcuts
    assert count(module, nn.MaxPool2d) == 0


@pytest.mark.parametrize(
    ("side", "option", "stride"), [(8, None, 1), (32, None, 1), (64, None, 2), (64, 1, 1)]
)
def test_resnet_stem_stride_follows_the_side(side, option, stride):
    module = build(ResNet18, (3, side, side), width=2, stem_stride=option)
    assert module.stem.stride == (stride, stride)
    assert module.stem.kernel_size == (3, 3)


@pytest.mark.parametrize(("side", "last"), [(8, 2), (32, 4), (64, 4)])
def test_resnet_never_shrinks_below_two_pixels(side, last):
    module = build(ResNet18, (3, side, side), width=2)
    before_pool = module[:-3](torch.randn(2, 3, side, side))
    assert before_pool.shape == (2, 16, last, last)


@pytest.mark.parametrize("network", IMAGES)
def test_instance_norm_keeps_the_signal_on_tiny_images(network):
    module = build(network, (1, 8, 8), width=4, norm="instance")
    logits = module(torch.randn(6, 1, 8, 8))
    assert logits.std(0).min() > 1e-3


def test_vgg11_has_eight_convolutions_and_the_usual_sides():
    module = build(Vgg11, (3, 32, 32), classes=10)
    assert count(module, nn.Conv2d) == 8
    assert count(module, nn.MaxPool2d) == 4
    widths = [m.out_channels for m in module.modules() if isinstance(m, nn.Conv2d)]
    assert widths == [64, 128, 256, 256, 512, 512, 512, 512]


def test_mlp_takes_features_and_flattened_images():
    assert build(Mlp, (7,))(torch.randn(3, 7)).shape == (3, 5)
    assert build(Mlp, (3, 4, 2))(torch.randn(3, 3, 4, 2)).shape == (3, 5)


def test_mlp_layers_follow_the_options():
    module = build(Mlp, (7,), width=6, depth=3, norm="batch")
    sizes = [m.weight.shape for m in module.modules() if isinstance(m, nn.Linear)]
    assert sizes == [(6, 7), (6, 6), (6, 6), (5, 6)]
    assert count(module, nn.BatchNorm1d) == 3
    assert count(build(Mlp, (7,), depth=0), nn.Linear) == 1


@pytest.mark.parametrize(
    ("network", "options"),
    [
        (ConvNet, {"norm": "batch"}),
        (ConvNet, {"norm": "instance"}),
        (ConvNet, {"norm": "layer"}),
        (ResNet18, {}),
        (Vgg11, {}),
        (Mlp, {"norm": "batch"}),
    ],
)
def test_second_derivative_equals_finite_differences(network, options):
    """∂(g·v)/∂x with g = ∇_θ ℓ, through functional_call in float64: what matching needs."""
    module = build(network, (1, 8, 8), classes=3, width=4, **options).double()
    parameters = {k: p.detach().requires_grad_() for k, p in module.named_parameters()}
    generator = torch.Generator().manual_seed(3)
    inputs = torch.randn(4, 1, 8, 8, dtype=torch.float64, generator=generator)
    direction = torch.randn(inputs.shape, dtype=torch.float64, generator=generator)
    v = [torch.randn(p.shape, dtype=p.dtype, generator=generator) for p in parameters.values()]

    def directional(x):
        logits = functional_call(module, parameters, (x,))
        loss = nn.functional.cross_entropy(logits, torch.tensor([0, 1, 2, 0]))
        grads = torch.autograd.grad(loss, list(parameters.values()), create_graph=True)
        return sum((g * w).sum() for g, w in zip(grads, v, strict=True))

    x = inputs.clone().requires_grad_()
    (exact,) = torch.autograd.grad(directional(x), x)
    step = 1e-7  # short, so that no ReLU switches on the way
    difference = directional(inputs + step * direction) - directional(inputs - step * direction)
    torch.testing.assert_close(
        (exact * direction).sum(), difference.detach() / (2 * step), rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize("network", ALL)
def test_options_reject_nonsense(network):
    with pytest.raises(ValueError, match="width"):
        network.Options(width=0)


@pytest.mark.parametrize("channels", [4, 8])
@pytest.mark.parametrize("side", [8, 7])
def test_a_shortcut_is_a_strided_convolution_however_few_its_channels(channels, side):
    """In the layout of training and float32, against plain float64: where oneDNN gets such a
    convolution wrong, gradients are far off or the process dies."""
    torch.manual_seed(0)
    block = _BasicBlock(channels, 2 * channels, 2, "batch").double()
    plain = nn.Sequential(nn.Conv2d(channels, 2 * channels, 1, 2, bias=False), block.shortcut[1])
    plain[0].weight = block.shortcut[0].weight
    inputs = torch.randn(20, channels, side, side, dtype=torch.float64, requires_grad=True)
    expected = torch.relu(block.body(inputs) + plain(inputs))
    wanted = torch.autograd.grad(expected.square().sum(), [inputs, *block.parameters()])
    narrow = copy.deepcopy(block).float().to(memory_format=torch.channels_last)
    given = inputs.detach().float().contiguous(memory_format=torch.channels_last).requires_grad_()
    for _ in range(5):
        result = narrow(given)
        found = torch.autograd.grad(result.square().sum(), [given, *narrow.parameters()])
    assert result.double().allclose(expected, atol=1e-4)
    for one, other in zip(found, wanted, strict=True):
        assert (one.double() - other).norm() <= 1e-4 * other.norm()
