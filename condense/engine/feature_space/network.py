"""The feature space of a fixed network, and how hard each test sample was for it to learn.

Networks are trained on the whole training split once per data set and kept in the store: for a
given data set and options the reference is the same, whatever set is measured with it. All this
measures; nothing is chosen by it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from condense.data import content_digest
from condense.engine.runtime import rng as rngs
from condense.engine.runtime.precision import Precision, resolve_precision
from condense.engine.training.batches import Batcher, channels_last
from condense.engine.training.dynamics import EVAL_SHARE, sample_figures
from condense.engine.training.estimate import training_seconds
from condense.engine.training.loop import predict, train
from condense.engine.training.schedule import Schedule, batches_per_epoch
from condense.errors import CondenseError, DataError, OptionError
from condense.interfaces import Context, Cost, LabeledData, Task, TrainingSet
from condense.options import AugmentationSpec, NetworkSpec, Options

VERSION = "1"
_STATE = "network."  # prefix of the network's own tensors in a stored entry
_LARGEST_ERROR = 2**0.5  # of ‖softmax − onehot‖₂


class FeatureOptions(Options):
    """How the networks of a feature space are trained.

    The names are their own, so that no preset for the networks of another evaluator reaches them.
    """

    networks: int = Field(
        2,
        ge=1,
        description="networks trained; the first gives the features, all rate the test samples",
    )
    feature_network: NetworkSpec = Field(
        NetworkSpec.of("convnet", width=32),
        description="network whose last but one layer is the feature space",
    )
    feature_epochs: int = Field(20, ge=1, description="epochs each is trained")
    feature_batch_size: int = Field(64, ge=1, description="samples per step")
    feature_lr: float = Field(0.05, gt=0, description="initial SGD learning rate, cosine to 1 %")
    feature_momentum: float = Field(0.9, ge=0, lt=1, description="SGD momentum")
    feature_weight_decay: float = Field(5e-4, ge=0, description="SGD weight decay")
    feature_augmentation: AugmentationSpec = Field(
        AugmentationSpec.of("simple"), description="augmentation while they are trained"
    )
    feature_seed: int = Field(0, ge=0, description="seed of the networks, whatever the run's is")


@dataclass(frozen=True, eq=False)
class TrainedNetwork:
    """A network trained on a training split, and what it made of the test split meanwhile.

    Attributes:
        network: on the context's device, in the mode it was built in.
        wrong: uint8 [E, N_test], 1 where a test sample was wrong after an epoch.
        error_norm: float32 [N_test], ‖softmax − onehot‖₂, mean over the epochs.
    """

    network: nn.Module
    wrong: Tensor
    error_norm: Tensor

    def features(self, samples: TrainingSet, device: torch.device) -> Tensor:
        """What goes into the last linear layer, float32 [N, D] on the CPU, rows of length 1.

        Scaled to unit length because distilled images may excite a network far more than real
        ones do: directions are compared, and distances lie in 0–2. A row of zeros stays one.

        Raises:
            OptionError: for a network without a linear layer.
            DataError: if they are not finite.
        """
        found = penultimate(self.network, Batcher(samples, device))
        if not bool(torch.isfinite(found).all()):
            raise DataError(
                "features are not finite for some of the samples, so nothing is near them; are "
                "there NaN or infinite values in the set?"
            )
        return F.normalize(found, dim=1)


@dataclass(frozen=True, eq=False)
class Halves:
    """The test split in two, as positions (int64), ascending."""

    easy: Tensor
    hard: Tensor


def trained_network(
    training: TrainingSet,
    test: TrainingSet,
    context: Context,
    options: FeatureOptions,
    index: int = 0,
) -> TrainedNetwork:
    """Network ``index`` of the data set, from the store where it is there.

    Args:
        training: the whole training split.
        test: rated after every epoch, which changes nothing about the network.
        context: device, cache, networks.
        options: how to train it.
        index: which of the networks.
    """
    seed = rngs.fork_seed(options.feature_seed, "features")
    key = network_key(training, test, context, options, index)
    total = _schedule(len(training), options, context.device).steps
    title = f"feature network {index + 1}"

    def compute() -> dict[str, Tensor]:
        with context.progress.task(title, total, "step") as task:
            return _train(training, test, context, options, seed, index, task)

    tensors = context.cache.tensors("features", key, compute)
    network = context.network(
        options.feature_network, training.geometry, rngs.generator(seed, "init", index)
    )
    state = {k.removeprefix(_STATE): v for k, v in tensors.items() if k.startswith(_STATE)}
    network.load_state_dict(state)
    return TrainedNetwork(network, tensors["wrong"], tensors["error_norm"])


def network_key(
    training: TrainingSet,
    test: TrainingSet,
    context: Context,
    options: FeatureOptions,
    index: int,
) -> dict[str, Any]:
    """Everything network ``index`` and its figures depend on."""
    nested = {"feature_network", "feature_augmentation"}
    plain = {k for k in FeatureOptions.model_fields if k not in nested | {"networks"}}
    return {
        "component": "features",
        "version": VERSION,
        "options": options.model_dump(mode="json", include=plain),
        "precision": _precision(context.device),
        "network": context.identity(options.feature_network),
        "augmentation": context.identity(options.feature_augmentation),
        "training": samples_digest(training),
        "test": samples_digest(test),
        "index": index,
    }


def samples_digest(samples: TrainingSet) -> str:
    """SHA-256 (32 hex digits) of what training or testing on ``samples`` depends on."""
    extra = (samples.normalization, samples.geometry, samples.normalized)
    return content_digest(samples.inputs, samples.labels, samples.role, extra=extra)


def difficulty_of_test(
    training: TrainingSet, test: TrainingSet, context: Context, options: FeatureOptions
) -> Tensor:
    """How late each test sample was learned, float32 [N_test] in 0–1, higher = harder.

    The share of epochs, over all networks, after which the sample was wrong: the learning speed
    of Jiang et al. (arXiv 2002.03206) on held-out samples. Ties are broken by the mean
    ‖softmax − onehot‖₂, which counts for less than one epoch.
    """
    every = [trained_network(training, test, context, options, k) for k in range(options.networks)]
    wrong = torch.cat([one.wrong for one in every])  # [K·E, N_test]
    error = torch.stack([one.error_norm for one in every]).double().mean(0) / _LARGEST_ERROR
    return ((wrong.double().sum(0) + error.clamp(max=1 - 1e-6)) / (len(wrong) + 1)).float()


def halves(difficulty: Tensor, labels: Tensor) -> Halves:
    """The easier and the harder half of every class.

    Within each class, because otherwise the halves would differ in their classes and a set could
    cover one of them better for that alone. The odd sample of a class goes to the hard and to the
    easy half by turns, so that sizes differ by one at most.

    Args:
        difficulty: float [N]; equal values are told apart by position.
        labels: int64 [N].
    """
    easy, hard = [], []
    extra = 0
    for label in sorted(set(labels.tolist())):
        members = torch.nonzero(labels == label).flatten()
        order = members[difficulty[members].argsort(stable=True)]
        middle = (len(order) + extra) // 2
        extra ^= len(order) % 2
        easy.append(order[:middle])
        hard.append(order[middle:])
    return Halves(torch.cat(easy).sort().values, torch.cat(hard).sort().values)


def halves_of_test(
    training: TrainingSet, test: TrainingSet, context: Context, options: FeatureOptions
) -> Halves:
    """:func:`halves` by :func:`difficulty_of_test`."""
    return halves(difficulty_of_test(training, test, context, options), test.labels)


def by_difficulty(right: Tensor, parts: Halves) -> dict[str, float]:
    """Mean of ``right`` (float [N_test], 0–1) over ``all``, ``easy`` and ``hard`` samples.

    With ``Evaluation.right`` these are accuracies.
    """
    shares = {"all": right, "easy": right[parts.easy], "hard": right[parts.hard]}
    return {name: float(part.double().mean()) for name, part in shares.items()}


@torch.no_grad()
def penultimate(network: nn.Module, data: Batcher, batch_size: int = 1000) -> Tensor:
    """What goes into ``network``'s last ``nn.Linear``, float32 [N, D] on the CPU, in eval mode.

    Raises:
        OptionError: if it has none.
    """
    was_training = network.training
    network.eval()
    parts: list[Tensor] = []
    try:
        with _inputs_of_last_linear(network) as seen:
            for indices in torch.split(torch.arange(len(data), device=data.device), batch_size):
                network(channels_last(data.batch(indices)[0]))
                parts.append(seen.pop().flatten(1).float().cpu())
    finally:
        network.train(was_training)
    return torch.cat(parts)


@contextmanager
def _inputs_of_last_linear(network: nn.Module) -> Iterator[list[Tensor]]:
    """Inside, every forward pass appends the input of the last linear layer to what is yielded."""
    linear = [module for module in network.modules() if isinstance(module, nn.Linear)]
    if not linear:
        raise OptionError(
            f"the network {type(network).__name__} has no torch.nn.Linear whose input could be "
            "its features; choose another, for example `evaluator.feature_network=convnet`"
        )
    seen: list[Tensor] = []
    hook = linear[-1].register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    try:
        yield seen
    finally:
        hook.remove()


def features_cost(data: LabeledData, context: Context, options: FeatureOptions) -> Cost:
    """Estimate of training the networks for ``--dry-run``, as if none were stored."""
    schedule = _schedule(len(data), options, context.device)
    augmentation = context.augmentation(options.feature_augmentation)
    one = training_seconds(data, context, options.feature_network, augmentation, schedule)
    rated = len(data.test) / len(data) if data.test is not None else 0.0
    return Cost(options.networks * one * (1 + EVAL_SHARE * rated))


def _schedule(samples: int, options: FeatureOptions, device: torch.device) -> Schedule:
    per_epoch = batches_per_epoch(samples, options.feature_batch_size)
    return Schedule(
        steps=options.feature_epochs * per_epoch,
        batch_size=options.feature_batch_size,
        lr=options.feature_lr,
        momentum=options.feature_momentum,
        weight_decay=options.feature_weight_decay,
        cosine_to=0.01,
        precision=_precision(device),
    )


def _precision(device: torch.device) -> Precision:
    return resolve_precision("auto", device, "bf16")


class _TestRecorder:
    """Rates the test samples after every epoch."""

    def __init__(self, network: nn.Module, test: Batcher) -> None:
        self.network = network
        self.test = test
        self.wrong: list[Tensor] = []
        self.errors: list[Tensor] = []

    def on_batch(self, indices: Tensor, logits: Tensor) -> None:
        """Nothing: the training samples are not rated."""

    def on_epoch(self, done: int) -> None:
        margin, _, error = sample_figures(predict(self.network, self.test), self.test.labels)
        self.wrong.append((margin <= 0).to(torch.uint8))
        self.errors.append(error)


def _train(
    training: TrainingSet,
    test: TrainingSet,
    context: Context,
    options: FeatureOptions,
    seed: int,
    index: int,
    task: Task,
) -> dict[str, Tensor]:
    device = context.device
    network = context.network(
        options.feature_network, training.geometry, rngs.generator(seed, "init", index)
    )
    recorder = _TestRecorder(network, Batcher(test, device))
    train(
        network,
        Batcher(training, device),
        _schedule(len(training), options, device),
        context.augmentation(options.feature_augmentation),
        rngs.generator(seed, "batches", index, device=device),
        callback=recorder,
        task=task,
    )
    if not all(bool(torch.isfinite(p).all()) for p in network.parameters()):
        raise CondenseError(
            f"the feature network '{options.feature_network.component}' diverged: its parameters "
            f"are not finite; lower `evaluator.feature_lr={options.feature_lr:g}`"
        )
    state = {_STATE + name: value.detach().cpu() for name, value in network.state_dict().items()}
    return state | {
        "wrong": torch.stack(recorder.wrong).cpu(),
        "error_norm": torch.stack(recorder.errors).mean(0).cpu(),
    }
