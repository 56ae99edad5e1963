"""The captured training step without a GPU: a stand-in for the recording that runs the body.

It warms up as the real one does, so what has to be put back afterwards is put back here too.
``tests/gpu`` holds the real one against the same steps run eagerly.
"""

import contextlib
import copy
import warnings
from types import SimpleNamespace

import pytest
import torch
from torch.nn import functional as F

from condense.data import TrainingSet
from condense.engine.training import cuda_graph as module, loop
from condense.engine.training.batches import Batcher
from condense.engine.training.cuda_graph import WARMUP, CapturedStep, capture
from condense.engine.training.schedule import Schedule
from condense.engine.training.step import EagerStep
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
    none = context.augmentation(AugmentationSpec.of("none"))
    schedule = Schedule(9, 20, 0.1, momentum, 5e-3)
    step = CapturedStep(EagerStep(network, batcher, schedule, none, lr_on_device=True), "fp32")
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
    assert len(runs) == 2 * (WARMUP + 1) + 5  # one of each size for the comparison


@pytest.mark.parametrize("steps", [7, 5, 60])
def test_a_recorded_training_has_the_rates_of_a_plain_one(
    steps, tiny_images, context, runs, monkeypatch
):
    """In two epochs and one it falls with every step, in twelve once an epoch."""
    spec = NetworkSpec.of("convnet", width=4, depth=2)
    batcher = Batcher(TrainingSet.of(tiny_images), torch.device("cpu"))
    none = context.augmentation(AugmentationSpec.of("none"))
    schedule = Schedule(steps, 20, 0.1, 0.9, 5e-3, cosine_to=0.01, in_steps=True)

    def trained():
        rng = torch.Generator().manual_seed(0)
        network = context.network(spec, tiny_images.geometry, rng)
        loop.Training(network, batcher, schedule, none, rng).run()
        return torch.cat([p.detach().flatten() for p in network.parameters()])

    def captured(training):
        t = training
        step = EagerStep(t.network, t.data, t.schedule, t.augmentation, lr_on_device=True)
        return CapturedStep(step, "fp32")

    plain = trained()
    monkeypatch.setattr(loop, "_step", captured)
    torch.testing.assert_close(trained(), plain, rtol=1e-3, atol=1e-4)
    assert len(runs) > steps


class _Dropout(torch.nn.Module):
    """A network with buffers that draws from the global generator where ``share`` is above 0."""

    def __init__(self, share):
        super().__init__()
        first = (torch.nn.Flatten(), torch.nn.LazyLinear(8), torch.nn.BatchNorm1d(8))
        self.layers = torch.nn.Sequential(*first, torch.nn.Dropout(share))
        self.last = torch.nn.Linear(8, 3)
        self.register_buffer("seen", torch.zeros(()), persistent=False)

    def forward(self, x):
        self.seen += 1
        return self.last(self.layers(x))


@pytest.fixture
def batches(tiny_images, context):
    """A function that makes a network's plain step, and batches of 20 and 7."""
    data = Batcher(TrainingSet.of(tiny_images), torch.device("cpu"))
    none = context.augmentation(AugmentationSpec.of("none"))
    sizes = [20, 20, 7, 20, 7]
    rng = torch.Generator().manual_seed(1)
    indices = [torch.randperm(len(tiny_images), generator=rng)[:size] for size in sizes]

    def make(dropout=0.0):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            network = _Dropout(dropout)
            network(data.batch(indices[0])[0])
        schedule = Schedule(9, 20, 0.1, 0.9, 5e-3)
        return EagerStep(network, data, schedule, none, lr_on_device=True)

    return make, [(i, torch.empty(len(i), 0)) for i in indices]


def everything(step):
    """All that a step may change, copied."""
    network = step.network
    momentum = list(step.optimizer.momentum.values())
    tensors = [*network.parameters(), *network.buffers(), *momentum, torch.get_rng_state()]
    return [t.detach().clone() for t in tensors]


def equal(some, others):
    return len(some) == len(others) and all(map(torch.equal, some, others))


def twice(step, body):
    body()
    body()


def stale(step, body):
    """The weights move by another batch than the one shown."""
    recording = body.__closure__
    statics = [c.cell_contents for c in recording if isinstance(c.cell_contents, torch.Tensor)]
    (indices,) = (t for t in statics if t.dtype == torch.int64)
    shown = indices.clone()
    indices.copy_(shown.roll(1).add(31) % 90)
    body()
    indices.copy_(shown)


