"""Gradient matching against gradients and distances written out, and the network's way."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from condense.options import AugmentationSpec, NetworkSpec
from condense.testing.toys import generator
from condense_plugins.matchers.gradient import GradientMatcher, distance, fixed_norms
from condense_plugins.matchers.trajectory.matcher import draw_batches


def prepared(data, context, network="instance", **options):
    spec = {"width": 4} | ({"depth": 2, "norm": network} if network != "mlp" else {})
    o = GradientMatcher.Options(
        network=NetworkSpec.of("mlp" if network == "mlp" else "convnet", **spec),
        **{
            "real_per_class": 20,
            "network_iterations": 3,
            "network_steps": 4,
            "network_lr": 0.3,
            "batch_size": 5,
            **options,
        },
    )
    matcher = GradientMatcher(o)
    matcher.prepare(data, context, generator())
    return matcher


def named(matcher):
    return {k: v.detach().clone() for k, v in matcher._network.named_parameters()}


def norm_statistics(parameters, inputs):
    """(mean, variance) of each block's channels on ``inputs``."""
    found, x, number = [], inputs, 0
    while f"features.{number}.weight" in parameters:
        weight, bias = (parameters[f"features.{number}.{p}"] for p in ("weight", "bias"))
        x = F.conv2d(x, weight, bias, padding=1)
        values = x.transpose(0, 1).flatten(1)
        found.append((values.mean(1), values.var(1)))  # running statistics are unbiased
        # the next block sees this one's train mode, whose variance is the biased one
        x = normed(x, parameters, number, values.mean(1), values.var(1, correction=0))
        number += 4
    return found


def normed(x, parameters, number, mean, variance):
    scale, offset = (parameters[f"features.{number + 1}.{p}"] for p in ("weight", "bias"))
    x = (x - mean[:, None, None]) / (variance[:, None, None] + 1e-5).sqrt()
    return F.avg_pool2d((x * scale[:, None, None] + offset[:, None, None]).relu(), 2)


def loss_under(statistics, parameters, inputs, labels):
    """As ``plain_loss``, of a network with batch norms whose statistics are given."""
    x = inputs
    for block, (mean, variance) in enumerate(statistics):
        weight, bias = (parameters[f"features.{4 * block}.{p}"] for p in ("weight", "bias"))
        x = normed(F.conv2d(x, weight, bias, padding=1), parameters, 4 * block, mean, variance)
    logits = x.flatten(1) @ parameters["classifier.weight"].T + parameters["classifier.bias"]
    return F.cross_entropy(logits, torch.as_tensor(labels))


def plain_distance(one, other):
    """Node by node, the paper's 1 − cosine, with the released code's 1e-6."""
    total = 0
    for name, a in one.items():
        if a.dim() == 1:
            continue
        for node in range(len(a)):
            u, v = a[node].flatten(), other[name][node].flatten()
            if not u.any():  # of a unit that is off for all samples: no direction
                total = total + 1
                continue
            total = total + 1 - (u @ v) / ((u @ u).sqrt() * (v @ v).sqrt() + 1e-6)
    return total


