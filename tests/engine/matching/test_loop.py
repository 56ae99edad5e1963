"""The matching loop: what it moves, what it must not move, and how it survives."""

import contextlib
import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import safetensors.torch
import torch

from condense.data import Role, SyntheticSet
from condense.engine.checked import check_frozen
from condense.engine.matching import loop as match_module
from condense.engine.matching.calibration import calibrate_step_size
from condense.engine.matching.loop import match
from condense.engine.matching.state import MatchState
from condense.engine.matching.updates import update
from condense.engine.runtime.files import read_sealed, write_sealed
from condense.engine.runtime.progress import SilentProgress
from condense.errors import CondenseError
from condense.results import MatchPlan, MatchStep
from condense.testing.toys import Notes
from condense.traits import MatcherTraits

PLAN = MatchPlan(
    iterations=3,
    image_lr=10.0,
    image_momentum=0.5,
    step_size=0.1,
    step_size_lr=0.01,
    step_size_momentum=0.5,
)


def synthetic_set(inputs, roles, step_size=0.1):
    inputs = torch.as_tensor(inputs, dtype=torch.float32)
    return SyntheticSet(
        inputs,
        torch.zeros(len(inputs), dtype=torch.int64),
        torch.tensor(roles, dtype=torch.uint8),
        torch.arange(len(inputs)),
        torch.tensor(step_size),
    )


class Told:
    """Gives the steps it was told to, one after the other."""

    name = "told"

    def __init__(self, steps, plan=PLAN):
        self.steps = iter(steps)
        self.plan = replace(plan, iterations=len(steps))

    def step(self, synthetic, rng):
        return next(self.steps)


class Noisy:
    """Random gradients everywhere, frozen samples too; can be interrupted at an iteration."""

    name = "noisy"

    def __init__(self, plan, stop_at=None):
        self.plan = plan
        self.stop_at = stop_at
        self.calls = 0

    def step(self, synthetic, rng):
        if self.calls == self.stop_at:
            raise KeyboardInterrupt
        self.calls += 1
        noise = torch.randn(synthetic.inputs.shape, generator=rng)
        slope = torch.randn((), generator=rng)
        # depends on the set too, so that a wrong state shows
        return MatchStep(synthetic.inputs.square().mean(), noise + synthetic.inputs, None, slope)


def told(gradients, slopes=None, losses=None):
    slopes = slopes or [0.0] * len(gradients)
    losses = losses or [1.0] * len(gradients)
    return [
        MatchStep(torch.tensor(loss), torch.tensor(g), None, torch.tensor(slope))
        for g, slope, loss in zip(gradients, slopes, losses, strict=True)
    ]


def run(matcher, synthetic, seed=0, **keywords):
    rng = torch.Generator().manual_seed(seed)
    return match(matcher, synthetic, rng, SilentProgress(), **keywords)


# one update


def test_update_by_hand_with_momentum():
    synthetic = synthetic_set([[1.0], [2.0]], [Role.REAL, Role.DISTILLED])
    steps = told([[[9.0], [0.1]], [[9.0], [0.2]], [[9.0], [0.0]]], [2.0, 1.0, 0.0])
    state = run(Told(steps), synthetic)
    # images: v = .1, .25, .125; x = 2 − 10·(.1 + .25 + .125) = −2.75
    assert synthetic.inputs.flatten().tolist() == pytest.approx([1.0, -2.75])
    # step size: v = 2, 2, 1; η = .1 − .01·2 = .08, .06, .05
    assert state.step_size.tolist() == pytest.approx([0.08, 0.06, 0.05])
    assert float(synthetic.step_size) == pytest.approx(0.05)
    assert state.loss.tolist() == [1.0, 1.0, 1.0]


