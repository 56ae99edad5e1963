"""Recorded student steps without a GPU: the recording is stood in for by running the body."""

import pytest
import torch

from condense_plugins.matchers.trajectory import graphs
from condense_plugins.matchers.trajectory.gradient import constant_memory
from condense_plugins.matchers.trajectory.graphs import CapturedSteps
from condense_plugins.matchers.trajectory.tangent import TangentSteps


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
