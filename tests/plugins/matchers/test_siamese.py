"""Distribution and gradient matching in the engine's loop: killed, partial, estimated, refused."""

import os
import signal

import numpy as np
import processes
import pytest
import torch

from condense import condense
from condense.engine.matching.loop import match
from condense.engine.runtime.progress import SilentProgress
from condense.errors import CondenseError, OptionError
from condense.interfaces import Role
from condense.options import NetworkSpec
from condense.testing.toys import generator
from condense_plugins.matchers.distribution import DistributionMatcher
from condense_plugins.matchers.gradient import GradientMatcher

BOTH = pytest.mark.parametrize("cls", [DistributionMatcher, GradientMatcher], ids=lambda c: c.name)
OF_GRADIENT = {"network_iterations": 3, "network_steps": 2, "batch_size": 5, "network_lr": 0.1}


def made(cls, data, context, **options):
    own = OF_GRADIENT if cls.name == "gradient" else {}
    network = NetworkSpec.of("convnet", width=4, depth=2)
    given = {"network": network, "real_per_class": 7, **own, **options}
    matcher = cls(cls.Options(**given))
    matcher.prepare(data, context, generator())
    return matcher


@BOTH
@pytest.mark.parametrize("stop", [1, 4, 5, 6])
@pytest.mark.parametrize("rate", ["auto", 0.5])
def test_an_interrupted_matching_continues_to_the_bit(
    cls, stop, rate, tiny_images, context, small_set, tmp_path
):
    class Stopped(cls):
        left = stop

        def step(self, synthetic, rng):
            self.left -= 1
            if not self.left:
                signal.raise_signal(signal.SIGINT)
            return super().step(synthetic, rng)

    def matched(cls, **keywords):
        options = {"iterations": 8, "image_lr": rate, "image_ema": 0.7, "snapshots": (2, 5)}
        matcher = made(cls, tiny_images, context, **options)
        synthetic = small_set(dtype=torch.float32)
        state = match(matcher, synthetic, generator(1), SilentProgress(), **keywords)
        return synthetic.inputs, state.loss, *state.snapshots.values()

    whole = matched(cls)
    kept = {"checkpoint": tmp_path / "matching.partial", "key": {}}
    with pytest.raises(KeyboardInterrupt):
        matched(Stopped, **kept)
    continued = matched(cls, **kept)
    assert len(whole) == len(continued) == 4
    for one, other in zip(whole, continued, strict=True):
        assert torch.equal(one, other)


KILLED = """
import os, signal, sys
import condense.engine.matching.loop as loop
from condense.cli.main import main

loop.CHECKPOINT_SECONDS = 0.0
update, calls, last = loop.update, [], int(sys.argv.pop())
def dying(*args):
    calls.append(1)
    if len(calls) == last:
        os.kill(os.getpid(), signal.SIGKILL)
    update(*args)
loop.update = dying
main()
"""