def test_update_is_that_of_torch_sgd():
    rng = torch.Generator().manual_seed(0)
    start = torch.randn(6, 4, generator=rng)
    gradients = [torch.randn(6, 4, generator=rng) for _ in range(8)]
    slopes = [float(torch.randn((), generator=rng)) for _ in range(8)]
    roles = [0, 1, 1, 0, 1, 0]
    distilled = torch.tensor(roles).bool()

    synthetic = synthetic_set(start.clone(), roles, step_size=1.0)
    plan = replace(PLAN, image_lr=0.3)
    steps = told([g.tolist() for g in gradients], slopes)
    run(Told(steps, plan), synthetic)

    images = start[distilled].clone().requires_grad_()
    eta = torch.tensor(1.0, requires_grad=True)
    optimizer = torch.optim.SGD(
        [{"params": [images], "lr": 0.3}, {"params": [eta], "lr": 0.01}],
        momentum=0.5,
    )
    for gradient, slope in zip(gradients, slopes, strict=True):
        images.grad, eta.grad = gradient[distilled].clone(), torch.tensor(slope)
        optimizer.step()
    torch.testing.assert_close(synthetic.inputs[distilled], images.detach())
    torch.testing.assert_close(synthetic.step_size, eta.detach())


def test_step_size_stays_where_it_is_not_learned():
    synthetic = synthetic_set([[2.0]], [Role.DISTILLED])
    state = run(Told([MatchStep(torch.tensor(1.0), torch.tensor([[0.1]]))]), synthetic)
    assert float(synthetic.step_size) == pytest.approx(0.1)
    assert float(synthetic.inputs) == pytest.approx(1.0)
    assert float(state.step_momentum) == 0.0


# the average of the images


def test_average_by_hand():
    synthetic = synthetic_set([[1.0], [2.0]], [Role.REAL, Role.DISTILLED])
    plan = replace(PLAN, image_momentum=0.0, image_ema=0.75, snapshots=(1, 3))
    steps = told([[[9.0], [0.1]], [[9.0], [0.2]], [[9.0], [-0.4]]])
    seen = run(Told(steps, plan), synthetic).snapshots
    # images: 2, 1, −1, 3; average: 2, ¾·2 + ¼·1 = 1.75, ¾·1.75 − ¼ = 1.0625, then 1.546875
    assert synthetic.inputs.flatten().tolist() == pytest.approx([1.0, 1.546875])
    assert seen[1].flatten().tolist() == pytest.approx([1.75])
    assert torch.equal(seen[3], synthetic.inputs[1:])


def test_average_does_not_change_where_gradients_are_taken():
    class Watched(Noisy):
        def __init__(self, plan):
            super().__init__(plan)
            self.seen = []

        def step(self, synthetic, rng):
            self.seen.append(synthetic.inputs.clone())
            return super().step(synthetic, rng)

    plain, averaged = Watched(LONG), Watched(replace(LONG, image_ema=0.9))
    plain_set, averaged_set = fresh(), fresh()
    one, other = run(plain, plain_set), run(averaged, averaged_set)
    assert torch.equal(torch.stack(plain.seen), torch.stack(averaged.seen))
    assert torch.equal(one.loss, other.loss)
    # Σ weights · images, the closed form of the recursion, in double precision
    path = [*plain.seen, plain_set.inputs]
    weights = [0.9**57, *(0.1 * 0.9 ** (57 - k) for k in range(1, 58))]
    closed = sum(w * x.double() for w, x in zip(weights, path, strict=True))
    rows = other.rows
    torch.testing.assert_close(averaged_set.inputs[rows].double(), closed[rows], rtol=0, atol=1e-6)
    assert not torch.equal(averaged_set.inputs, plain_set.inputs)
    frozen = fresh().role == Role.REAL
    assert torch.equal(averaged_set.inputs[frozen], fresh().inputs[frozen])


def test_without_an_average_a_checkpoint_holds_none():
    rng = torch.Generator()
    names = set(MatchState.start(fresh(), LONG).tensors(rng))
    assert "image_average" not in names
    averaged = replace(LONG, image_ema=0.5)
    assert set(MatchState.start(fresh(), averaged).tensors(rng)) - names == {"image_average"}


