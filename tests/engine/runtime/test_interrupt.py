"""A real SIGINT in the middle of an iteration is answered after it, with a checkpoint."""

import signal
import threading

import pytest
import torch

from condense.data import SyntheticSet
from condense.engine.matching.loop import match
from condense.engine.runtime.interrupt import deferred_interrupt
from condense.engine.runtime.progress import SilentProgress
from condense.results import MatchPlan, MatchStep


class Interrupted:
    """Draws its gradients; sends this process a SIGINT in the middle of iteration ``at``."""

    name = "interrupted"

    def __init__(self, at=None):
        self.plan = MatchPlan(iterations=12, image_lr=0.1, image_momentum=0.5)
        self.at = at
        self.calls = 0

    def step(self, synthetic, rng):
        self.calls += 1
        noise = torch.randn(synthetic.inputs.shape, generator=rng)
        if self.calls == self.at:
            signal.raise_signal(signal.SIGINT)
        return MatchStep(noise.square().sum(), noise)


def fresh():
    labels = torch.zeros(4, dtype=torch.int64)
    role = torch.ones(4, dtype=torch.uint8)
    return SyntheticSet(torch.zeros(4, 3), labels, role, labels.clone(), torch.tensor(0.1))


def test_an_interrupted_matching_keeps_the_iteration_it_was_in(tmp_path):
    def run(matcher, synthetic, **more):
        rng = torch.Generator().manual_seed(3)
        match(matcher, synthetic, rng, SilentProgress(), key={"run": 1}, **more)
        return synthetic.inputs

    whole = run(Interrupted(), fresh())
    file = tmp_path / "matching.partial"
    with pytest.raises(KeyboardInterrupt):
        run(Interrupted(at=5), fresh(), checkpoint=file)
    rest = Interrupted()
    assert torch.equal(run(rest, fresh(), checkpoint=file), whole)
    assert rest.calls == 12 - 5


def test_the_second_interrupt_is_answered_at_once():
    noted = []

    def body():
        with deferred_interrupt() as interrupted:
            signal.raise_signal(signal.SIGINT)
            noted.append(interrupted())
            signal.raise_signal(signal.SIGINT)
            noted.append("went on")

    with pytest.raises(KeyboardInterrupt):
        body()
    assert noted == [True]


def test_the_handler_of_before_is_put_back():
    before = signal.getsignal(signal.SIGINT)
    with deferred_interrupt() as interrupted:
        assert signal.getsignal(signal.SIGINT) is not before
        assert not interrupted()
    assert signal.getsignal(signal.SIGINT) is before


def test_outside_the_main_thread_nothing_is_changed():
    seen = []

    def body():
        with deferred_interrupt() as interrupted:
            seen.append(interrupted())

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    assert seen == [False]
