"""The gradient of learned labels, in every form, against a plain loop in float64."""

import pytest
import torch

from condense_plugins.matchers.trajectory import graphs
from condense_plugins.matchers.trajectory.compiled import CompiledSteps
from condense_plugins.matchers.trajectory.gradient import constant_memory, unrolled
from condense_plugins.matchers.trajectory.graphs import CapturedSteps
from condense_plugins.matchers.trajectory.tangent import TangentSteps


def recorded(steps):
    return CapturedSteps(TangentSteps.of(steps))


def traced(steps):
    return CompiledSteps(TangentSteps.of(steps), backend="aot_eager")


FORMS = {
    "unrolled": (unrolled, lambda steps: steps),
    "constant": (constant_memory, lambda steps: steps),
    "tangent": (constant_memory, TangentSteps.of),
    "recorded": (constant_memory, recorded),
}


@pytest.fixture
def stand_in(monkeypatch):
    """In the place of a recording: running the body."""
    monkeypatch.setattr(graphs, "capture", lambda body: (body(), body)[1])


def assert_equal_to_plain(case, form, steps):
    loss, inputs, eta, logits = case.plain(create_graph=True)
    got = form(steps, case.rollout, case.inputs)
    assert logits.abs().max() > 1e-4, "a truth of zero would prove nothing"
    torch.testing.assert_close(got.loss, loss, rtol=1e-10, atol=0)
    torch.testing.assert_close(got.grad_labels, logits, rtol=1e-9, atol=1e-13)
    torch.testing.assert_close(got.grad_inputs, inputs, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(got.grad_step_size, eta, rtol=1e-10, atol=1e-12)
    assert not got.grad_labels.requires_grad


@pytest.mark.parametrize("network", ["batch", "mlp"])
@pytest.mark.parametrize("name", FORMS)
def test_equal_to_a_plain_loop(make_case, stand_in, network, name):
    form, steps_of = FORMS[name]
    case = make_case(network, "dsa", soft=True)
    assert_equal_to_plain(case, form, steps_of(case.steps))


def test_a_traced_walk(make_case):
    torch._dynamo.reset()
    case = make_case("batch", "none", samples=4, batch_size=4, steps=2, soft=True)
    steps = traced(case.steps)
    assert_equal_to_plain(case, constant_memory, steps)
    assert steps._backward.compiled is not None
    torch._dynamo.reset()


@pytest.mark.parametrize("form", [constant_memory, unrolled])
def test_a_sample_drawn_twice_and_one_that_is_not_drawn(make_case, form):
    case = make_case("mlp", batches=[[0, 0, 2], [2, 3]], soft=True)
    assert_equal_to_plain(case, form, case.steps)
    got = form(case.steps, case.rollout, case.inputs).grad_labels
    assert (got.abs().amax(1) > 0).tolist() == [True, False, True, True, False, False, False]
    # a softmax does not change when all its logits grow alike
    torch.testing.assert_close(got.sum(1), torch.zeros_like(got[:, 0]), rtol=0, atol=1e-14)


def test_certain_logits_are_plain_labels(make_case):
    """Where all the weight is on one class, loss and gradients are those of that label."""
    plain = make_case("batch", "dsa")
    soft = make_case("batch", "dsa", soft=True)
    own = torch.nn.functional.one_hot(plain.steps.labels, soft.steps.label_logits.shape[1])
    soft.steps.label_logits.copy_(200.0 * own)
    want = constant_memory(plain.steps, plain.rollout, plain.inputs)
    got = constant_memory(soft.steps, plain.rollout, plain.inputs)
    torch.testing.assert_close(got.loss, want.loss, rtol=1e-12, atol=0)
    torch.testing.assert_close(got.grad_inputs, want.grad_inputs, rtol=1e-10, atol=1e-14)
    torch.testing.assert_close(got.grad_labels, torch.zeros_like(got.grad_labels))


def test_recorded_steps_follow_labels_that_move_in_place(make_case, stand_in):
    case = make_case("batch", "none", soft=True)
    steps = recorded(case.steps)
    constant_memory(steps, case.rollout, case.inputs)
    case.steps.label_logits.mul_(-1.5)
    assert_equal_to_plain(case, constant_memory, steps)
