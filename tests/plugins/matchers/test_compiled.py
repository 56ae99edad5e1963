"""Compiled student steps against the same steps as they are written, in float64."""

import shutil

import pytest
import torch

from condense_plugins.matchers.trajectory import compiled
from condense_plugins.matchers.trajectory.compiled import CompiledSteps, compiles
from condense_plugins.matchers.trajectory.gradient import constant_memory
from condense_plugins.matchers.trajectory.graphs import CapturedSteps
from condense_plugins.matchers.trajectory.matcher import TrajectoryMatcher
from condense_plugins.matchers.trajectory.options import TrajectoryOptions
from condense_plugins.matchers.trajectory.tangent import TangentSteps

CPU, GPU = torch.device("cpu"), torch.device("cuda")


@pytest.fixture(autouse=True)
def afresh():
    """Compiled code of one test is not there for the next."""
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def assert_equals_plain(case, steps):
    loss, inputs, eta = case.plain(create_graph=True)
    got = constant_memory(steps, case.rollout, case.inputs)
    torch.testing.assert_close(got.loss, loss, rtol=1e-10, atol=0)
    torch.testing.assert_close(got.grad_inputs, inputs, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(got.grad_step_size, eta, rtol=1e-10, atol=1e-12)


def test_a_traced_rollout_equals_plain_unrolling(make_case):
    """Tracing is where a compiler may refuse or mistake the rules; it needs no C compiler."""
    case = make_case("batch", "dsa", samples=4, batch_size=4, steps=2, eta=0.1)
    steps = CompiledSteps(TangentSteps.of(case.steps), backend="aot_eager")
    assert_equals_plain(case, steps)
    assert steps._forward.compiled is not None
    assert steps._backward.compiled is not None


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler")
@pytest.mark.parametrize("network", ["batch", "mlp"])
def test_a_compiled_rollout_equals_plain_unrolling(make_case, network):
    case = make_case(network, "dsa", samples=7, batch_size=4, steps=3, eta=0.1)  # two sizes
    steps = CompiledSteps(TangentSteps.of(case.steps))
    assert_equals_plain(case, steps)
    assert steps._backward.compiled is not None


def test_what_does_not_compile_runs_as_it_is_after_one_warning(make_case):
    def refuse(graph, inputs):
        raise ValueError("no such instruction")

    case = make_case("batch", "none", samples=4, batch_size=4, steps=2, eta=0.1)
    steps = CompiledSteps(TangentSteps.of(case.steps), backend=refuse)
    with pytest.warns(
        RuntimeWarning, match=r"could not be compiled .*matcher\.compile=off"
    ) as seen:
        assert_equals_plain(case, steps)
    assert len(seen) == 2  # forward and back


@pytest.mark.parametrize("size", [4, 3])
@pytest.mark.parametrize("way", ["_forward", "_backward"])
def test_what_compiles_to_another_result_is_dropped(make_case, recwarn, way, size):
    case = make_case("batch", "dsa", samples=7, batch_size=4, steps=4, eta=0.1)
    assert [len(b.indices) for b in case.rollout.batches] == [4, 3, 4, 3]
    steps = CompiledSteps(TangentSteps.of(case.steps), backend="eager")
    right = getattr(steps, way).compiled

    def wrong(*tensors):
        found = right(*tensors)
        if len(tensors[2]) != size:
            return found
        return found * 1.001 if way == "_forward" else (*found[:2], found[2] * 1.001, found[3])

    getattr(steps, way).compiled = wrong
    assert_equals_plain(case, steps)
    assert_equals_plain(case, steps)
    seen = [str(w.message) for w in recwarn if issubclass(w.category, RuntimeWarning)]
    assert len(seen) == 1
    assert f"step compiled for {size} samples differs" in seen[0]
    assert getattr(steps, way).compiled is None
    assert getattr(steps, "_backward" if way == "_forward" else "_forward").compiled is not None


def test_nothing_compiles_where_the_environment_says_so(monkeypatch):
    monkeypatch.setenv("CONDENSE_EAGER", "1")
    assert not compiles(TrajectoryOptions(compile="on"), GPU)


@pytest.mark.slow
def test_any_number_of_matchers_compiles(make_case, recwarn):
    """The compiler gives up on a piece of code after eight variants."""
    for width in range(3, 9):
        case = make_case("mlp", "none", samples=7, batch_size=4, steps=2, eta=0.1, width=width)
        steps = CompiledSteps(TangentSteps.of(case.steps), backend="eager")
        constant_memory(steps, case.rollout, case.inputs)
        assert steps._forward.compiled is not None
        assert steps._backward.compiled is not None
    assert not [w for w in recwarn if "could not be compiled" in str(w.message)]


def test_memory_running_out_is_not_taken_for_a_failed_compilation(make_case, monkeypatch):
    case = make_case("batch", "none")
    steps = CompiledSteps(TangentSteps.of(case.steps), backend="eager")

    def full(*tensors):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    steps._forward.compiled = full
    with pytest.raises(torch.cuda.OutOfMemoryError):
        constant_memory(steps, case.rollout, case.inputs)


LONG, SHORT = {"iterations": 10_000, "steps": 55}, {"iterations": 300, "steps": 10}


@pytest.mark.parametrize(
    ("options", "device", "triton", "expected"),
    [
        (LONG, GPU, True, True),
        (LONG, GPU, False, False),
        (SHORT, GPU, True, False),  # compiling would take longer than the run
        (LONG, CPU, True, False),
        (SHORT | {"compile": "on"}, CPU, False, True),
        (LONG | {"compile": "off"}, GPU, True, False),
    ],
)
def test_when_steps_are_compiled(options, device, triton, expected, monkeypatch):
    found = object() if triton else None
    monkeypatch.setattr(compiled.importlib.util, "find_spec", lambda name: found)
    assert compiles(TrajectoryOptions(**options), device) is expected


def test_the_matcher_compiles_where_it_is_told_to(make_case):
    case = make_case("batch", "none")
    steps = TrajectoryMatcher(TrajectoryOptions(compile="on"))._quick_steps(case.steps)
    assert type(steps) is CompiledSteps
    assert not isinstance(steps, CapturedSteps)
    other = make_case("instance", "none")  # no rules: nothing to compile
    assert (
        TrajectoryMatcher(TrajectoryOptions(compile="on"))._quick_steps(other.steps) is other.steps
    )
