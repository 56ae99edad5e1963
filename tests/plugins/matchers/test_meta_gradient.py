"""Both forms of the meta-gradient against differentiating through a plain loop, in float64."""

from dataclasses import replace

import pytest
import torch

from condense_plugins.matchers.trajectory.gradient import constant_memory, unrolled

FORMS = [constant_memory, unrolled]
TOLERANCE = 1e-10

AUGMENTATIONS = {
    "none": ("none", {}),
    "simple": ("simple", {}),
    "combined": ("combined", {}),
    "dsa-sample": ("dsa", {"per": "sample"}),
    "dsa-batch": ("dsa", {"per": "batch"}),
} | {
    operation: ("dsa", {"strategy": operation})
    for operation in ("color", "crop", "cutout", "flip", "scale", "rotate")
}


@pytest.fixture(params=FORMS, ids=lambda form: form.__name__)
def form(request):
    return request.param


@pytest.fixture(params=AUGMENTATIONS.values(), ids=list(AUGMENTATIONS))
def augmentation(request):
    return request.param


def relative(got, expected):
    assert expected.abs().max() > 1e-8, "a truth of zero would prove nothing"
    return float((got - expected).abs().max() / expected.abs().max())


def assert_equal_to_plain(form, case):
    loss, grad_inputs, grad_eta = case.plain(create_graph=True)
    step = form(case.steps, case.rollout, case.inputs)
    assert relative(step.loss, loss) <= TOLERANCE
    assert relative(step.grad_inputs, grad_inputs) <= TOLERANCE
    assert relative(step.grad_step_size, grad_eta) <= TOLERANCE
    assert step.grad_inputs.dtype == step.grad_step_size.dtype == torch.float64
    assert step.grad_labels is None
    assert not step.loss.requires_grad
    assert not step.grad_inputs.requires_grad


@pytest.mark.parametrize("network", ["batch", "instance", "mlp"])
@pytest.mark.parametrize("channels", [1, 3], ids=["grey", "colour"])
def test_equal_to_a_plain_loop(form, network, channels, augmentation, make_case):
    # 7 samples in batches of 3, 2, 2, 3: short batches, and some samples twice
    name, options = augmentation
    case = make_case(network, name, channels=channels, **options)
    assert [len(b.indices) for b in case.rollout.batches] == [3, 2, 2, 3]
    assert_equal_to_plain(form, case)


def test_each_augmentation_really_changes_these_batches(augmentation, make_case):
    name, options = augmentation
    case = make_case("batch", name, **options)
    changed = any(
        not torch.equal(case.steps.augmentation.apply(raw, batch.draws), raw)
        for batch in case.rollout.batches
        for raw in [case.inputs[batch.indices]]
    )
    assert changed == (name != "none")


@pytest.mark.parametrize("network", ["batch", "instance", "mlp"])
def test_a_sample_drawn_twice_in_one_batch(form, network, make_case):
    case = make_case(network, "dsa", batches=[[0, 0, 2, 5], [2, 2, 2], [1, 0]])
    assert_equal_to_plain(form, case)


def test_many_more_draws_than_samples(form, make_case):
    case = make_case("batch", "dsa", samples=4, batch_size=3, steps=12, eta=0.05)
    assert sum(len(b.indices) for b in case.rollout.batches) == 24
    assert_equal_to_plain(form, case)


def test_one_step(form, make_case):
    assert_equal_to_plain(form, make_case("batch", steps=1))


def test_samples_that_are_not_drawn_have_no_gradient(form, make_case):
    case = make_case("instance", batches=[[0, 2], [2, 3]])
    gradient = form(case.steps, case.rollout, case.inputs).grad_inputs
    moved = gradient.flatten(1).abs().amax(1) > 0
    assert moved.tolist() == [True, False, True, True, False, False, False]


def test_second_order_terms_matter_here(make_case):
    """What TESLA drops would be noticed: so the equalities above do test it."""
    case = make_case("batch")
    eta = case.rollout.step_size
    kept = [case.rollout.start]
    for batch in case.rollout.batches:
        kept.append(case.steps.forward(kept[-1], eta, batch))
    way = (case.rollout.start - case.rollout.target).square().sum()
    adjoint = 2 * (kept[-1] - case.rollout.target) / way
    truncated = torch.zeros_like(case.inputs)
    for theta, batch in zip(kept, case.rollout.batches, strict=False):
        back = case.steps.backward(theta, adjoint, eta, batch)
        truncated.index_add_(0, batch.indices, -eta * back.raw)
    assert relative(truncated, case.plain(create_graph=True)[1]) > 0.01


@pytest.mark.parametrize("network", ["batch", "instance", "mlp"])
@pytest.mark.parametrize("name", ["none", "dsa"])
def test_finite_differences(form, network, name, make_case):
    case = make_case(network, name)
    step = form(case.steps, case.rollout, case.inputs)
    tiny = 1e-6

    place = tuple(torch.nonzero(step.grad_inputs == step.grad_inputs.max())[0].tolist())
    values = []
    for sign in (1, -1):
        moved = case.inputs.clone()
        moved[place] += sign * tiny
        values.append(case.plain(inputs=moved))
    slope = float(values[0] - values[1]) / (2 * tiny)
    assert slope == pytest.approx(float(step.grad_inputs[place]), rel=1e-5)

    eta = case.rollout.step_size
    slope = float(case.plain(eta=eta + tiny) - case.plain(eta=eta - tiny)) / (2 * tiny)
    assert slope == pytest.approx(float(step.grad_step_size), rel=1e-5)


def test_no_loss_and_no_gradient_at_the_target(form, make_case):
    case = make_case("batch", "dsa")
    end = case.plain_end(case.inputs, case.rollout.step_size, create_graph=False)
    target = torch.cat([p.detach().flatten() for p in end.values()])
    step = form(case.steps, replace(case.rollout, target=target), case.inputs)
    assert float(step.loss) < 1e-24
    assert float(step.grad_inputs.abs().max()) < 1e-12
    assert abs(float(step.grad_step_size)) < 1e-12


def test_a_student_that_does_not_move_has_loss_one(form, make_case):
    case = make_case("batch", eta=0.0)
    step = form(case.steps, case.rollout, case.inputs)
    assert float(step.loss) == 1.0
    assert not step.grad_inputs.any()
    assert relative(step.grad_step_size, case.plain(create_graph=True)[2]) <= TOLERANCE


def test_nothing_it_was_given_is_touched(form, make_case):
    case = make_case("batch", "dsa")
    rollout = case.rollout
    given = [rollout.start, rollout.target, rollout.step_size, case.inputs, case.steps.labels]
    given += [t for b in rollout.batches for t in (b.indices, b.draws)]
    given += list(case.steps.student.network.state_dict().values())
    before = [t.clone() for t in given]
    first = form(case.steps, rollout, case.inputs)
    second = form(case.steps, rollout, case.inputs)
    for tensor, copy in zip(given, before, strict=True):
        assert torch.equal(tensor, copy)
        assert tensor.grad is None
    assert not rollout.start.requires_grad
    assert not case.inputs.requires_grad
    assert torch.equal(first.grad_inputs, second.grad_inputs)  # no state is carried over


def test_both_forms_agree_in_float32(make_case):
    case = make_case("batch", "dsa", dtype=torch.float32, eta=0.05)
    one, other = (form(case.steps, case.rollout, case.inputs) for form in FORMS)
    assert relative(one.grad_inputs, other.grad_inputs) < 1e-4
    assert relative(one.grad_step_size, other.grad_step_size) < 1e-4
