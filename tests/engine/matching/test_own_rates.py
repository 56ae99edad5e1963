"""Rates that nobody sets, and runs that diverge: by hand, by scale, across an interruption."""

import contextlib
import itertools
import math
from dataclasses import replace

import pytest
import torch

from condense import CondensedDataset
from condense.api import condense
from condense.data import Role, SyntheticSet
from condense.engine.matching import loop
from condense.engine.matching.loop import match
from condense.errors import CondenseError
from condense.results import MatchPlan, MatchStep
from condense.testing.toys import Notes

AUTO = MatchPlan(4, image_lr="auto", image_momentum=0.5, step_size=0.1)


def synthetic_set(inputs, roles):
    inputs = torch.as_tensor(inputs, dtype=torch.float32)
    zeros = torch.zeros(len(inputs), dtype=torch.int64)
    role = torch.tensor(roles, dtype=torch.uint8)
    return SyntheticSet(inputs.clone(), zeros, role, zeros.clone(), torch.tensor(0.1))


class Stepper:
    """A matcher made of one function of (inputs, step number, rng) to loss and gradient."""

    name = "stepper"

    def __init__(self, plan, function, slope=None, stop_at=None):
        self.plan, self.function, self.slope, self.stop_at = plan, function, slope, stop_at
        self.calls = 0

    def step(self, synthetic, rng):
        if self.calls == self.stop_at:
            raise KeyboardInterrupt
        self.calls += 1
        loss, gradient = self.function(synthetic.inputs, self.calls - 1, rng)
        slope = None if self.slope is None else torch.tensor(self.slope)
        return MatchStep(torch.as_tensor(loss), gradient, None, slope)


def run(matcher, synthetic, **keywords):
    notes = Notes()
    rng = torch.Generator().manual_seed(0)
    return match(matcher, synthetic, rng, notes, **keywords), notes.lines


# by hand


def test_updates_by_hand():
    gradients = [[[9.0], [0.5]], [[9.0], [-0.2]], [[9.0], [0.3]], [[9.0], [0.1]]]
    matcher = Stepper(AUTO, lambda x, at, rng: (1.0, torch.tensor(gradients[at])))
    synthetic = synthetic_set([[0.0], [2.0]], [Role.REAL, Role.DISTILLED])
    state, _ = run(matcher, synthetic)
    spread = math.sqrt(2)  # of 0 and 2, over 2 − 1
    x, momentum, square = 2.0, 0.0, 0.0
    for at, gradient in enumerate((0.5, -0.2, 0.3, 0.1)):
        momentum = 0.5 * momentum + gradient
        square = 0.9 * square + 0.1 * gradient**2
        size = math.sqrt(square / (1 - 0.9 ** (at + 1)))
        rate = 0.02 * spread * (1 - at / 4) * 0.5 / (1 - 0.5 ** (at + 1)) / size
        x -= rate * momentum
        assert float(state.own_rates.image_lr[at]) == pytest.approx(rate)
    assert synthetic.inputs.flatten().tolist() == pytest.approx([0.0, x])


@pytest.mark.parametrize("scale", [1e-30, 1e-12, 1.0, 1e12, 1e30])
def test_the_first_update_is_two_percent_of_the_spread(scale):
    start = torch.randn(6, 5, generator=torch.Generator().manual_seed(1))
    push = torch.randn(6, 5, generator=torch.Generator().manual_seed(2)) * scale
    synthetic = synthetic_set(start, [0, 1, 1, 0, 1, 1])
    run(Stepper(replace(AUTO, iterations=1), lambda x, at, rng: (1.0, push)), synthetic)
    spread = start.double().numpy().std(0, ddof=1)
    moved = (synthetic.inputs - start)[[1, 2, 4, 5]].double()
    assert float(moved.square().mean().sqrt()) == pytest.approx(
        0.02 * math.sqrt((spread**2).mean()), rel=1e-5
    )
    assert torch.equal(synthetic.inputs[[0, 3]], start[[0, 3]])


def test_no_sample_leaves_its_trust_region():
    start = torch.randn(8, 3, generator=torch.Generator().manual_seed(1))
    push = torch.ones(8, 3) * torch.arange(8.0)[:, None]
    synthetic = synthetic_set(start, [0] + [1] * 7)
    run(Stepper(replace(AUTO, iterations=400), lambda x, at, rng: (1.0, push)), synthetic)
    spread = start.double().var(0).mean().sqrt()
    away = (synthetic.inputs - start).double().square().mean(1).sqrt() / spread
    assert away[1:].tolist() == pytest.approx([0.5] * 7, rel=1e-5)