# what must not move


def test_frozen_samples_are_bit_identical_after_momentum():
    rng = torch.Generator().manual_seed(1)
    start = torch.randn(10, 3, 4, 4, generator=rng)
    synthetic = synthetic_set(start.clone(), [0, 1] * 5)
    plan = replace(
        PLAN, iterations=50, image_lr=0.1, image_momentum=0.9, step_size_lr=1e-4
    )  # fmt: skip
    run(Noisy(plan), synthetic)
    assert torch.equal(synthetic.inputs[0::2], start[0::2])
    moved = (synthetic.inputs[1::2] - start[1::2]).flatten(1).norm(dim=1)
    assert bool((moved > 0.5).all())


@pytest.mark.parametrize("role", [Role.REAL, Role.DISTILLED])
def test_sets_of_one_role_only(role):
    start = torch.ones(4, 2)
    synthetic = synthetic_set(start.clone(), [role] * 4)
    run(Noisy(replace(PLAN, iterations=5, image_lr=0.1)), synthetic)
    assert torch.equal(synthetic.inputs, start) == (role == Role.REAL)


def test_a_plugin_that_writes_into_a_frozen_sample_is_found():
    before = synthetic_set(torch.ones(2, 2), [0, 1])
    after = synthetic_set(torch.ones(2, 2), [0, 1])
    after.inputs[1] += 1
    check_frozen(after, before)
    after.inputs[0, 0] += 1e-6
    with pytest.raises(CondenseError, match="frozen sample was changed"):
        check_frozen(after, before)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("where", ["loss", "images", "step size"])
def test_a_step_that_is_not_finite_changes_nothing(bad, where):
    synthetic = synthetic_set([[1.0, 1.0], [2.0, 2.0]], [Role.DISTILLED, Role.DISTILLED])
    state = MatchState.start(synthetic, PLAN)
    update(state, PLAN, told([[[0.1, 0.1], [0.1, 0.1]]], [1.0])[0])
    state.iteration = 1
    kept = [t.clone() for t in (synthetic.inputs, synthetic.step_size)]
    kept += [state.image_momentum.clone(), state.step_momentum.clone()]
    step = told([[[0.1, bad if where == "images" else 0.1], [0.1, 0.1]]],
                [bad if where == "step size" else 1.0],
                [bad if where == "loss" else 1.0])[0]  # fmt: skip
    update(state, PLAN, step)
    now = (synthetic.inputs, synthetic.step_size, state.image_momentum, state.step_momentum)
    for before, after in zip(kept, now, strict=True):
        assert torch.equal(before, after)


def test_a_frozen_sample_may_have_any_gradient():
    synthetic = synthetic_set([[1.0], [2.0]], [Role.REAL, Role.DISTILLED])
    run(Told(told([[[math.nan], [0.1]]])), synthetic)
    assert synthetic.inputs.flatten().tolist() == pytest.approx([1.0, 1.0])


def test_matching_goes_on_after_a_bad_step():
    synthetic = synthetic_set([[2.0]], [Role.DISTILLED])
    steps = told([[[0.1]], [[math.nan]], [[0.05]]])
    run(Told(steps, replace(PLAN, image_momentum=0.0)), synthetic)
    assert float(synthetic.inputs) == pytest.approx(0.5)


# step size


@pytest.mark.parametrize("slope", [1.0, 1e6, 1e30])
def test_step_size_stays_above_zero(slope):
    synthetic = synthetic_set([[0.0]], [Role.DISTILLED], step_size=0.001)
    state = run(Told(told([[[0.0]]] * 20, [slope] * 20)), synthetic)
    assert bool((state.step_size > 0).all())
    assert bool((state.step_size.diff() <= 0).all())


def test_step_size_stays_above_zero_however_long_it_is_pushed():
    synthetic = synthetic_set([[0.0]], [Role.DISTILLED], step_size=0.001)
    state = run(Told(told([[[0.0]]] * 100, [1e6] * 100)), synthetic)
    assert float(state.step_size[-1]) > 0


