"""Recorded student steps without a GPU: the recording is stood in for by running the body."""

from types import SimpleNamespace

import pytest
import torch

from condense_plugins.matchers.trajectory import graphs, matcher
from condense_plugins.matchers.trajectory.compiled import CompiledSteps
from condense_plugins.matchers.trajectory.gradient import Batch, constant_memory
from condense_plugins.matchers.trajectory.graphs import CapturedSteps
from condense_plugins.matchers.trajectory.options import TrajectoryOptions
from condense_plugins.matchers.trajectory.tangent import TangentSteps

GPU = torch.device("cuda")


@pytest.fixture
def recordings(monkeypatch):
    """Bodies recorded so far."""
    made = []

    def capture(body):
        made.append(body)
        body()
        return body

    monkeypatch.setattr(graphs, "capture", capture)
    return made


@pytest.mark.parametrize("rules", [False, True], ids=["autograd", "tangent rules"])
def test_recorded_steps_give_the_same_gradient(make_case, recordings, rules):
    case = make_case("batch", "dsa", samples=8, batch_size=3, steps=5, eta=0.1)
    assert [len(b.indices) for b in case.rollout.batches] == [3, 3, 2, 3, 3]
    captured = CapturedSteps(TangentSteps.of(case.steps) if rules else case.steps)
    loss, inputs, eta = case.plain(create_graph=True)
    for _ in range(2):  # the second time from the recordings alone
        got = constant_memory(captured, case.rollout, case.inputs)
        torch.testing.assert_close(got.loss, loss, rtol=1e-10, atol=0)
        torch.testing.assert_close(got.grad_inputs, inputs, rtol=1e-10, atol=1e-12)
        torch.testing.assert_close(got.grad_step_size, eta, rtol=1e-10, atol=1e-12)
    assert len(recordings) == 4  # forward and back, for each of two batch sizes


def test_recordings_follow_the_set_as_it_moves(make_case, recordings):
    case = make_case("batch", "none")
    captured = CapturedSteps(case.steps)
    constant_memory(captured, case.rollout, case.inputs)
    case.inputs.mul_(0.5)  # in place, as the engine moves it
    got = constant_memory(captured, case.rollout, case.inputs)
    torch.testing.assert_close(got.grad_inputs, case.plain(create_graph=True)[1])


def of(body, kind):
    """The list or the static batch that ``body`` writes to or reads from."""
    cells = [cell.cell_contents for cell in body.__closure__]
    return next(cell for cell in cells if isinstance(cell, kind))


def other_result(body):
    def run():
        body()
        of(body, list)[0].mul_(1.001)

    return run


def stale_batch(body):
    """Always the batch it was recorded with, whose samples are then others."""
    seen = of(body, Batch).indices.clone().roll(1).add(1) % 8

    def run():
        of(body, Batch).indices.copy_(seen)
        body()

    return run


@pytest.mark.parametrize("wrong", [other_result, stale_batch])
@pytest.mark.parametrize("size", [3, 2])
@pytest.mark.parametrize("way", ["forward", "backward"])
def test_a_wrong_recording_is_dropped(make_case, monkeypatch, recwarn, wrong, size, way):
    case = make_case("batch", "dsa", samples=8, batch_size=3, steps=5, eta=0.1)
    replays = []

    def capture(body):
        batch = of(body, Batch)
        if (body.__name__, len(batch.indices)) == (way, size):
            return wrong(body)
        return lambda: (replays.append(len(batch.indices)), body())

    monkeypatch.setattr(graphs, "capture", capture)
    captured = CapturedSteps(case.steps)
    loss, inputs, eta = case.plain(create_graph=True)
    for _ in range(2):
        got = constant_memory(captured, case.rollout, case.inputs)
        torch.testing.assert_close(got.loss, loss, rtol=1e-10, atol=0)
        torch.testing.assert_close(got.grad_inputs, inputs, rtol=1e-10, atol=1e-12)
        torch.testing.assert_close(got.grad_step_size, eta, rtol=1e-10, atol=1e-12)
    (note,) = (str(w.message) for w in recwarn if w.category is RuntimeWarning)
    assert f"recorded for {size} samples differs" in note
    # of the other size both ways are kept, of this size the other way
    assert replays.count(5 - size) == 2 * 2 * (4 if size == 2 else 1) + 2
    assert replays.count(size) == 2 * (4 if size == 3 else 1) + 1


def test_recording_can_be_turned_off(make_case, monkeypatch):
    case = make_case("batch", "none")
    subject = matcher.TrajectoryMatcher(TrajectoryOptions(compile="on"))
    on_gpu = SimpleNamespace(**vars(case.steps) | {"inputs": SimpleNamespace(device=GPU)})
    monkeypatch.setattr(matcher, "precision_of", lambda *_: "tf32")
    monkeypatch.setattr(matcher.TangentSteps, "of", lambda eager, **_: TangentSteps(case.steps, ()))
    steps = subject._quick_steps(on_gpu)
    assert isinstance(steps, CapturedSteps)
    assert isinstance(steps.steps, CompiledSteps)
    assert steps.precision == steps.steps._backward.precision == "tf32"
    monkeypatch.setenv("CONDENSE_EAGER", "1")
    assert isinstance(subject._quick_steps(on_gpu), TangentSteps)