@pytest.mark.parametrize(("slope", "factor"), [(1e9, 0.97), (-1e-9, 1 / 0.97)])
def test_step_size_changes_by_three_percent_at_most(slope, factor):
    plan = replace(AUTO, step_size_lr="auto", step_size_momentum=0.5, iterations=30)
    function = lambda x, at, rng: (1.0, torch.ones_like(x))  # noqa: E731
    state, _ = run(Stepper(plan, function, slope), synthetic_set([[0.0], [2.0]], [0, 1]))
    ratios = torch.cat([torch.tensor([0.1]), state.step_size])
    ratios = ratios[1:] / ratios[:-1]
    assert float(ratios[0]) == pytest.approx(math.exp(math.copysign(0.03, factor - 1)))
    assert bool(((ratios.log().abs() <= 0.03 + 1e-6) & (ratios.log() * (factor - 1) > 0)).all())


def test_a_bad_first_step_changes_nothing_and_spoils_nothing():
    bad = lambda x, at, rng: (1.0, torch.full_like(x, 0.5 if at else math.nan))  # noqa: E731
    synthetic = synthetic_set([[0.0], [2.0]], [0, 1])
    state, _ = run(Stepper(replace(AUTO, iterations=2), bad), synthetic)
    assert float(state.own_rates.image_lr[0]) == 0.0
    assert float(synthetic.inputs[1]) == pytest.approx(2 - 0.02 * math.sqrt(2) / 2)


# by scale


@pytest.mark.parametrize("factor", [1000.0, 1024.0])
def test_samples_times_a_factor_end_as_the_result_times_it(factor):
    def towards(target, scale):
        def function(x, at, rng):
            off = x / scale - target + 0.1 * torch.randn(x.shape, generator=rng)
            return off.square().mean(), off / scale

        return function

    start = torch.randn(6, 4, generator=torch.Generator().manual_seed(1))
    target = torch.randn(6, 4, generator=torch.Generator().manual_seed(2))
    plan, ends = replace(AUTO, iterations=60), []
    for scale in (1.0, factor):
        synthetic = synthetic_set(start * scale, [0, 1, 1, 0, 1, 1])
        run(Stepper(plan, towards(target, scale)), synthetic)
        ends.append(synthetic.inputs / scale)
    assert not torch.allclose(ends[0], start, atol=0.1)
    exact = factor == 1024.0  # a power of two rounds nothing
    torch.testing.assert_close(ends[0], ends[1], rtol=0, atol=1e-6 if exact else 1e-4)


FEATURES = {
    "selector": "random",
    "matcher.network": "mlp",
    "matcher.experts": 2,
    "matcher.max_start_epoch": 2,
    "matcher.iterations": 30,
    "matcher.steps": 3,
}


def test_data_times_a_thousand_give_the_set_times_a_thousand(tmp_path, monkeypatch):
    rng = torch.Generator().manual_seed(1)
    labels = torch.arange(90) % 3
    values = torch.randn(90, 6, generator=rng) + 2 * torch.nn.functional.one_hot(labels, 6)
    found = []
    for number, scale in enumerate((1.0, 1.0, 1000.0)):
        monkeypatch.setenv("CONDENSE_STORE", str(tmp_path / str(number)))
        data = ((values * scale).numpy(), labels.numpy())
        found.append(condense(data, ipc=4, options=FEATURES, device="cpu"))
    one, again, scaled = found
    assert torch.equal(one.inputs, again.inputs)
    assert one.trace == again.trace
    assert len(one.trace.image_lr) == 30
    assert CondensedDataset.load(one.save(tmp_path / "set")).trace.image_lr == pytest.approx(
        one.trace.image_lr
    )

    def in_units(small):
        mean, std = (torch.tensor(v) for v in (small.normalization.mean, small.normalization.std))
        return small.inputs * std + mean

    assert not torch.equal(one.inputs[one.distilled], one.source_inputs[one.distilled])
    torch.testing.assert_close(in_units(scaled) / 1000, in_units(one), rtol=1e-3, atol=1e-3)


# divergence


def bowl(x, at, rng):
    """Loss Σx²/2: a rate above 2 climbs, each step the further."""
    return x.square().sum() / 2, x.clone()


BOWL = MatchPlan(40, image_lr=3.0, step_size=0.1)


def test_a_run_that_diverges_goes_back_and_lowers_its_rate():
    start = [[5.0, 3.0], [1.0, -2.0]]
    synthetic, sound = synthetic_set(start, [0, 1]), synthetic_set(start, [0, 1])
    state, (line,) = run(Stepper(BOWL, bowl), synthetic)
    assert line.startswith("note: matching diverged: the loss is ")
    assert line.endswith("; it goes on from iteration 0 at 0.25 times its rates")
    other, lines = run(Stepper(replace(BOWL, image_lr=0.75), bowl), sound)
    assert lines == []
    assert torch.equal(synthetic.inputs, sound.inputs)
    assert torch.equal(state.loss, other.loss)


def test_it_goes_back_as_often_as_it_must_and_then_gives_up():
    _, lines = run(Stepper(replace(BOWL, image_lr=3 * 4.0**5), bowl), synthetic_set([[1.0]], [1]))
    assert len(lines) == 6
    steep = Stepper(replace(BOWL, image_lr=3 * 4.0**9), bowl)
    told = r"^matching diverged: no finite loss in the last 20 iterations \(step size 0\.1\)$"
    with pytest.raises(CondenseError, match=told):
        run(steep, synthetic_set([[1.0]], [1]))


