"""The tangent rules against reverse over reverse and plain unrolling, in float64."""

import pytest
import torch
from torch import nn

from condense_plugins.matchers.trajectory import stem
from condense_plugins.matchers.trajectory.chain import rules_of, with_stem
from condense_plugins.matchers.trajectory.gradient import EagerSteps, constant_memory
from condense_plugins.matchers.trajectory.matcher import TrajectoryMatcher
from condense_plugins.matchers.trajectory.options import TrajectoryOptions
from condense_plugins.matchers.trajectory.rules import ConvRule
from condense_plugins.matchers.trajectory.stem import StemRule
from condense_plugins.matchers.trajectory.student import Student, flatten
from condense_plugins.matchers.trajectory.tangent import TangentSteps, left_bytes

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


STEMS = {
    "no pool": lambda: (nn.Conv2d(3, 5, 3, padding=1), 1),
    "no bias, windows of 3": lambda: (nn.Conv2d(3, 5, (4, 2), padding=(2, 1), bias=False), 3),
    "a kernel that leaves the border": lambda: (nn.Conv2d(3, 5, (3, 5)), 2),
}


@pytest.mark.parametrize("name", STEMS)
def test_first_layers_as_matrix_products(make_case, monkeypatch, name):
    conv, window = STEMS[name]()
    pool = [nn.AvgPool2d(window)] if window > 1 else []
    body = nn.Sequential(conv, nn.BatchNorm2d(5), nn.ReLU(), *pool, nn.Flatten())
    case = make_case("batch", "dsa", side=8)
    module = nn.Sequential(body, nn.Linear(body(torch.zeros(2, 3, 8, 8)).shape[1], 3)).double()
    nn.init.normal_(body[1].weight)
    steps = type(case.steps)(
        Student(module), case.steps.augmentation, case.inputs, case.steps.labels
    )
    monkeypatch.setattr(stem, "CHUNK", 8 * 5 * 8 * 8 * 2)  # two samples: the last chunk is short
    tangent = TangentSteps.of(steps)
    assert type(tangent.rules[0]) is StemRule
    theta, batch = flatten(module), case.rollout.batches[0]
    moved = tangent.forward(theta, case.rollout.step_size, batch)
    want = steps.forward(theta, case.rollout.step_size, batch)
    torch.testing.assert_close(moved, want, rtol=1e-10, atol=1e-12)
    call = (theta, torch.randn_like(theta), case.rollout.step_size, batch)
    for got, want in zip(tangent.backward(*call)[:3], steps.backward(*call)[:3], strict=True):
        torch.testing.assert_close(got, want, rtol=1e-10, atol=1e-12)


def test_other_first_layers_stay_apart(make_case):
    plain = [nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.AvgPool2d(2)]
    shape = torch.Size([5, 3, 8, 8])

    def first(layers, shape=shape):
        return type(with_stem(rules_of(nn.Sequential(*layers)), shape)[0])

    assert first(plain) is StemRule
    assert first(plain, torch.Size([5, 3, 9, 8])) is ConvRule  # a row that the pool leaves out
    assert first([nn.Conv2d(3, 4, 3, stride=2), *plain[1:]]) is ConvRule
    assert first([nn.Conv2d(8, 4, 3, padding=1), *plain[1:]], torch.Size([5, 8, 8, 8])) is ConvRule
    assert first([*plain[:3], nn.AvgPool2d(2, stride=1)]) is ConvRule
    assert first([plain[0], *plain[2:]]) is ConvRule


@pytest.mark.parametrize("network", ["batch", "mlp"])
def test_what_a_step_leaves_changes_no_bit_and_is_taken(make_case, network):
    case = make_case(network, "dsa", dtype=torch.float32)
    none, all_of_it = (TangentSteps.of(case.steps, budget=b) for b in (0, 10**9))
    want = constant_memory(none, case.rollout, case.inputs)
    batch = case.rollout.batches[0]
    none.forward(case.rollout.start, case.rollout.step_size, batch)
    assert batch.memo == []
    all_of_it.forward(case.rollout.start, case.rollout.step_size, batch)
    assert batch.memo != []
    got = constant_memory(all_of_it, case.rollout, case.inputs)
    assert torch.equal(got.grad_inputs, want.grad_inputs)
    assert torch.equal(got.grad_step_size, want.grad_step_size)
    assert all(b.memo == [] for b in case.rollout.batches)
    assert all(rule.memo == rule.saved == () for rule in (*none.rules, *all_of_it.rules))


@pytest.mark.parametrize("share", [0.3, 0.7, 0.95])
def test_what_fits_is_left_and_the_rest_is_found_again(make_case, share):
    case = make_case("batch", "dsa", dtype=torch.float32)
    call = (case.rollout.start, case.rollout.step_size, case.rollout.batches[0])
    all_of_it = TangentSteps.of(case.steps, budget=10**9)
    want = constant_memory(all_of_it, case.rollout, case.inputs)
    all_of_it.forward(*call)
    whole = left_bytes(call[2])
    some = TangentSteps.of(case.steps, budget=int(share * whole))
    some.forward(*call)
    assert 0 < left_bytes(call[2]) <= share * whole
    got = constant_memory(some, case.rollout, case.inputs)
    assert torch.equal(got.grad_inputs, want.grad_inputs)
    assert all(rule.memo == rule.saved == () for rule in some.rules)


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