def test_a_gradient_matching_that_is_killed_goes_on_to_the_same_bytes(tmp_path):
    options = {"iterations": 8, "network.width": 4, "real_per_class": 4, "snapshots": "[3,7]"}
    options |= {"network_iterations": 3, "network_steps": 2}
    told = [part for k, v in options.items() for part in ("-o", f"matcher.{k}={v}")]
    small = ["--method", "dc", "--ipc", "2", "-o", "policy=partial", *told]
    short = ["-o", "evaluator.steps=2", "-o", "evaluator.repeats=1", "--no-baselines"]

    def run(store, out, last):
        words = ["run", *small, *short, "--out", str(tmp_path / out), str(last)]
        environment = os.environ | {"CONDENSE_STORE": str(tmp_path / store)}
        return processes.run(KILLED, *words, env=environment).returncode

    assert run("whole", "a", 9) == 0
    assert run("killed", "b", 6) == -signal.SIGKILL  # five are done, two with the second network
    assert len(list((tmp_path / "killed").rglob("*.partial"))) == 1
    assert run("killed", "b", 4) == 0  # it does not come to a fourth
    for name in ("condensed.safetensors", "trace.csv", "results.json", "manifest.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


@BOTH
def test_frozen_samples_stay_and_distilled_ones_move(cls, tiny_images, context, small_set):
    matcher = made(cls, tiny_images, context, iterations=4)
    synthetic, before = (small_set(dtype=torch.float32) for _ in range(2))
    match(matcher, synthetic, generator(1), SilentProgress())
    moved = (synthetic.inputs != before.inputs).flatten(1).any(1)
    assert torch.equal(moved, synthetic.role == Role.DISTILLED)
    # … though frozen ones count: another one in their place gives other gradients
    step = matcher.step(before, generator(3))
    other = small_set(dtype=torch.float32)
    other.inputs[0] += 1
    again = made(cls, tiny_images, context).step(other, generator(3))
    assert not torch.equal(step.grad_inputs[1], again.grad_inputs[1])


@BOTH
def test_matching_lowers_the_loss(cls, tiny_images, context, small_set):
    """The gradient points the right way: a few plain steps along it help in the same networks."""
    synthetic = small_set(roles=(1, 1, 1), dtype=torch.float32)
    losses = []
    for _ in range(10):
        matcher = made(cls, tiny_images, context, augmentation="none")
        step = matcher.step(synthetic, generator(2))
        losses.append(float(step.loss))
        synthetic.inputs.sub_(0.1 * step.grad_inputs / step.grad_inputs.std())
    assert losses[-1] < 0.9 * losses[0]


@BOTH
def test_a_set_of_features_is_matched_without_any_option(cls, host):
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 3
    values = rng.normal(size=(60, 5)) + 2 * np.eye(5)[labels]
    options = {"matcher.iterations": 3}
    small = condense(
        (values, labels),
        method="dm" if cls is DistributionMatcher else "dc",
        ipc=2,
        options=options,
        host=host,
        device="cpu",
    )
    assert small.inputs.shape == (6, 5)
    assert bool((small.role == Role.DISTILLED).all())
    assert bool(torch.isfinite(small.inputs).all())


@BOTH
def test_an_estimate_is_in_proportion_to_the_iterations(cls, tiny_images, context, monkeypatch):
    monkeypatch.setattr(
        "condense_plugins.matchers._siamese.time_call", lambda call, device: (call(), 0.5)[1]
    )
    matcher = made(cls, tiny_images, context, iterations=40)
    assert matcher.cost(tiny_images, 6, context).seconds == pytest.approx(20)
    assert matcher.prepare_cost(tiny_images, context, generator()).seconds == 0


def labels_learned(method, start, host, digits):
    options = {
        "policy": "learned-labels",
        "policy.start": start,
        "policy.label_lr": 0.5,
        "matcher.iterations": 3,
        "matcher.network.width": 4,
        "matcher.real_per_class": 4,
    }
    return condense(digits, method=method, ipc=2, options=options, host=host, device="cpu")


def test_gradient_matching_learns_labels(host, digits):
    small = labels_learned("dc", "class", host, digits)
    soft = small.soft_labels
    assert soft.shape == (20, 10)
    start = torch.full((20, 10), 0.1 / 9).scatter_(1, small.labels[:, None], 0.9)
    assert float((soft - start).abs().max()) > 1e-4


@pytest.mark.parametrize(
    ("method", "start"), [("dm", "experts"), ("dc", "experts"), ("dm", "class")]
)
def test_labels_that_cannot_be_learned_are_refused(method, start, host, digits):
    told = {
        "dm": "^matcher 'distribution' cannot learn labels, as policy 'learned-labels' asks",
        "dc": "^matcher 'gradient' has no teachers .*policy.start=class",
    }[method]
    with pytest.raises((CondenseError, OptionError), match=told):
        labels_learned(method, start, host, digits)
