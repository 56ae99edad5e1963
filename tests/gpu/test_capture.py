"""CUDA graphs against the same steps run eagerly on the same device."""

import pytest
import torch

from condense.data import TrainingSet
from condense.engine.context import EngineContext
from condense.engine.runtime.precision import numeric_precision
from condense.engine.runtime.progress import SilentProgress
from condense.engine.runtime.rng import Seed
from condense.engine.runtime.store import Store
from condense.engine.training.batches import Batcher, network_inputs
from condense.engine.training.concurrent import train_concurrently
from condense.engine.training.cuda_graph import CapturedStep
from condense.engine.training.loop import Training, predict
from condense.engine.training.schedule import Schedule
from condense.engine.training.step import EagerStep
from condense.options import AugmentationSpec, NetworkSpec
from condense_plugins.matchers.trajectory.compiled import CompiledSteps
from condense_plugins.matchers.trajectory.gradient import (
    Batch,
    EagerSteps,
    Rollout,
    constant_memory,
    unrolled,
)
from condense_plugins.matchers.trajectory.graphs import CapturedSteps
from condense_plugins.matchers.trajectory.student import Student, flatten
from condense_plugins.matchers.trajectory.tangent import TangentSteps

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
NETWORK = NetworkSpec.of("convnet", width=16)


