"""A real SIGINT in the middle of an iteration is answered after it, with a checkpoint."""

import signal
import sys
import threading
from pathlib import Path

import processes
import pytest
import torch

from condense.data import SyntheticSet
from condense.engine.matching.loop import match
from condense.engine.runtime.interrupt import (
    SIGNALS,
    Terminated,
    deferred_interrupt,
    terminable,
)
from condense.engine.runtime.progress import SilentProgress
from condense.results import MatchPlan, MatchStep


class Interrupted:
    """Draws its gradients; sends this process a SIGINT in the middle of iteration ``at``."""

    name = "interrupted"

    def __init__(self, at=None, number=signal.SIGINT):
        self.number = number
        self.plan = MatchPlan(iterations=12, image_lr=0.1, image_momentum=0.5)
        self.at = at
        self.calls = 0

    def step(self, synthetic, rng):
        self.calls += 1
        noise = torch.randn(synthetic.inputs.shape, generator=rng)
        if self.calls == self.at:
            signal.raise_signal(self.number)
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


POSIX = pytest.mark.skipif(sys.platform == "win32", reason="nobody sends SIGTERM on Windows")


@pytest.fixture
def handler():
    """Sets handlers, and puts those of before back."""
    before = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)}
    yield signal.signal
    for number, old in before.items():
        signal.signal(number, old)


@POSIX
def test_sigterm_leaves_a_checkpoint_and_is_told_from_an_interrupt(tmp_path, handler):
    file = tmp_path / "matching.partial"
    rng = torch.Generator().manual_seed(3)
    stopped = Interrupted(at=5, number=signal.SIGTERM)
    more = {"checkpoint": file, "key": {"run": 1}}
    with pytest.raises(Terminated), terminable():
        match(stopped, fresh(), rng, SilentProgress(), **more)
    assert stopped.calls == 5
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    rest = Interrupted()
    match(rest, fresh(), torch.Generator().manual_seed(3), SilentProgress(), **more)
    assert rest.calls == 12 - 5


@POSIX
def test_a_program_of_the_users_dies_of_sigterm_with_a_checkpoint(tmp_path):
    program = """
import signal, sys, torch
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_interrupt import Interrupted, fresh, match, SilentProgress
stopped, rng = Interrupted(at=5, number=signal.SIGTERM), torch.Generator().manual_seed(3)
match(stopped, fresh(), rng, SilentProgress(), checkpoint=Path(sys.argv[1]), key={})
"""
    file = tmp_path / "matching.partial"
    done = processes.run(program, file, Path(__file__).parent)
    assert done.returncode == -signal.SIGTERM
    assert file.exists()


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_that_is_ignored_stays_so(number, handler):
    handler(number, signal.SIG_IGN)
    stopped = Interrupted(at=5, number=number)
    with terminable():
        match(stopped, fresh(), torch.Generator().manual_seed(3), SilentProgress())
    assert stopped.calls == 12
    assert signal.getsignal(number) is signal.SIG_IGN


@POSIX
def test_who_has_a_use_for_sigterm_keeps_it(handler):
    seen = []
    handler(signal.SIGTERM, lambda *args: seen.append(1))
    with terminable():
        signal.raise_signal(signal.SIGTERM)
    assert seen == [1]
