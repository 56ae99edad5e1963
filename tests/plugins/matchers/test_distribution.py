"""Distribution matching against class means by hand, and what it draws."""

import pytest
import torch

from condense.errors import OptionError
from condense.options import AugmentationSpec, NetworkSpec
from condense.testing.toys import generator
from condense_plugins.matchers import distribution
from condense_plugins.matchers.distribution import DistributionMatcher, passes


def prepared(data, context, network="instance", augmentation="dsa", **options):
    spec = {"width": 4} | ({"depth": 2, "norm": network} if network != "mlp" else {})
    o = DistributionMatcher.Options(
        network=NetworkSpec.of("mlp" if network == "mlp" else "convnet", **spec),
        augmentation=AugmentationSpec.of(augmentation, per="batch")
        if augmentation == "dsa"
        else AugmentationSpec.of(augmentation),
        **{"real_per_class": 7, **options},
    )
    matcher = DistributionMatcher(o)
    matcher.prepare(data, context, generator())
    return matcher


def plain_embedding(plain, network, inputs, norm):
    """What goes into the classifier of the networks of these tests, written out."""
    named = {k: v.detach() for k, v in network.named_parameters()}
    size = named["classifier.weight"].shape[1]
    named["classifier.weight"] = torch.eye(size, dtype=inputs.dtype)
    named["classifier.bias"] = torch.zeros(size, dtype=inputs.dtype)
    return plain.logits(named, inputs, norm)


@pytest.mark.parametrize("classes", [(0, 1, 2), (0, 2)])
@pytest.mark.parametrize("augmentation", ["none", "dsa", "combined"])
@pytest.mark.parametrize("network", ["instance", "batch", "mlp"])
def test_loss_and_gradient_are_those_of_plain_class_means(
    network, augmentation, classes, tiny_images, context, small_set, plain
):
    matcher = prepared(tiny_images, context, network, augmentation)
    synthetic = small_set(classes=classes)
    step = matcher.step(synthetic, generator(5))

    rng = generator(5)  # the same draws, in the same order
    real, labels = matcher.draw_real(synthetic, rng)
    changes = matcher.draw_changes(rng)
    net = matcher.fresh_network(synthetic.inputs, rng)
    inputs = synthetic.inputs.clone().requires_grad_()
    augment = context.augmentation(matcher.options.augmentation)

    def embedded(samples, of):
        one_by_one = [
            augment.apply(x[None], changes[c][None])
            for x, c in zip(samples, of.tolist(), strict=True)
        ]
        return plain_embedding(plain, net, torch.cat(one_by_one), network)

    truth, ours = embedded(real, labels), embedded(inputs, synthetic.labels)
    loss = 0
    for c in classes:
        goal = sum(truth[i] for i, y in enumerate(labels) if y == c) / 7
        mine = sum(ours[i] for i, y in enumerate(synthetic.labels) if y == c) / 3
        loss = loss + ((goal - mine) ** 2).sum()
    (gradient,) = torch.autograd.grad(loss, inputs)
    torch.testing.assert_close(step.loss, loss.detach(), rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(step.grad_inputs, gradient, rtol=1e-10, atol=1e-12)
    assert step.grad_inputs.abs().max() > 1e-6
    assert step.grad_labels is None
    assert step.grad_step_size is None


@pytest.mark.parametrize(("network", "sizes"), [("instance", [1, 1, 1]), ("batch", [3])])
def test_a_large_set_passes_a_few_classes_at_a_time(
    network, sizes, tiny_images, context, small_set, monkeypatch
):
    matcher, synthetic = prepared(tiny_images, context, network), small_set()
    whole = matcher.step(synthetic, generator(5))
    monkeypatch.setattr(distribution, "PASS", 2)
    net = matcher.fresh_network(synthetic.inputs, generator())
    assert [len(part) for part in passes(synthetic.labels, net)] == sizes
    again = matcher.step(synthetic, generator(5))
    torch.testing.assert_close(again.loss, whole.loss, rtol=1e-12, atol=0)
    torch.testing.assert_close(again.grad_inputs, whole.grad_inputs, rtol=1e-10, atol=1e-14)


def test_real_samples_are_distinct_and_of_their_class(tiny_images, context, small_set):
    matcher, rng = prepared(tiny_images, context), generator(1)
    synthetic = small_set(classes=(0, 2))
    seen = set()
    for _ in range(40):
        inputs, labels = matcher.draw_real(synthetic, rng)
        assert labels.tolist() == [0] * 7 + [2] * 7
        assert inputs.dtype == synthetic.inputs.dtype
        assert len(torch.unique(inputs.flatten(1), dim=0)) == 14
        seen |= {tuple(x.flatten()[:4].tolist()) for x in inputs}
    assert len(seen) == 60  # in time every sample of both classes
    few = prepared(tiny_images, context, real_per_class=1000)
    assert len(few.draw_real(synthetic, rng)[0]) == 60  # of a small class all


def test_each_class_has_a_draw_of_its_own(tiny_images, context, small_set):
    matcher = prepared(tiny_images, context)
    changes = matcher.draw_changes(generator(2))
    assert len(changes) == 3
    assert len(torch.unique(changes, dim=0)) == 3


def test_every_step_has_another_network(tiny_images, context, small_set):
    matcher, rng = prepared(tiny_images, context), generator(3)
    like = torch.zeros((), dtype=torch.float64)
    one, other = (matcher.fresh_network(like, rng) for _ in range(2))
    assert not torch.equal(next(one.parameters()), next(other.parameters()))
    again = matcher.fresh_network(like, generator(3))
    assert torch.equal(next(one.parameters()), next(again.parameters()))


def test_dropout_does_not_make_a_step_random(tiny_images, context, small_set):
    matcher = prepared(tiny_images, context)
    dropped = torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Dropout(0.9), torch.nn.Linear(768, 3)
    )
    context.network = lambda *args: dropped
    torch.manual_seed(0)
    first = matcher.step(small_set(), generator(1))
    torch.manual_seed(1)
    assert torch.equal(first.loss, matcher.step(small_set(), generator(1)).loss)
    assert dropped.training


def test_a_network_without_a_linear_layer_is_refused(tiny_images, context, small_set):
    matcher = prepared(tiny_images, context)
    context.network = lambda *args: torch.nn.Flatten()
    with pytest.raises(OptionError, match=r"has no torch\.nn\.Linear"):
        matcher.step(small_set(), generator())