def without_momentum(step, body):
    for momentum in step.optimizer.momentum.values():
        momentum.add_(0.1)
    body()


def other_buffers(step, body):
    body()
    step.network.layers[2].running_mean.add_(1)


def not_finite(step, body):
    body()
    step.network.last.bias.data[0] = float("nan")


WRONG = [twice, stale, without_momentum, other_buffers, not_finite]


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("size", [20, 7])
def test_a_wrong_recording_is_dropped_in_either_size(batches, monkeypatch, wrong, size):
    make, given = batches
    step, plain = make(), make()

    def record(body):
        return (lambda: wrong(step, body)) if sizes[-1] == size else (lambda: body())

    sizes = []
    monkeypatch.setattr(module, "capture", record)
    captured = CapturedStep(step, "fp32")
    with warnings.catch_warnings(record=True) as seen, torch.random.fork_rng(devices=[]):
        warnings.simplefilter("always")
        torch.manual_seed(5)
        found = []
        for indices, draws in given:
            sizes.append(len(indices))
            found.append(captured(indices, draws).clone())
        ours = everything(step)
    notes = [str(w.message) for w in seen]
    assert [f"recorded for {size} samples differs from the plain one" in n for n in notes] == [True]
    assert "CONDENSE_EAGER=1" in notes[0]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        assert equal(found, [plain(indices, draws) for indices, draws in given])
        assert equal(ours, everything(plain))


def check_alike(captured, step, plain, given):
    """``captured``, of ``step``, gives and leaves behind what ``plain`` does, from equal draws."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        found = [captured(*one).clone() for one in given]
        ours = everything(step)
        torch.manual_seed(5)
        assert equal(found, [plain(*one) for one in given])
        assert equal(ours, everything(plain))


def test_a_right_recording_is_kept_and_leaves_no_trace(batches, monkeypatch, recwarn):
    make, given = batches
    step, plain = make(), make()
    replays = []

    def record(body):
        for _ in range(WARMUP):
            body()
        return lambda: (replays.append(1), body())

    monkeypatch.setattr(module, "capture", record)
    captured = CapturedStep(step, "fp32")
    check_alike(captured, step, plain, given)
    assert len(replays) == 2 + len(given)
    assert not recwarn.list


def test_a_step_that_draws_is_not_recorded(batches, monkeypatch, recwarn):
    make, given = batches
    step, plain = make(0.5), make(0.5)
    monkeypatch.setattr(module, "capture", lambda body: pytest.fail("recorded"))
    captured = CapturedStep(step, "fp32")
    check_alike(captured, step, plain, given)
    assert not recwarn.list


@pytest.mark.parametrize("number", [0, 2])  # before the first step, and in mid-training
def test_recording_and_comparing_change_nothing(batches, monkeypatch, number):
    make, given = batches
    step = make()
    monkeypatch.setattr(module, "capture", lambda body: lambda: twice(step, body))
    for one in given[:number]:
        step(*one)
    before = everything(step)
    with pytest.warns(RuntimeWarning, match="differs"):
        CapturedStep(step, "fp32")._record(*given[number])
    after = everything(step)
    if number == 0:  # momentum that was not there is there, and zero
        count = len(list(step.network.parameters()))
        momentum, after = after[-1 - count : -1], after[: -1 - count] + after[-1:]
        assert not any(m.any() for m in momentum)
    assert equal(before, after)


@pytest.mark.parametrize(
    ("value", "plain"), [("1", True), ("", False), ("0", False), (None, False)]
)
def test_recording_can_be_turned_off(batches, monkeypatch, value, plain):
    make, _ = batches
    monkeypatch.delenv("CONDENSE_EAGER", raising=False)
    if value is not None:
        monkeypatch.setenv("CONDENSE_EAGER", value)
    step = make()
    on_gpu = SimpleNamespace(device=torch.device("cuda"))
    made = []
    monkeypatch.setattr(loop, "EagerStep", lambda *args, **kwargs: made.append(kwargs) or step)
    training = loop.Training(step.network, on_gpu, Schedule(9, 20, 0.1), None, None)
    chosen = loop._step(training)
    assert isinstance(chosen, EagerStep if plain else CapturedStep)
    assert made == [{} if plain else {"lr_on_device": True}]


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