def test_a_loss_that_rises_whatever_the_rate_is_no_error():
    """As from a start that is all but perfect, or with starts that grow harder."""

    class Harder(Stepper):
        def at_iteration(self, done):
            self.calls = done

    harder = lambda x, at, rng: (1e-9 if at < 10 else 1.0, torch.ones_like(x))  # noqa: E731
    synthetic = synthetic_set([[0.0], [2.0]], [0, 1])
    state, lines = run(Harder(replace(AUTO, iterations=40), harder), synthetic)
    assert len(lines) == 6
    assert state.loss.tolist() == pytest.approx([1e-9] * 10 + [1.0] * 30)


def cliff(x, at, rng):
    """Nothing is finite beyond 2.2."""
    noise = 0.1 * torch.randn(x.shape, generator=rng)
    beyond = bool((x[1] > 2.2).any())
    return torch.tensor(math.nan if beyond else 1.0 + float(noise.mean())), noise - 1


CLIFF = replace(AUTO, iterations=120, snapshots=(5, 30, 70, 120))


def test_own_rates_are_lowered_too():
    synthetic = synthetic_set([[0.0, 1.0], [2.0, 2.0]], [0, 1])
    state, lines = run(Stepper(CLIFF, cliff), synthetic)
    assert 1 <= len(lines) < 7
    assert all("no finite loss in the last 50 iterations" in line for line in lines)
    assert state.retries == len(lines)
    assert bool(torch.isfinite(state.loss[-50:]).any())


@pytest.mark.parametrize("stops", [(70,), (20, 65), *itertools.product((33, 61), (59, 85))])
def test_a_run_killed_amid_its_retries_continues_to_the_bit(stops, tmp_path, monkeypatch):
    start, roles = [[0.0, 1.0], [2.0, 2.0]], [0, 1]
    whole_set = synthetic_set(start, roles)
    whole, all_lines = run(Stepper(CLIFF, cliff), whole_set)
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
    kept = {"checkpoint": tmp_path / "matching.partial", "key": {}}
    lines = Notes()
    for stop in (*stops, None):
        synthetic = synthetic_set(start, roles)
        rng = torch.Generator().manual_seed(0)
        with contextlib.suppress(KeyboardInterrupt):
            state = match(Stepper(CLIFF, cliff, stop_at=stop), synthetic, rng, lines, **kept)
    assert [line for line in lines.lines if "going on from" not in line] == all_lines
    assert torch.equal(synthetic.inputs, whole_set.inputs)
    for name in ("loss", "step_size", "image_momentum"):
        assert torch.equal(getattr(state, name).nan_to_num(7), getattr(whole, name).nan_to_num(7))
    assert torch.equal(state.own_rates.image_lr, whole.own_rates.image_lr)
    assert list(state.snapshots) == list(whole.snapshots)
    for at, rows in whole.snapshots.items():
        assert torch.equal(state.snapshots[at], rows)


# the first step size


class Best:
    """A matcher whose loss is least at one step size, under noise that equal draws share."""

    name = "best"

    def __init__(self, best, plan):
        self.best, self.plan, self.tried = best, plan, []

    def step(self, synthetic, rng):
        self.tried.append(float(synthetic.step_size))
        loss = torch.log(synthetic.step_size / self.best).square() + torch.rand((), generator=rng)
        loss = torch.where(synthetic.step_size > 10, math.inf, loss)
        return MatchStep(loss, torch.ones_like(synthetic.inputs), None, torch.tensor(0.0))


@pytest.mark.parametrize(("start", "found"), [(0.1, 0.1), (0.8, 0.1), (0.05, 0.05), (51.2, 0.1)])
def test_the_first_step_size_is_halved_while_that_helps(start, found):
    plan = replace(AUTO, iterations=1, step_size_lr="auto")
    for rates in (plan, replace(plan, step_size_lr=0.0)):
        synthetic, matcher = synthetic_set([[0.0], [2.0]], [0, 1]), Best(0.1, rates)
        synthetic.step_size.fill_(start)
        own = rates.step_size_lr == "auto"
        with contextlib.nullcontext() if own or start < 10 else pytest.raises(CondenseError):
            run(matcher, synthetic)
        assert float(synthetic.step_size) == pytest.approx(found if own else start)
        halvings = round(math.log2(start / found)) + 1
        assert len(matcher.tried) == (1 + 3 * (1 + halvings) if own else 1)


def test_what_is_tried_for_it_leaves_all_draws_as_they_are():
    drawn = []

    def noted(x, at, rng):
        drawn.append(float(torch.rand((), generator=rng)))
        return 1.0, torch.ones_like(x)

    plan = replace(AUTO, step_size_lr="auto", iterations=2)
    run(Stepper(plan, noted, slope=0.0), synthetic_set([[0.0], [2.0]], [0, 1]))
    assert drawn[:3] == drawn[3:6]  # equal students for each step size
    assert drawn[-2:] == drawn[:2]
