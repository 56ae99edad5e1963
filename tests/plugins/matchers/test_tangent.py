"""The tangent rules against reverse over reverse and plain unrolling, in float64."""

import pytest
import torch
from torch import nn

from condense_plugins.matchers.trajectory.gradient import EagerSteps, constant_memory
from condense_plugins.matchers.trajectory.matcher import TrajectoryMatcher
from condense_plugins.matchers.trajectory.options import TrajectoryOptions
from condense_plugins.matchers.trajectory.rules import rules_of
from condense_plugins.matchers.trajectory.student import Student, flatten
from condense_plugins.matchers.trajectory.tangent import TangentSteps

CASES = [
    {"network": "batch", "augmentation": "none"},
    {"network": "batch", "augmentation": "dsa"},
    {"network": "batch", "augmentation": "dsa", "channels": 1, "per": "batch"},
    {"network": "batch", "augmentation": "simple", "side": 9},  # odd: a row the pool leaves out
    {"network": "mlp", "augmentation": "none"},
]


@pytest.mark.parametrize("options", CASES, ids=lambda o: "-".join(map(str, o.values())))
def test_the_whole_walk_equals_plain_unrolling(make_case, options):
    case = make_case(**options, eta=0.1)
    steps = TangentSteps.of(case.steps)
    got = constant_memory(steps, case.rollout, case.inputs)
    if options.get("side") != 9:  # the plain network of these tests knows even sides only
        loss, inputs, eta = case.plain(create_graph=True)
    else:
        want = constant_memory(case.steps, case.rollout, case.inputs)
        loss, inputs, eta = want.loss, want.grad_inputs, want.grad_step_size
    torch.testing.assert_close(got.loss, loss, rtol=1e-10, atol=0)
    torch.testing.assert_close(got.grad_inputs, inputs, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(got.grad_step_size, eta, rtol=1e-10, atol=1e-12)


def test_one_step_back_equals_autograd_in_each_of_its_results(make_case):
    case = make_case("batch", "dsa", soft=True)
    adjoint = torch.randn(len(case.rollout.start), dtype=torch.float64)
    call = (case.rollout.start, adjoint, case.rollout.step_size, case.rollout.batches[0])
    for got, want in zip(
        TangentSteps.of(case.steps).backward(*call), case.steps.backward(*call), strict=True
    ):
        torch.testing.assert_close(got, want, rtol=1e-10, atol=1e-12)


LAYERS = {
    "stride, padding, groups": lambda: nn.Sequential(
        nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=2), nn.ReLU(), nn.Flatten(), nn.Linear(96, 3)
    ),
    "no biases, overlapping pool": lambda: nn.Sequential(
        nn.Sequential(nn.Conv2d(4, 5, (3, 2), bias=False), nn.Identity()),
        nn.AvgPool2d(3, stride=2, padding=1, count_include_pad=False),
        nn.Flatten(),
        nn.Linear(60, 3, bias=False),
    ),
    "norms first, and of features": lambda: nn.Sequential(
        nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.BatchNorm1d(256), nn.Linear(256, 3)
    ),
    "a gain of zero": lambda: nn.Sequential(
        nn.Conv2d(4, 2, 3), zeroed(nn.BatchNorm2d(2)), nn.Flatten(), nn.Linear(72, 3)
    ),
}


def zeroed(norm):
    nn.init.zeros_(norm.weight)
    return norm


@pytest.mark.parametrize("name", LAYERS)
def test_layers_with_other_settings(make_case, name):
    module = LAYERS[name]().double()
    case = make_case("batch", "none", channels=4)
    steps = type(case.steps)(
        Student(module), case.steps.augmentation, case.inputs, case.steps.labels
    )
    theta = flatten(module)
    call = (theta, torch.randn_like(theta), case.rollout.step_size, case.rollout.batches[0])
    tangent = TangentSteps.of(steps)
    assert tangent is not None
    # labels are fixed here: the fourth, their gradient, is None
    for got, want in zip(tangent.backward(*call)[:3], steps.backward(*call)[:3], strict=True):
        torch.testing.assert_close(got, want, rtol=1e-10, atol=1e-12)


def test_equal_calls_give_equal_bytes_and_leave_nothing_behind(make_case):
    case = make_case("batch", "dsa", dtype=torch.float32)
    steps = TangentSteps.of(case.steps)
    first, again = (constant_memory(steps, case.rollout, case.inputs) for _ in range(2))
    assert torch.equal(first.grad_inputs, again.grad_inputs)
    assert all(rule.saved == () for rule in steps.rules)


class _Odd(nn.Sequential):
    def forward(self, x):
        return super().forward(x * 2)


SHARED = nn.Linear(4, 4)
UNKNOWN = [
    _Odd(nn.Flatten(), nn.Linear(4, 2)),
    nn.Sequential(nn.Flatten(), nn.Tanh()),
    nn.Sequential(nn.Conv2d(1, 1, 3, padding="same")),
    nn.Sequential(nn.Conv2d(1, 1, 3, padding=1, padding_mode="reflect")),
    nn.Sequential(nn.GroupNorm(1, 4)),
    nn.Sequential(nn.BatchNorm2d(4, affine=False)),
]


@pytest.mark.parametrize("network", UNKNOWN, ids=str)
def test_other_networks_have_no_rules(network):
    assert rules_of(network) is None


def test_a_network_that_uses_a_layer_twice_falls_back(make_case):
    case = make_case("mlp", "none")
    student = Student(nn.Sequential(nn.Flatten(), SHARED, nn.ReLU(), SHARED))
    steps = type(case.steps)(student, case.steps.augmentation, case.inputs, case.steps.labels)
    assert TangentSteps.of(steps) is None


def test_the_matcher_takes_the_rules_where_it_can(make_case):
    case = make_case("batch", "dsa")
    for precision, kind in (("auto", TangentSteps), ("fp32", TangentSteps), ("bf16", EagerSteps)):
        matcher = TrajectoryMatcher(TrajectoryOptions(precision=precision))
        assert type(matcher._quick_steps(case.steps)) is kind
    other = make_case("instance", "none")
    assert TrajectoryMatcher(TrajectoryOptions())._quick_steps(other.steps) is other.steps
