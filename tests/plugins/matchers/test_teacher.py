"""What experts say of samples, against networks run one by one."""

import pytest
import torch
from torch.nn.utils import parameters_to_vector

from condense.engine.training.batches import network_inputs
from condense.interfaces import TrainingSet
from condense.options import NetworkSpec, build_options
from condense_plugins.conformance import CONFORMANCE
from condense_plugins.matchers.trajectory.matcher import TrajectoryMatcher
from condense_plugins.matchers.trajectory.options import TrajectoryOptions
from condense_plugins.matchers.trajectory.student import Student
from condense_plugins.matchers.trajectory.teacher import ExpertPanel, batches


def networks(context, data, spec, count):
    return [
        context.network(spec, data.geometry, torch.Generator().manual_seed(k)) for k in range(count)
    ]


def test_mean_of_the_experts_that_are_right(tiny_images, context):
    data = tiny_images.without_test()
    made = networks(context, data, NetworkSpec.of("mlp", width=16), 3)
    first = torch.zeros(sum(p.numel() for p in made[0].parameters()))
    # an early snapshot beside the last, which alone is asked
    ways = [torch.stack([first, parameters_to_vector(n.parameters()).detach()]) for n in made]
    indices = torch.tensor([0, 3, 40, 41, 65, 89, 7, 12])
    rng = torch.Generator().manual_seed(0)
    got = ExpertPanel(ways, Student(made[0]), data, context, rng).logits(indices)

    expected, cases = [], set()
    with torch.no_grad():
        for index in indices.tolist():
            said = [n(network_inputs(data, torch.tensor([index])))[0] for n in made]
            right = [z for z in said if int(z.argmax()) == int(data.labels[index])]
            cases.add(len(right))
            chosen = right or said
            expected.append(sum(chosen) / len(chosen))
    assert len(cases) > 1
    assert 0 in cases, "one sample should be a riddle to all of them"
    torch.testing.assert_close(got, torch.stack(expected), rtol=1e-4, atol=1e-5)


def test_samples_of_any_kind_get_the_mean_of_all_experts(tiny_images, context):
    data = tiny_images.without_test()
    made = networks(context, data, NetworkSpec.of("mlp", width=16), 3)
    first = torch.zeros(sum(p.numel() for p in made[0].parameters()))
    ways = [torch.stack([first, parameters_to_vector(n.parameters()).detach()]) for n in made]
    inputs = torch.randn(5, *data.geometry.shape, generator=torch.Generator().manual_seed(1))
    labels, role = torch.zeros(5, dtype=torch.int64), torch.ones(5, dtype=torch.uint8)
    samples = TrainingSet(inputs, labels, role, None, data.geometry)
    rng = torch.Generator().manual_seed(0)
    got = ExpertPanel(ways, Student(made[0]), data, context, rng).sample_logits(samples)
    with torch.no_grad():
        expected = torch.stack([n(inputs) for n in made]).mean(0)
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)


def test_they_are_shown_among_all_of_the_training_split(tiny_images, context):
    """93 samples are one batch, whose statistics a batch norm takes, in whatever order."""
    data = tiny_images.without_test()
    (network,) = networks(context, data, NetworkSpec.of("convnet", width=4, norm="batch"), 1)
    way = parameters_to_vector(network.parameters()).detach()[None]
    inputs = 3 * torch.randn(3, *data.geometry.shape, generator=torch.Generator().manual_seed(1))
    labels, role = torch.zeros(3, dtype=torch.int64), torch.ones(3, dtype=torch.uint8)
    samples = TrainingSet(inputs, labels, role, None, data.geometry)
    rng = torch.Generator().manual_seed(0)
    got = ExpertPanel([way], Student(network), data, context, rng).sample_logits(samples)
    network.train()
    with torch.no_grad():
        everything = torch.cat([network_inputs(data, torch.arange(len(data))), inputs])
        expected = network(everything)[-3:]
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)


def test_what_experts_have_learned_is_their_share_of_right_answers(tiny_images, context):
    data = tiny_images.without_test()
    made = networks(context, data, NetworkSpec.of("mlp", width=16), 10)
    first = torch.zeros(sum(p.numel() for p in made[0].parameters()))
    ways = [torch.stack([first, parameters_to_vector(n.parameters()).detach()]) for n in made]
    rng = torch.Generator().manual_seed(0)
    got = ExpertPanel(ways, Student(made[0]), data, context, rng).accuracy()
    with torch.no_grad():
        said = [n(network_inputs(data, torch.arange(90))).argmax(1) for n in made[:8]]
    expected = torch.stack([(guess == data.labels).float().mean() for guess in said])
    torch.testing.assert_close(got, expected)
    assert len(set(got.tolist())) > 1


def test_a_batch_norm_takes_the_statistics_of_the_training_split(tiny_images, context):
    """All 90 samples are one batch here; a batch of the few that are asked about would differ."""
    data = tiny_images.without_test()
    (network,) = networks(context, data, NetworkSpec.of("convnet", width=4, norm="batch"), 1)
    way = parameters_to_vector(network.parameters()).detach()[None]
    indices = torch.tensor([5, 50])
    rng = torch.Generator().manual_seed(0)
    got = ExpertPanel([way], Student(network), data, context, rng).logits(indices)
    with torch.no_grad():
        said = network.train()(network_inputs(data, torch.arange(90)))
    torch.testing.assert_close(got, said[indices], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("count", "sizes"), [(90, {90}), (500, {250}), (660, {220}), (1, {1})])
def test_no_batch_is_a_short_rest(count, sizes):
    chunks = batches(torch.arange(count))
    assert {len(c) for c in chunks} == sizes
    assert torch.equal(torch.cat(list(chunks)), torch.arange(count))


def test_the_matcher_answers_alike_from_experts_it_trained_and_experts_it_found(
    tiny_images, context
):
    data = tiny_images.without_test()
    options = build_options(
        TrajectoryOptions, CONFORMANCE["matcher:trajectory"]["options"], "matcher"
    )
    said = []
    for _ in range(2):
        matcher = TrajectoryMatcher(options)
        matcher.prepare(data, context, torch.Generator().manual_seed(4))
        rng = torch.Generator().manual_seed(4)
        said.append(matcher.label_logits(data, torch.arange(0, 90, 7), context, rng))
    assert said[0].shape == (13, 3)
    assert torch.equal(*said)