def test_step_size_falls_to_a_tenth_at_most_at_once():
    synthetic = synthetic_set([[0.0]], [Role.DISTILLED], step_size=0.1)
    run(Told(told([[[0.0]]], [1e6])), synthetic)
    assert float(synthetic.step_size) == pytest.approx(0.01)


# divergence


def nan_steps(count):
    return told([[[0.0]]] * count, losses=[math.nan] * count)


def test_divergence_is_an_error_with_the_advice_of_the_matcher():
    class Advised(Told):
        traits = MatcherTraits(advice={"no-finite-loss": "lower matcher.pace"})

    synthetic = synthetic_set([[2.0]], [Role.DISTILLED], step_size=0.125)
    for matcher, advice in ((Advised, "; lower matcher.pace"), (Told, "")):
        with pytest.raises(CondenseError, match=rf"step size 0\.125\){advice}$"):
            run(matcher(nan_steps(200)), synthetic)
    assert float(synthetic.inputs) == 2.0


def test_a_short_run_without_any_finite_loss_is_an_error_too():
    synthetic = synthetic_set([[2.0]], [Role.DISTILLED])
    with pytest.raises(CondenseError, match="diverged"):
        run(Told(nan_steps(20)), synthetic)


def test_a_short_spell_without_finite_loss_is_survived():
    synthetic = synthetic_set([[2.0]], [Role.DISTILLED])
    steps = nan_steps(49) + told([[[0.1]]]) + nan_steps(40)
    state = run(Told(steps), synthetic)
    assert state.iteration == 90
    assert float(synthetic.inputs) == pytest.approx(1.0)


# interruption


def fresh():
    start = torch.linspace(-1, 1, 24).reshape(6, 4)
    return synthetic_set(start, [0, 1, 1, 0, 1, 1])


LONG = replace(PLAN, iterations=57, image_lr=0.01, step_size_lr=1e-4)
KEY = {"run": "this one", "seed": 3}


@pytest.mark.parametrize("ema", [0.0, 0.9])
@pytest.mark.parametrize("stops", [(25,), (10,), (3,), (31, 12, 5), (57,)])
def test_an_interrupted_run_continues_to_the_bit(stops, ema, tmp_path, monkeypatch):
    plan, whole_set = replace(LONG, image_ema=ema), fresh()
    whole = run(Noisy(plan), whole_set)

    monkeypatch.setattr(match_module, "CHECKPOINT_SECONDS", 0.0)
    file = tmp_path / "deep" / "matching.partial"
    done = 0
    for stop in stops:
        with contextlib.suppress(KeyboardInterrupt):
            run(Noisy(plan, stop), fresh(), checkpoint=file, key=KEY)
        done += stop  # a checkpoint was kept after each
    matcher, synthetic = Noisy(plan), fresh()
    state = run(matcher, synthetic, checkpoint=file, key=KEY)
    assert matcher.calls == 57 - done
    assert torch.equal(synthetic.inputs, whole_set.inputs)
    assert torch.equal(synthetic.step_size, whole_set.step_size)
    for name in ("loss", "step_size", "image_momentum", "step_momentum"):
        assert torch.equal(getattr(state, name), getattr(whole, name))


def test_a_run_that_goes_on_says_where_from(tmp_path, monkeypatch):
    monkeypatch.setattr(match_module, "CHECKPOINT_SECONDS", 0.0)
    file, notes = tmp_path / "matching.partial", Notes()
    rng = torch.Generator()
    with pytest.raises(KeyboardInterrupt):
        match(Noisy(LONG, 25), fresh(), rng, notes, checkpoint=file, key=KEY)
    assert notes.lines == []
    match(Noisy(LONG), fresh(), rng, notes, checkpoint=file, key=KEY)
    assert notes.lines == ["note: going on from iteration 25 of 57, stored by an earlier run"]