@pytest.mark.parametrize("age", [0, 2])
@pytest.mark.parametrize("soft", [False, True], ids=["hard", "learned"])
@pytest.mark.parametrize("network", ["instance", "batch", "mlp"])
def test_loss_and_gradient_are_those_of_plain_autograd(
    network, soft, age, tiny_images, context, small_set, plain
):
    matcher = prepared(tiny_images, context, network)
    synthetic = small_set()
    if soft:
        logits = torch.randn(9, 3, generator=generator(8), dtype=torch.float64)
        synthetic = replace(synthetic, label_logits=logits)
    before = generator(5)
    for _ in range(age):
        matcher.step(synthetic, before)
    rng = torch.Generator()
    rng.set_state(before.get_state())
    step = matcher.step(synthetic, before)

    role = synthetic.role
    if age:  # what training drew; where it led is another test's
        for index in draw_batches(9, 5, 4, rng):
            matcher.draw(role[index], rng)
    else:
        matcher.fresh_network(synthetic.inputs, rng)
    real, real_labels = matcher.draw_real(synthetic, rng)
    changes = matcher.draw_changes(rng)
    assert torch.equal(rng.get_state(), before.get_state())
    augment = context.augmentation(matcher.options.augmentation)
    theta = {k: v.requires_grad_() for k, v in named(matcher).items()}
    inputs = synthetic.inputs.clone().requires_grad_()
    learned = synthetic.label_logits.clone().requires_grad_() if soft else None
    some = torch.cat([real[real_labels == c][:16] for c in range(3)])
    statistics = norm_statistics(named(matcher), some) if network == "batch" else None

    def gradients(samples, aims, c, **keywords):
        changed = torch.cat([augment.apply(x[None], changes[c][None]) for x in samples])
        if statistics is not None:
            loss = loss_under(statistics, theta, changed, aims)
        else:
            loss = plain.loss(theta, changed, aims, network)
        found = torch.autograd.grad(loss, theta.values(), **keywords)
        return dict(zip(theta, found, strict=True))

    loss = 0
    for c in range(3):
        goal = gradients(real[real_labels == c], [c] * 20, c)
        rows = [i for i in range(9) if synthetic.labels[i] == c]
        aims = [c] * 3
        if soft:
            aims = learned[rows].exp() / learned[rows].exp().sum(1, keepdim=True)
        mine = gradients(inputs[rows], aims, c, create_graph=True)
        loss = loss + plain_distance(mine, goal)
    expected = torch.autograd.grad(loss, [inputs, learned] if soft else [inputs])
    torch.testing.assert_close(step.loss, loss.detach(), rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(step.grad_inputs, expected[0], rtol=1e-10, atol=1e-12)
    assert step.grad_inputs.abs().max() > 1e-6
    if soft:
        torch.testing.assert_close(step.grad_labels, expected[1], rtol=1e-10, atol=1e-12)
        assert step.grad_labels.abs().max() > 1e-6
    else:
        assert step.grad_labels is None


@pytest.mark.parametrize("soft", [False, True], ids=["hard", "learned"])
def test_between_two_iterations_the_network_takes_plain_steps_on_the_set(
    soft, tiny_images, context, small_set, plain
):
    matcher, synthetic, rng = prepared(tiny_images, context), small_set(), generator(5)
    if soft:
        logits = torch.randn(9, 3, generator=generator(8), dtype=torch.float64)
        synthetic = replace(synthetic, label_logits=logits)
    matcher.step(synthetic, rng)
    synthetic.inputs.add_(0.1)  # as the engine moves it in between
    theta = {k: v.requires_grad_() for k, v in named(matcher).items()}
    copy = torch.Generator()
    copy.set_state(rng.get_state())
    augment = context.augmentation(AugmentationSpec.of("dsa", per="batch"))
    for index in draw_batches(9, 5, 4, copy):
        draws = augment.draw(synthetic.role[index], tiny_images.geometry, copy)
        aims = logits[index].softmax(1) if soft else synthetic.labels[index].tolist()
        loss = plain.loss(theta, augment.apply(synthetic.inputs[index], draws), aims, "instance")
        found = torch.autograd.grad(loss, theta.values())
        theta = {
            k: (v - 0.3 * g).detach().requires_grad_()
            for (k, v), g in zip(theta.items(), found, strict=True)
        }
    matcher.step(synthetic, rng)
    torch.testing.assert_close(named(matcher), theta, rtol=1e-10, atol=1e-12)


def test_a_fresh_network_takes_its_place_in_time(tiny_images, context, small_set):
    matcher, synthetic, rng = prepared(tiny_images, context), small_set(), generator(5)
    assert int(matcher.carried()["age"]) == 0
    moves, ages, last = [], [], None
    for _ in range(7):
        matcher.step(synthetic, rng)
        now = matcher.carried()
        ages.append(int(now["age"]))
        if last is not None:
            moves.append(float((now["network"] - last).norm()))
        last = now["network"]
    assert ages == [1, 2, 0, 1, 2, 0, 1]
    # four steps of training move it a little, a fresh network is somewhere else
    trained, fresh = [moves[i] for i in (0, 1, 3, 4)], [moves[i] for i in (2, 5)]
    assert 0 < max(trained) < min(fresh)


def test_a_network_that_is_carried_on_has_no_dropout_either(
    tiny_images, context, small_set, monkeypatch
):
    plain = context.network

    def network(*given):
        return torch.nn.Sequential(plain(*given), torch.nn.Dropout(0.5))

    monkeypatch.setattr(context, "network", network)
    synthetic, rng = small_set(dtype=torch.float32), generator(5)
    matcher = prepared(tiny_images, context)
    matcher.step(synthetic, rng)
    carried, state = dict(matcher.carried()), rng.get_state()
    other, others = prepared(tiny_images, context), torch.Generator()
    other.carry(carried)
    others.set_state(state)
    for _ in range(2):  # further along the way of the first network
        whole, resumed = matcher.step(synthetic, rng), other.step(synthetic, others)
        assert torch.equal(whole.loss, resumed.loss)
        assert torch.equal(whole.grad_inputs, resumed.grad_inputs)
    assert torch.equal(matcher.carried()["network"], other.carried()["network"])


def test_the_distance_of_gradients_by_hand():
    one = [torch.tensor([[3.0, 4.0], [1.0, 0.0]])]
    other = [torch.tensor([[4.0, 3.0], [0.0, 2.0]])]
    assert float(distance(one, other)) == pytest.approx(1 - 24 / 25 + 1, abs=1e-6)
    assert float(distance(one, one)) == pytest.approx(0, abs=2e-6)
    kernels = [torch.ones(2, 3, 1, 2)]
    assert float(distance(kernels, [-k for k in kernels])) == pytest.approx(4, abs=1e-5)


def test_batch_norms_are_set_by_the_samples_and_released():
    network = torch.nn.Sequential(torch.nn.BatchNorm1d(2), torch.nn.Linear(2, 2))
    samples = torch.tensor([[0.0, 1.0], [2.0, 5.0], [4.0, 9.0]])
    network(samples + 7)  # which must not show
    with fixed_norms(network, samples):
        assert network[0].running_mean.tolist() == pytest.approx([2.0, 5.0])
        assert network[0].running_var.tolist() == pytest.approx([4.0, 16.0])
        one = network[0](torch.tensor([[2.0, 5.0]]))
        assert one.tolist() == [pytest.approx([0.0, 0.0], abs=1e-6)]
    assert network[0].training


def test_a_class_that_the_set_does_not_have_is_left_out(tiny_images, context, small_set):
    matcher = prepared(tiny_images, context)
    step = matcher.step(small_set(classes=(0, 2)), generator(5))
    assert bool(step.loss.isfinite())
    assert step.grad_inputs.flatten(1).any(1).all()