@pytest.fixture
def gpu(host, tmp_path):
    return EngineContext(host, Store(tmp_path), torch.device("cuda"), SilentProgress())


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_a_captured_step_is_an_sgd_step(gpu, digits, momentum):
    network = gpu.network(NETWORK, digits.geometry, Seed(0).generator())
    twin = gpu.network(NETWORK, digits.geometry, Seed(0).generator())
    batcher = Batcher(TrainingSet.of(digits.without_test()), gpu.device)
    none = gpu.augmentation(AugmentationSpec.of("none"))
    with numeric_precision("fp32", gpu.device):
        schedule = Schedule(5, 32, 0.1, momentum, 5e-4)
        step = CapturedStep(EagerStep(network, batcher, schedule, none, lr_on_device=True), "fp32")
        optimizer = torch.optim.SGD(twin.parameters(), 0.1, momentum, weight_decay=5e-4)
        for k in range(5):
            indices = torch.arange(32 * k, 32 * (k + 1), device="cuda")
            step(indices, torch.empty(32, 0, device="cuda"))
            inputs, labels = batcher.batch(indices)
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(twin(inputs), labels).backward()
            optimizer.step()
    for ours, theirs in zip(network.state_dict().values(), twin.state_dict().values(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)


def test_training_on_the_gpu_learns_digits(gpu, digits):
    network = gpu.network(NETWORK, digits.geometry, Seed(0).generator())
    batcher = Batcher(TrainingSet.of(digits.without_test()), gpu.device)
    combined = gpu.augmentation(AugmentationSpec.of("combined"))
    rng = Seed(1).generator("cuda")
    Training(network, batcher, Schedule(200, 64, 0.1, 0.9, 5e-4, 0.01, "bf16"), combined, rng).run()
    test = Batcher(TrainingSet.of(digits.test), gpu.device)
    right = predict(network, test, precision="bf16").argmax(1) == test.labels
    assert float(right.float().mean()) > 0.9


@pytest.mark.parametrize("precision", ["fp32", "tf32", "bf16"])
def test_recordings_agree_with_the_plain_step(gpu, digits, precision, recwarn):
    network = gpu.network(NETWORK, digits.geometry, Seed(0).generator())
    batcher = Batcher(TrainingSet.of(digits.without_test()), gpu.device)
    simple = gpu.augmentation(AugmentationSpec.of("simple"))
    schedule = Schedule(len(batcher) // 64 + 2, 64, 0.05, 0.9, 5e-4, precision=precision)
    Training(
        network, batcher, schedule, simple, Seed(1).generator("cuda")
    ).run()  # a short batch as well
    assert not [w for w in recwarn if "differs from the plain one" in str(w.message)]


class _Waits(torch.nn.Module):
    """Reads a number back from the device, which no graph can hold."""

    def forward(self, x):
        return x * (1.0 if float(x.sum()) > 0 else 2.0)


def test_a_network_that_waits_for_the_device_is_trained_uncaptured(gpu, digits):
    network = gpu.network(NETWORK, digits.geometry, Seed(0).generator())
    network = torch.nn.Sequential(_Waits(), network)
    batcher = Batcher(TrainingSet.of(digits.without_test()), gpu.device)
    none = gpu.augmentation(AugmentationSpec.of("none"))
    rng, schedule = Seed(1).generator("cuda"), Schedule(100, 64, 0.1, 0.9)
    with pytest.warns(RuntimeWarning, match="could not be recorded"):
        Training(network, batcher, schedule, none, rng).run()
    right = predict(network, batcher).argmax(1) == batcher.labels
    assert float(right.float().mean()) > 0.9


@pytest.mark.parametrize("at_once", [3, None])
def test_trainings_side_by_side_are_those_one_by_one(gpu, digits, at_once):
    batcher = Batcher(TrainingSet.of(digits.without_test()), gpu.device)
    simple = gpu.augmentation(AugmentationSpec.of("simple"))

    def training(number):
        network = gpu.network(NETWORK, digits.geometry, Seed(number).generator())
        rng = Seed(number).fork("batches").generator("cuda")
        # seven epochs: the rate falls with every step
        schedule = Schedule(150, 64, 0.05, cosine_to=0.01, in_steps=True)
        return Training(network, batcher, schedule, simple, rng)

    together = dict(train_concurrently((training(k) for k in range(6)), at_once))
    for k in range(6):
        alone = training(k)
        Training(alone.network, alone.data, alone.schedule, alone.augmentation, alone.rng).run()
        ours, theirs = flatten(together[k].network), flatten(alone.network)
        moved = (theirs - flatten(training(k).network)).norm()
        # cuDNN adds up in no fixed order, and training magnifies that
        assert float((ours - theirs).norm() / moved) < 0.05


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("short", [False, True])
@pytest.mark.parametrize("way", ["autograd", "tangent rules", "compiled"])
def test_captured_meta_gradient_is_the_unrolled_one(gpu, digits, short, way, soft):
    rng = Seed(2).generator()
    chosen = torch.arange(40)
    inputs = network_inputs(digits, chosen).cuda()
    labels = digits.labels[chosen].cuda()
    dsa = gpu.augmentation(AugmentationSpec.of("dsa", per="batch"))
    network = gpu.network(NETWORK, digits.geometry, Seed(0).generator())
    classes = digits.geometry.classes
    logits = torch.randn(40, classes, generator=rng).cuda() if soft else None
    steps = EagerSteps(Student(network), dsa, inputs, labels, logits)
    batches = []
    for k in range(4):
        indices = torch.randperm(40, generator=rng)[: 7 if short and k == 3 else 16]
        role = torch.ones(len(indices), dtype=torch.uint8)
        draws = dsa.draw(role, digits.geometry, rng)
        batches.append(Batch(indices.cuda(), draws.cuda()))
    start = flatten(network)
    target = start + 0.05 * torch.randn(start.shape, generator=rng).cuda()
    walk = Rollout(start, target, torch.tensor(0.05, device="cuda"), batches)
    with numeric_precision("fp32", gpu.device):
        plain = unrolled(steps, walk, inputs)
        tangent = TangentSteps.of(steps)
        ways = {"autograd": steps, "tangent rules": tangent, "compiled": CompiledSteps(tangent)}
        captured = CapturedSteps(ways[way])
        for _ in range(2):  # the second time from the recordings alone
            ours = constant_memory(captured, walk, inputs)
            torch.testing.assert_close(ours.loss, plain.loss, rtol=1e-4, atol=1e-6)
            pairs = [(ours.grad_inputs, plain.grad_inputs)]
            if soft:
                pairs.append((ours.grad_labels, plain.grad_labels))
            for found, expected in pairs:
                scale = float(expected.abs().max())
                assert float((found - expected).abs().max()) < 1e-3 * scale
            torch.testing.assert_close(
                ours.grad_step_size, plain.grad_step_size, rtol=1e-3, atol=1e-4
            )