def test_a_matcher_that_asks_is_told_the_iteration(tmp_path, monkeypatch):
    class Told(Noisy):
        def __init__(self, plan, stop_at=None):
            super().__init__(plan, stop_at)
            self.told = []

        def at_iteration(self, done):
            self.told.append(done)

    whole = Told(LONG)
    run(whole, fresh())
    assert whole.told == list(range(57))

    monkeypatch.setattr(match_module, "CHECKPOINT_SECONDS", 0.0)
    file = tmp_path / "matching.partial"
    with pytest.raises(KeyboardInterrupt):
        run(Told(LONG, 25), fresh(), checkpoint=file, key=KEY)
    rest = Told(LONG)
    run(rest, fresh(), checkpoint=file, key=KEY)
    assert rest.told == list(range(25, 57))


def test_a_long_iteration_is_kept_at_once(tmp_path, monkeypatch):
    """At most a minute is lost, also where ten iterations take longer than that."""
    clock = iter(range(0, 100_000, 30))  # every look at the clock is half a minute later
    monkeypatch.setattr(match_module.time, "monotonic", lambda: next(clock))
    file = tmp_path / "matching.partial"
    with pytest.raises(KeyboardInterrupt):
        run(Noisy(LONG, 5), fresh(), checkpoint=file, key=KEY)
    matcher = Noisy(LONG)
    run(matcher, fresh(), checkpoint=file, key=KEY)
    assert matcher.calls <= 57 - 3


def resealed(change):
    """Damage that its checksum does not tell: ``change`` of the head and the tensors."""

    def ruin(path):
        head, _, blob = read_sealed(path).partition(b"\n")
        head, tensors = json.loads(head), safetensors.torch.load(blob)
        change(head, tensors)
        text = json.dumps(head).encode()
        write_sealed(path, text + b"\n" + safetensors.torch.save(tensors))

    return ruin


def flip(at):
    def ruin(path):
        data = bytearray(path.read_bytes())
        data[int(at * len(data))] ^= 1
        path.write_bytes(data)

    return ruin


def zero_page(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 64] = bytes(64)
    path.write_bytes(data)


def instead(make):
    def ruin(path):
        path.unlink()
        make(path)

    return ruin


