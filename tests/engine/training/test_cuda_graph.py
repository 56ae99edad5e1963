"""The captured training step without a GPU: a stand-in for the recording that runs the body.

It warms up as the real one does, so what has to be put back afterwards is put back here too.
``tests/gpu`` holds the real one against the same steps run eagerly.
"""

import contextlib
import copy

import pytest
import torch
from torch.nn import functional as F

from condense.data import TrainingSet
from condense.engine.training import cuda_graph as module
from condense.engine.training.batches import Batcher
from condense.engine.training.cuda_graph import WARMUP, CapturedStep, capture
from condense.engine.training.schedule import Schedule
from condense.options import AugmentationSpec, NetworkSpec


@pytest.fixture
def runs(monkeypatch):
    """How often bodies ran; recording and replaying are stood in for by running them."""
    counted = []

    def recorded(body):
        def run():
            counted.append(1)
            body()

        for _ in range(WARMUP):
            run()
        return run

    monkeypatch.setattr(module, "capture", recorded)
    return counted


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_steps_of_two_sizes_are_plain_sgd(momentum, tiny_images, context, runs):
    spec = NetworkSpec.of("convnet", width=4, depth=2)
    network = context.network(spec, tiny_images.geometry, torch.Generator().manual_seed(0))
    plain = copy.deepcopy(network)
    batcher = Batcher(TrainingSet.of(tiny_images), torch.device("cpu"))
    step = CapturedStep(
        network,
        batcher,
        Schedule(9, 20, 0.1, momentum, 5e-3),
        context.augmentation(AugmentationSpec.of("none")),
    )
    optimizer = torch.optim.SGD(plain.parameters(), 0.1, momentum, weight_decay=5e-3)
    order = torch.randperm(len(tiny_images), generator=torch.Generator().manual_seed(1))
    for number, size in enumerate([20, 20, 7, 20, 7]):  # the second size is met in mid-training
        lr = 0.1 / (number + 1)
        step.set_lr(lr)
        optimizer.param_groups[0]["lr"] = lr
        indices = order[number * 10 : number * 10 + size]
        got = step(indices, torch.empty(size, 0))
        inputs, labels = batcher.batch(indices)
        logits = plain(inputs)
        torch.testing.assert_close(got, logits, rtol=1e-3, atol=1e-4)
        optimizer.zero_grad()
        F.cross_entropy(logits, labels).backward()
        optimizer.step()
    for ours, theirs in zip(
        network.state_dict().values(), plain.state_dict().values(), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)
    assert len(runs) == 2 * WARMUP + 5


recorded_on = []


class _Stream:
    def wait_stream(self, other):
        pass


DEFAULT = _Stream()


@pytest.fixture
def no_cuda(monkeypatch):
    """CUDA's streams and graphs, stood in for; recording fails with what ``fails`` holds."""
    fails = []
    recorded_on.clear()

    @contextlib.contextmanager
    def graph(_, stream):
        recorded_on.append(stream)
        yield
        if fails:
            raise fails.pop()

    class Graph:
        def replay(self):
            return "replayed"

    monkeypatch.setattr(torch.cuda, "Stream", _Stream)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: DEFAULT)
    monkeypatch.setattr(torch.cuda, "default_stream", lambda: DEFAULT)
    monkeypatch.setattr(torch.cuda, "stream", lambda _: contextlib.nullcontext())
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "graph", graph)
    return fails


def test_a_body_is_warmed_up_recorded_and_replayed(no_cuda):
    ran = []
    replay = capture(lambda: ran.append(torch.backends.cudnn.benchmark))
    assert replay() == "replayed"
    assert ran == [False] * (WARMUP + 1)  # a search for algorithms cannot be recorded


def test_what_runs_side_by_side_is_recorded_on_streams_of_its_own(no_cuda, monkeypatch):
    """Graphs recorded on one stream share scratch memory."""
    capture(lambda: None)
    capture(lambda: None)
    first, second = recorded_on
    assert len({id(first), id(second), id(DEFAULT)}) == 3
    one = _Stream()
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: one)
    capture(lambda: None)
    capture(lambda: None)
    assert recorded_on[2:] == [one, one]  # of one training: never replayed at the same time


def test_what_cannot_be_recorded_runs_as_it_is_after_a_warning(no_cuda):
    no_cuda.append(RuntimeError("operation not permitted when stream is capturing\ndetails"))
    ran = []
    with pytest.warns(RuntimeWarning, match=r"CUDA graph \(operation .* capturing\); it runs unc"):
        replay = capture(lambda: ran.append(1))
    replay()
    assert len(ran) == WARMUP + 2


def test_too_little_memory_for_a_recording_is_no_reason_to_go_on(no_cuda):
    no_cuda.append(torch.cuda.OutOfMemoryError("CUDA out of memory"))
    with pytest.raises(torch.cuda.OutOfMemoryError):
        capture(lambda: None)


def test_an_error_of_the_body_itself_is_raised(no_cuda):
    def body():
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes"):
        capture(body)
