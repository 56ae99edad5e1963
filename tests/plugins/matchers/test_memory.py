"""Memory of both forms, measured as live tensor storage, and the choice between them."""

import weakref

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from condense.options import NetworkSpec
from condense_plugins.matchers.trajectory import memory
from condense_plugins.matchers.trajectory.gradient import constant_memory, unrolled
from condense_plugins.matchers.trajectory.matcher import TrajectoryMatcher
from condense_plugins.matchers.trajectory.memory import choose_form, step_bytes
from condense_plugins.matchers.trajectory.options import TrajectoryOptions
from condense_plugins.matchers.trajectory.tangent import TangentSteps


class LiveBytes(TorchDispatchMode):
    """Follows every storage that an operation makes until it is freed."""

    def __init__(self):
        super().__init__()
        self.now = self.peak = 0
        self.known = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, torch.Tensor):
                self._follow(tensor.untyped_storage())
        self.peak = max(self.peak, self.now)
        return result

    def _follow(self, storage):
        name, size = storage._cdata, storage.nbytes()
        if name not in self.known:
            self.known.add(name)
            self.now += size
            weakref.finalize(storage, self._forget, name, size)

    def _forget(self, name, size):
        self.known.discard(name)
        self.now -= size


def peak_bytes(function, *arguments):
    with LiveBytes() as live:
        function(*arguments)
    return live.peak


def wide_case(make_case, steps):
    return make_case(
        "batch", "dsa", side=16, width=8, samples=12, batch_size=12, steps=steps, eta=0.01,
        dtype=torch.float32,
    )  # fmt: skip


def peak_less_kept(form, case):
    """Peak of one meta-gradient without the kept θ_t: steps + 1 parameter vectors."""
    peak = peak_bytes(form, case.steps, case.rollout, case.inputs)
    return peak - (len(case.rollout.batches) + 1) * case.rollout.start.nbytes


def test_the_measure_counts_what_is_alive():
    def chain():
        a = torch.zeros(1000)  # 4000 bytes
        b = a + 1  # 8000 alive
        del a
        b = b * 2  # two alive for a moment, then one
        return b.view(10, 100) + b.view(10, 100)  # views cost nothing

    assert peak_bytes(chain) == 8000


def test_the_measure_sees_what_autograd_keeps():
    x = torch.zeros(1000, requires_grad=True)

    def chain():
        y = x
        for _ in range(5):
            y = y.exp()  # each result is saved for the backward pass

    assert peak_bytes(chain) == 5 * 4000


def test_constant_form_does_not_grow_with_steps(make_case):
    few, many = (peak_less_kept(constant_memory, wide_case(make_case, t)) for t in (5, 40))
    assert 0 < many <= 1.1 * few


def test_unrolled_form_would_fail_that(make_case):
    few, many = (peak_less_kept(unrolled, wide_case(make_case, t)) for t in (5, 40))
    assert many > 5 * few


def test_tangent_steps_do_not_grow_with_steps_and_need_no_more(make_case):
    few, many = (wide_case(make_case, t) for t in (5, 40))
    peaks = []
    for case in (few, many):
        steps = TangentSteps.of(case.steps)
        peak = peak_bytes(constant_memory, steps, case.rollout, case.inputs)
        peaks.append(peak - (len(case.rollout.batches) + 1) * case.rollout.start.nbytes)
    assert 0 < peaks[1] <= 1.1 * peaks[0]
    assert peaks[0] <= 1.1 * peak_less_kept(constant_memory, few)


def test_constant_form_needs_less_than_two_unrolled_steps(make_case):
    """Its activations are those of one step, not just something that stops growing."""
    one = peak_less_kept(constant_memory, wide_case(make_case, 20))
    two = peak_less_kept(unrolled, wide_case(make_case, 2))
    assert one < two


def test_step_bytes_is_what_one_more_unrolled_step_costs(make_case):
    few, many = (wide_case(make_case, t) for t in (10, 20))
    measured = (
        peak_bytes(unrolled, many.steps, many.rollout, many.inputs)
        - peak_bytes(unrolled, few.steps, few.rollout, few.inputs)
    ) / 10
    assert step_bytes(few.steps, few.rollout.batches[0]) == pytest.approx(measured, rel=0.25)


@pytest.mark.parametrize("form", ["constant", "unrolled"])
def test_choice_honours_the_option(form, make_case, monkeypatch):
    case = make_case()
    batch = case.rollout.batches[0]
    for limit in (0, 2**60):  # whatever auto would say
        monkeypatch.setattr(memory, "SHARE", limit)
        assert choose_form(TrajectoryOptions(memory=form), case.steps, batch) == form


def test_auto_unrolls_a_small_student_and_repeats_itself(make_case):
    case = make_case()
    options = TrajectoryOptions(memory="auto", steps=4)
    forms = {choose_form(options, case.steps, case.rollout.batches[0]) for _ in range(3)}
    assert forms == {"unrolled"}


def test_auto_keeps_memory_constant_where_unrolling_does_not_fit(make_case, monkeypatch):
    case = make_case()
    batch = case.rollout.batches[0]
    options = TrajectoryOptions(memory="auto", steps=100)
    one = step_bytes(case.steps, batch)
    monkeypatch.setattr(memory, "machine_memory", lambda: 100 * one)
    assert choose_form(options, case.steps, batch) == "constant"
    monkeypatch.setattr(memory, "machine_memory", lambda: 1000 * one)
    assert choose_form(options, case.steps, batch) == "unrolled"


def test_auto_takes_the_constant_form_where_the_tangent_rules_make_it_the_quicker(make_case):
    case = make_case()
    options = TrajectoryOptions(steps=1)
    assert choose_form(options, case.steps, case.rollout.batches[0], tangent=True) == "constant"


def test_an_estimate_counts_what_steps_leave(tiny_images, context, monkeypatch):
    def memory_of(form):
        options = TrajectoryOptions(
            memory=form, steps=3, batch_size=4, experts=2, max_start_epoch=1, expert_epochs=1,
            network=NetworkSpec.of("convnet", width=4, depth=1),
        )  # fmt: skip
        return TrajectoryMatcher(options).cost(tiny_images, 6, context).memory

    channels, height, width = tiny_images.geometry.shape
    least = 3 * 4 * height * width * (9 * channels + 1) * 4  # the rows of the first layer
    assert memory_of("auto") - memory_of("constant") >= least
    monkeypatch.setattr(memory, "machine_memory", lambda: 4 * least // 2)  # a quarter is too little
    assert memory_of("auto") - memory_of("constant") <= least // 2