RUINS = {
    "garbage": lambda p: p.write_bytes(b"x" * 500),
    "truncated": lambda p: p.write_bytes(p.read_bytes()[: p.stat().st_size // 2]),
    "empty": lambda p: p.write_bytes(b""),
    "zeroed": zero_page,
    **{f"flip-{at}": flip(at) for at in (0.001, 0.3, 0.6, 0.9, 0.9999)},
    "folder": instead(Path.mkdir),
    "loop": instead(lambda p: p.symlink_to(p)),
    "other-run": resealed(lambda h, t: h.update(key="{}")),
    "no-iteration": resealed(lambda h, t: h.pop("iteration")),
    "iteration-text": resealed(lambda h, t: h.update(iteration="7")),
    "iteration-negative": resealed(lambda h, t: h.update(iteration=-1)),
    "iteration-beyond": resealed(lambda h, t: h.update(iteration=58)),
    "retries-many": resealed(lambda h, t: h.update(retries=7)),
    "good-beyond": resealed(lambda h, t: h.update(good=58)),
    "good-none": resealed(lambda h, t: h.update(good=None)),
    "good-gone": resealed(lambda h, t: t.pop("good-inputs")),
    "good-nan": resealed(lambda h, t: t["good-inputs"].fill_(float("nan"))),
    "good-rng": resealed(lambda h, t: t["good-rng"].fill_(255)),
    "tensor-gone": resealed(lambda h, t: t.pop("inputs")),
    "tensor-more": resealed(lambda h, t: t.update(more=torch.ones(1))),
    "shape": resealed(lambda h, t: t.update(inputs=t["inputs"][:1].clone())),
    "dtype": resealed(lambda h, t: t.update(image_momentum=t["image_momentum"].double())),
    "nan": resealed(lambda h, t: t["inputs"].fill_(float("nan"))),
    "loss-short": resealed(lambda h, t: t.update(loss=t["loss"][:3].clone())),
    "step-nan": resealed(lambda h, t: t["step_size"].fill_(float("nan"))),
    "rng": resealed(lambda h, t: t["rng"].fill_(255)),
    "rng-short": resealed(lambda h, t: t.update(rng=t["rng"][:9].clone())),
}


@pytest.mark.parametrize("damage", RUINS)
def test_a_checkpoint_that_does_not_fit_is_not_used(damage, tmp_path, monkeypatch):
    notes = Notes()
    monkeypatch.setattr(match_module, "CHECKPOINT_SECONDS", 0.0)
    file = tmp_path / "matching.partial"
    with pytest.raises(KeyboardInterrupt):
        run(Noisy(LONG, 25), fresh(), checkpoint=file, key=KEY)
    RUINS[damage](file)
    matcher, synthetic = Noisy(LONG), fresh()
    rng = torch.Generator().manual_seed(0)
    match(matcher, synthetic, rng, notes, checkpoint=file, key=KEY)
    assert matcher.calls == 57
    whole = fresh()
    run(Noisy(LONG), whole)
    assert torch.equal(synthetic.inputs, whole.inputs)
    (line,) = notes.lines
    assert line.startswith(f"warning: checkpoint {file} is damaged (")
    assert line.endswith("); starting anew")
    assert "\n" not in line


class Walks(Noisy):
    """A noisy matcher that carries something on: a place that it walks about."""

    def __init__(self, plan, stop_at=None):
        super().__init__(plan, stop_at)
        self.place = torch.zeros(3)

    def carried(self):
        return {"place": self.place}

    def carry(self, carried):
        self.place = carried["place"].clone()

    def step(self, synthetic, rng):
        step = super().step(synthetic, rng)
        self.place += torch.randn(3, generator=rng)  # in place: a checkpoint must hold a copy
        return replace(step, grad_inputs=step.grad_inputs + self.place.sum().sin())


@pytest.mark.parametrize("stops", [(25,), (3,), (31, 12, 5), (57,)])
def test_a_matcher_goes_on_from_what_it_carried(stops, tmp_path, monkeypatch):
    whole_set = fresh()
    run(Walks(LONG), whole_set)
    monkeypatch.setattr(match_module, "CHECKPOINT_SECONDS", 0.0)
    file = tmp_path / "matching.partial"
    for stop in stops:
        with contextlib.suppress(KeyboardInterrupt):
            run(Walks(LONG, stop), fresh(), checkpoint=file, key=KEY)
    matcher, synthetic = Walks(LONG), fresh()
    run(matcher, synthetic, checkpoint=file, key=KEY)
    assert matcher.calls == 57 - sum(stops)
    assert torch.equal(synthetic.inputs, whole_set.inputs)


def test_what_is_carried_goes_back_with_the_run():
    matcher, rng = Walks(LONG), torch.Generator().manual_seed(0)
    state = MatchState.start(fresh(), LONG, matcher=matcher)
    matcher.step(state.synthetic, rng)
    state.good, there = state.copy(rng), matcher.place.clone()
    matcher.step(state.synthetic, rng)
    state.loss[0], state.iteration = 1.0, 1
    assert state.go_back(rng)
    assert torch.equal(matcher.place, there)


def test_finding_the_step_size_leaves_what_is_carried_alone():
    matcher, rng = Walks(LONG), torch.Generator().manual_seed(0)
    synthetic = fresh()
    calibrate_step_size(matcher, synthetic, rng, lambda: matcher.step(synthetic, rng))
    assert matcher.calls > 0
    assert not matcher.place.any()


def test_a_checkpoint_without_what_is_carried_is_not_used(tmp_path, monkeypatch):
    monkeypatch.setattr(match_module, "CHECKPOINT_SECONDS", 0.0)
    file = tmp_path / "matching.partial"
    with pytest.raises(KeyboardInterrupt):
        run(Noisy(LONG, 25), fresh(), checkpoint=file, key=KEY)
    state = MatchState.start(fresh(), LONG, matcher=Walks(LONG))
    found = state.load(file, KEY, torch.Generator())
    assert "carried-place" in found


def test_no_checkpoint_is_written_before_it_is_time(tmp_path):
    file = tmp_path / "matching.partial"
    run(Noisy(LONG), fresh(), checkpoint=file, key=KEY)
    assert not file.exists()


# watching


def test_snapshots_are_taken_after_the_iterations_named():
    plan = replace(LONG, snapshots=(1, 12, 57, 99))
    synthetic = fresh()
    state = run(Noisy(plan), synthetic)
    seen = state.snapshots
    assert list(seen) == [1, 12, 57]
    assert torch.equal(seen[57], synthetic.inputs[state.rows])
    twelve = fresh()
    run(Noisy(replace(LONG, iterations=12)), twelve)
    assert torch.equal(seen[12], twelve.inputs[state.rows])


@pytest.mark.parametrize("ema", [0.0, 0.8])
def test_a_continued_run_has_all_its_snapshots(ema, tmp_path, monkeypatch):
    # a plan may name 0 and others of which there is nothing to keep
    plan = replace(LONG, snapshots=(0, 25, 2, 12, 99), image_ema=ema)
    whole = run(Noisy(plan), fresh()).snapshots
    monkeypatch.setattr(match_module, "CHECKPOINT_SECONDS", 0.0)
    keywords = {"checkpoint": tmp_path / "matching.partial", "key": KEY}
    with pytest.raises(KeyboardInterrupt):
        run(Noisy(plan, 15), fresh(), **keywords)
    rest = Noisy(plan)
    parts = run(rest, fresh(), **keywords).snapshots
    assert rest.calls == 57 - 15
    assert list(parts) == list(whole) == [2, 12, 25]
    for at, inputs in whole.items():
        assert torch.equal(parts[at], inputs)


def test_progress_adds_up_and_shows_loss_and_step_size():
    class Bar(SilentProgress):
        def __init__(self):
            self.done, self.figures, self.total = 0, {}, None

        def task(self, title, total, unit="it"):
            import contextlib

            self.total = total
            return contextlib.nullcontext(self)

        def advance(self, n=1, **figures):
            self.done += n
            self.figures = figures

    bar, synthetic = Bar(), fresh()
    state = match(Noisy(LONG), synthetic, torch.Generator().manual_seed(0), bar)
    assert bar.done == bar.total == 57
    assert bar.figures["loss"] == pytest.approx(float(state.loss[-1]))
    assert bar.figures["step size"] == pytest.approx(float(synthetic.step_size))


def test_no_step_size_is_told_where_there_is_none():
    shown = []

    class Bar(SilentProgress):
        def task(self, title, total, unit="it"):
            return contextlib.nullcontext(self)

        def advance(self, n=1, **figures):
            shown.append(set(figures))

    inputs = fresh().inputs
    plain = told([torch.ones_like(inputs).tolist()] * 10)
    without = replace(fresh(), step_size=torch.tensor(float("nan")))
    steps = [replace(step, grad_step_size=None) for step in plain]
    match(Told(steps), without, torch.Generator(), Bar())
    assert shown[-1] == {"loss"}
    lost = [replace(step, loss=torch.tensor(float("nan"))) for step in steps]
    without = replace(fresh(), step_size=torch.tensor(float("nan")))
    with pytest.raises(CondenseError, match=r"no finite loss in the last 10 iterations$"):
        run(Told(lost), without)


def test_no_iterations_change_nothing():
    synthetic = fresh()
    state = run(Noisy(replace(LONG, iterations=0)), synthetic)
    assert torch.equal(synthetic.inputs, fresh().inputs)
    assert state.loss.numel() == 0
