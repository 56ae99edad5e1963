"""The trajectory matcher around its gradient: batches, experts, what a step draws."""

import math
import shutil
import signal
from collections import Counter
from types import SimpleNamespace

import pytest
import torch
from torch.nn import functional as F
from torch.nn.utils import parameters_to_vector

from condense.engine.matching.loop import match
from condense.engine.matching.ranks import mean_step
from condense.engine.runtime.progress import SilentProgress
from condense.engine.runtime.rng import Seed
from condense.engine.training.batches import Batcher, initial_set
from condense.engine.training.concurrent import train_concurrently
from condense.engine.training.loop import Training
from condense.engine.training.schedule import Schedule
from condense.errors import CapacityError, OptionError
from condense.interfaces import Role, Selection, TrainingSet
from condense.options import AugmentationSpec, NetworkSpec, build_options
from condense.testing.toys import generator
from condense_plugins.matchers.trajectory import (
    cost as cost_module,
    matcher as matcher_module,
)
from condense_plugins.matchers.trajectory.experts import Experts, trajectory_of
from condense_plugins.matchers.trajectory.matcher import TrajectoryMatcher, draw_batches
from condense_plugins.matchers.trajectory.options import TrajectoryOptions

SMALL = TrajectoryOptions(
    iterations=5,
    steps=4,
    batch_size=5,
    experts=2,
    max_start_epoch=3,
    expert_epochs=2,
    expert_batch_size=40,
    network=NetworkSpec.of("convnet", width=4, depth=2),
    step_size=0.05,
)


def small_set(data, roles=(0, 1, 1)):
    """Three samples of each class, the first real, the others distilled."""
    chosen = [data.class_indices(c)[:3] for c in range(len(data.classes))]
    distilled = torch.tensor(roles * len(chosen)).bool()
    return initial_set(data, Selection.of_classes(chosen), distilled, SMALL.step_size)


def vector(network):
    return parameters_to_vector(network.parameters()).detach().clone()


def prepared(data, context, options=SMALL, seed=0):
    matcher = TrajectoryMatcher(options)
    matcher.prepare(data, context, generator(seed))
    return matcher


# batches


@pytest.mark.parametrize(
    ("samples", "batch_size", "steps", "sizes"),
    [
        (10, 4, 7, [4, 4, 2, 4, 4, 2, 4]),
        (10, 5, 4, [5, 5, 5, 5]),
        (3, 8, 3, [3, 3, 3]),
        (9, 3, 1, [3]),
        (1, 1, 3, [1, 1, 1]),
    ],
)
def test_batches_are_chunks_of_permutations(samples, batch_size, steps, sizes):
    batches = draw_batches(samples, batch_size, steps, generator())
    assert [len(b) for b in batches] == sizes
    drawn = torch.cat(batches).tolist()
    for start in range(0, len(drawn), samples):  # every permutation is used up before the next
        part = drawn[start : start + samples]
        assert len(set(part)) == len(part)
        if len(part) == samples:
            assert sorted(part) == list(range(samples))


def test_every_permutation_is_another_one():
    drawn = torch.cat(draw_batches(50, 10, 10, generator())).view(2, 50)
    assert not torch.equal(drawn[0], drawn[1])
    again = torch.cat(draw_batches(50, 10, 10, generator())).view(2, 50)
    assert torch.equal(drawn, again)


# experts


class Recorder:
    def __init__(self):
        self.epochs = [[]]

    def on_batch(self, indices, logits):
        self.epochs[-1].append(indices.clone())

    def on_epoch(self, done):
        self.epochs.append([])


def batches_drawn(data, context, rng, batch_size, epochs):
    """The batches that training draws from ``rng``, seen with a linear model."""
    network = context.network(NetworkSpec.of("mlp", depth=0), data.geometry, generator())
    recorder = Recorder()
    steps = epochs * -(-len(data) // batch_size)
    batcher = Batcher(TrainingSet.of(data), context.device)
    none = context.augmentation(AugmentationSpec.of("none"))
    Training(
        network, batcher, Schedule(steps, batch_size, 0.01), none, rng, callback=recorder
    ).run()
    return recorder.epochs[:-1]


def one_expert(data, context, options, seed, index):
    training = Experts(data, context, options, Seed(seed)).training(index)
    list(train_concurrently([training]))
    return trajectory_of(training)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_expert_is_what_plain_sgd_gives(momentum, tiny_images, context):
    options = SMALL.model_copy(update={"expert_momentum": momentum, "expert_lr": 0.05})
    got = one_expert(tiny_images, context, options, seed=3, index=1)

    network = context.network(
        options.network, tiny_images.geometry, Seed(3).fork("init", 1).generator()
    ).train()
    parameters = list(network.parameters())
    mean, std = (torch.tensor(v) for v in vars(tiny_images.normalization).values())
    images = ((tiny_images.inputs.float() / 255 - mean) / std).permute(0, 3, 1, 2)
    epochs = batches_drawn(tiny_images, context, Seed(3).fork("batches", 1).generator(), 40, 4)
    assert [len(b) for b in epochs[0]] == [40, 40, 10]

    expected = [vector(network)]
    velocity = [torch.zeros_like(p) for p in parameters]
    for batches in epochs:
        for index in batches:
            loss = F.cross_entropy(network(images[index]), tiny_images.labels[index])
            gradients = torch.autograd.grad(loss, parameters)
            with torch.no_grad():
                for p, v, g in zip(parameters, velocity, gradients, strict=True):
                    v.mul_(momentum).add_(g)
                    p.sub_(0.05 * v)
        expected.append(vector(network))
    assert got.dtype == torch.float32
    torch.testing.assert_close(got, torch.stack(expected), rtol=0, atol=1e-5)


def test_trajectory_has_the_init_and_a_snapshot_per_epoch(tiny_images, context):
    got = one_expert(tiny_images, context, SMALL, seed=3, index=0)
    init = context.network(SMALL.network, tiny_images.geometry, Seed(3).fork("init", 0).generator())
    assert len(got) == SMALL.last_epoch + 1 == 5  # starts 0 … 2, targets two later
    assert torch.equal(got[0], vector(init))
    moves = got.diff(dim=0).norm(dim=1)  # equal snapshots would be aliases of one tensor
    assert bool((moves > 1e-3).all())


def test_experts_differ_and_more_of_them_reuse_the_first(tiny_images, context, monkeypatch):
    trained = []
    real = Experts.training

    def spy(self, index, task=None):
        trained.append(index)
        return real(self, index, task)

    monkeypatch.setattr(Experts, "training", spy)
    two = Experts.of(tiny_images, context, SMALL, generator()).load()
    more = SMALL.model_copy(update={"experts": 3})
    three = Experts.of(tiny_images, context, more, generator()).load()
    assert trained == [0, 1, 2]
    assert torch.equal(two[0], three[0])
    assert torch.equal(two[1], three[1])
    assert not torch.equal(three[0][0], three[1][0])
    assert not torch.equal(three[1][0], three[2][0])


@pytest.mark.parametrize(
    "change",
    [
        {"expert_lr": 0.02},
        {"expert_batch_size": 30},
        {"expert_momentum": 0.5},
        {"expert_augmentation": AugmentationSpec.of("simple")},
        {"network": NetworkSpec.of("convnet", width=5, depth=2)},
        {"expert_epochs": 3},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_changes_an_expert_changes_its_key(change, tiny_images, context):
    def key(options, data=tiny_images, seed=0):
        return Experts(data, context, options, Seed(seed)).key(0)

    assert key(SMALL.model_copy(update=change)) != key(SMALL)
    assert key(SMALL, seed=1) != key(SMALL)
    assert key(SMALL, tiny_images.subset(torch.arange(80))) != key(SMALL)
    # … and what only concerns students does not
    students = {"steps": 9, "iterations": 7, "image_lr": 3.0, "memory": "constant", "experts": 9}
    assert key(SMALL.model_copy(update=students)) == key(SMALL)


def test_experts_that_do_not_fit_the_disk_are_refused(tiny_images, context, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda root: SimpleNamespace(free=1000))
    with pytest.raises(CapacityError, match=r"2 experts need .* lower matcher\.experts"):
        Experts.of(tiny_images, context, SMALL, generator()).load()


# steps


def test_step_is_deterministic(tiny_images, context):
    synthetic = small_set(tiny_images)
    matcher = prepared(tiny_images, context)
    first = matcher.step(synthetic, generator(7))
    second = matcher.step(synthetic, generator(7))
    afresh = prepared(tiny_images, context).step(small_set(tiny_images), generator(7))
    for step in (second, afresh):
        assert torch.equal(first.loss, step.loss)
        assert torch.equal(first.grad_inputs, step.grad_inputs)
        assert torch.equal(first.grad_step_size, step.grad_step_size)
    other = matcher.step(synthetic, generator(8))
    assert not torch.equal(first.grad_inputs, other.grad_inputs)


def test_step_leaves_the_set_and_global_randomness_alone(tiny_images, context):
    synthetic, before = small_set(tiny_images), small_set(tiny_images)
    state = torch.get_rng_state()
    prepared(tiny_images, context).step(synthetic, generator(7))
    assert torch.equal(torch.get_rng_state(), state)
    for name in ("inputs", "labels", "role", "source_index", "step_size"):
        assert torch.equal(getattr(synthetic, name), getattr(before, name))


def test_forms_agree_through_the_matcher(tiny_images, context):
    one, other = (
        prepared(tiny_images, context, SMALL.model_copy(update={"memory": form})).step(
            small_set(tiny_images), generator(7)
        )
        for form in ("constant", "unrolled")
    )
    torch.testing.assert_close(one.grad_inputs, other.grad_inputs, rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(one.grad_step_size, other.grad_step_size, rtol=1e-3, atol=1e-6)


def test_cached_experts_make_no_difference_to_a_step(tiny_images, context):
    losses = []
    for _ in range(2):  # trained, then read
        rng = generator(4)
        before = rng.get_state()
        matcher = TrajectoryMatcher(SMALL)
        matcher.prepare(tiny_images, context, rng)
        assert torch.equal(rng.get_state(), before)
        losses.append(matcher.step(small_set(tiny_images), rng).loss)
    assert torch.equal(*losses)


def test_step_draws_starts_targets_and_batches_as_told(tiny_images, context, monkeypatch):
    walks = []
    real = matcher_module.constant_memory

    def spy(steps, rollout, inputs):
        walks.append(rollout)
        return real(steps, rollout, inputs)

    monkeypatch.setattr(matcher_module, "constant_memory", spy)
    options = SMALL.model_copy(update={"memory": "constant", "steps": 2, "expert_epochs": 1})
    matcher = prepared(tiny_images, context, options)
    known = Experts.of(tiny_images, context, options, generator()).load()
    synthetic, rng = small_set(tiny_images), generator(1)
    for _ in range(60):
        matcher.step(synthetic, rng)

    def places(vector):
        return [
            (k, epoch)
            for k, expert in enumerate(known)
            for epoch, snapshot in enumerate(expert)
            if torch.equal(snapshot, vector)
        ]

    found = Counter()
    for rollout in walks:
        (start,), (target,) = places(rollout.start), places(rollout.target)
        assert target == (start[0], start[1] + 1)
        assert float(rollout.step_size) == pytest.approx(0.05)
        assert [len(b.indices) for b in rollout.batches] == [5, 4]
        assert len(set(torch.cat([b.indices for b in rollout.batches]).tolist())) == 9
        assert [b.draws.shape[0] for b in rollout.batches] == [5, 4]
        found[start] += 1
    assert set(found) == {(k, epoch) for k in range(2) for epoch in range(3)}


def test_augmentation_goes_by_the_roles_of_the_set_at_hand(tiny_images, context, monkeypatch):
    """A matcher that was used on one set must not keep its roles for the next."""
    options = SMALL.model_copy(update={"augmentation": AugmentationSpec.of("combined")})
    roles = []
    matcher = prepared(tiny_images, context, options)
    real = matcher._augmentation.draw

    def spy(role, geometry, rng):
        roles.append(role)
        return real(role, geometry, rng)

    monkeypatch.setattr(matcher._augmentation, "draw", spy)
    matcher.step(small_set(tiny_images, (1, 1, 1)), generator())
    assert all(bool((r == Role.DISTILLED).all()) for r in roles)
    roles.clear()
    matcher.step(small_set(tiny_images, (0, 0, 0)), generator())
    assert all(bool((r == Role.REAL).all()) for r in roles)


def test_matching_lowers_the_loss(tiny_images, context):
    """The gradient points the right way: a few plain steps along it help the same rollout."""
    options = SMALL.model_copy(update={"augmentation": AugmentationSpec.of("none")})
    matcher, synthetic = prepared(tiny_images, context, options), small_set(tiny_images)
    losses = []
    for _ in range(10):
        step = matcher.step(synthetic, generator(2))
        losses.append(float(step.loss))
        synthetic.inputs.sub_(20.0 * step.grad_inputs)
    assert losses[-1] < losses[0]
    assert losses == sorted(losses, reverse=True)


# several trajectories an iteration


def test_several_trajectories_give_the_mean_of_their_gradients(tiny_images, context):
    matcher, synthetic = prepared(tiny_images, context), small_set(tiny_images)
    seed = int(torch.randint(2**62, (), generator=generator(7)))
    streams = [Seed(seed).fork("trajectory", number).generator() for number in range(3)]
    one, other, third = (matcher.step(synthetic, stream) for stream in streams)
    assert not torch.equal(one.grad_inputs, other.grad_inputs)  # each of them draws its own
    several = prepared(tiny_images, context, SMALL.model_copy(update={"trajectories": 3}))
    mean = mean_step(several, small_set(tiny_images), generator(7))
    for name in ("loss", "grad_inputs", "grad_step_size"):
        parts = [getattr(step, name) for step in (one, other, third)]
        assert torch.equal(getattr(mean, name), (parts[0] + parts[1] + parts[2]) / 3)


def test_several_trajectories_cost_as_much_as_they_are(tiny_images, context, monkeypatch):
    monkeypatch.setattr(cost_module, "time_call", lambda call, device: (call(), 0.5)[1])
    one, three = (
        prepared(tiny_images, context, SMALL.model_copy(update={"trajectories": w}))
        .cost(tiny_images, 9, context)
        .seconds
        for w in (1, 3)
    )
    assert (one, three) == (5 * 0.5, 3 * 5 * 0.5)


# start epochs below a bound that grows


def test_bound_on_start_epochs_grows_in_a_straight_line():
    """From 3 to 11 in 4 iterations: two epochs each, then level."""
    o = TrajectoryOptions(max_start_epoch=11, first_max_start_epoch=3, start_epoch_growth=4)
    assert [o.start_bound(i) for i in range(7)] == [3, 5, 7, 9, 11, 11, 11]
    flat = TrajectoryOptions(max_start_epoch=11)
    assert {flat.start_bound(i) for i in range(7)} == {11}
    slow = TrajectoryOptions(max_start_epoch=4, start_epoch_growth=9)  # from 1, a third each
    assert [slow.start_bound(i) for i in range(10)] == [1, 1, 1, 2, 2, 2, 3, 3, 3, 4]


def test_a_bound_that_would_shrink_is_refused():
    wrong = {"max_start_epoch": 4, "first_max_start_epoch": 5, "start_epoch_growth": 2}
    with pytest.raises(OptionError, match=r"first_max_start_epoch=5 is above max_start_epoch=4"):
        build_options(TrajectoryOptions, wrong, "matcher")
    build_options(TrajectoryOptions, {**wrong, "start_epoch_growth": 0}, "matcher")


def drawn(matcher, synthetic, iterations, seed=1):
    """(bound, start, batches) of each of ``iterations``, drawn as the engine would have them."""
    known, rng, found = matcher._experts, generator(seed), []
    for done in iterations:
        matcher.at_iteration(done)
        rollout = matcher._draw(synthetic, rng)
        starts = [
            e for expert in known for e, v in enumerate(expert) if torch.equal(v, rollout.start)
        ]
        found.append((starts[0], [b.indices.tolist() for b in rollout.batches]))
    return found


def test_start_epochs_stay_below_the_growing_bound(tiny_images, context):
    growing = SMALL.model_copy(update={"start_epoch_growth": 40})
    matcher, synthetic = prepared(tiny_images, context, growing), small_set(tiny_images)
    starts = [start for start, _ in drawn(matcher, synthetic, range(120))]
    assert set(starts[:20]) == {0}  # the bound is 1 up to there, 2 up to 40
    assert set(starts[20:40]) == {0, 1}
    assert set(starts[40:]) == {0, 1, 2}


def test_the_growing_bound_leaves_all_other_draws_alone(tiny_images, context):
    growing = SMALL.model_copy(update={"start_epoch_growth": 10})
    plain, grown = (
        drawn(prepared(tiny_images, context, o), small_set(tiny_images), range(15))
        for o in (SMALL, growing)
    )
    assert [batches for _, batches in plain] == [batches for _, batches in grown]
    assert plain[10:] == grown[10:]
    assert plain != grown


def test_an_interrupted_matching_with_all_of_it_continues_to_the_bit(
    tiny_images, context, tmp_path
):
    options = SMALL.model_copy(
        update={"iterations": 8, "start_epoch_growth": 6, "image_ema": 0.7, "snapshots": (2, 5)}
    )

    class Stopped(TrajectoryMatcher):
        left = 5

        def step(self, synthetic, rng):
            self.left -= 1
            if not self.left:
                signal.raise_signal(signal.SIGINT)
            return super().step(synthetic, rng)

    def matched(cls, **keywords):
        matcher, synthetic = cls(options), small_set(tiny_images)
        matcher.prepare(tiny_images, context, generator())
        state = match(matcher, synthetic, generator(1), SilentProgress(), **keywords)
        return synthetic.inputs, synthetic.step_size, *state.snapshots.values()

    whole = matched(TrajectoryMatcher)
    kept = {"checkpoint": tmp_path / "matching.partial", "key": {}}
    with pytest.raises(KeyboardInterrupt):
        matched(Stopped, **kept)
    continued = matched(TrajectoryMatcher, **kept)
    assert len(whole) == len(continued) == 4
    for one, other in zip(whole, continued, strict=True):
        assert torch.equal(one, other)


def test_plan_repeats_the_options():
    options = SMALL.model_copy(update={"snapshots": (2, 4), "image_lr": 3.0, "image_ema": 0.25})
    plan = TrajectoryMatcher(options).plan
    assert (plan.iterations, plan.image_lr, plan.image_momentum) == (5, 3.0, 0.5)
    assert (plan.step_size, plan.step_size_lr, plan.step_size_momentum) == (0.05, "auto", 0.5)
    assert (plan.snapshots, plan.image_ema) == ((2, 4), 0.25)


def test_a_step_size_of_its_own_takes_students_as_far_as_experts(tiny_images, context):
    # 2 epochs of ⌈90 / 40⌉ expert steps at 0.01 / (1 − 0.5), by 4 student steps
    told = {"expert_batch_size": 40, "expert_momentum": 0.5, "expert_lr": 0.01, "steps": 4}
    options = SMALL.model_copy(update=told | {"step_size": "auto", "expert_epochs": 2})
    assert len(tiny_images) == 90
    matcher = prepared(tiny_images, context, options)
    assert matcher.plan.step_size == pytest.approx(0.02 * 2 * 3 / 4)
    assert math.isnan(TrajectoryMatcher(options).plan.step_size)
