"""The feature space of a fixed network, which has rated the test samples while it was trained.

Networks are trained on the whole training split once per data set and kept in the store: for a
given data set and options the reference is the same, whatever set is measured with it. All this
measures; nothing is chosen by it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from condense.engine.feature_space.features import check_feature_network, finite_features
from condense.engine.runtime.expected import Expected
from condense.engine.runtime.rng import Seed
from condense.engine.training.batches import Batcher
from condense.engine.training.dynamics import EVAL_SHARE
from condense.engine.training.estimate import sgd_cost
from condense.engine.training.loop import predict
from condense.engine.training.passes import recorded_pass
from condense.engine.training.sgd import (
    BatchSize,
    Epochs,
    LearningRate,
    Momentum,
    PrecisionBf16,
    SgdOptions,
    WeightDecay,
)
from condense.engine.training.statistics import sample_figures
from condense.engine.training.stored import expected_state, load_state, state_tensors
from condense.interfaces import Context, Cost, LabeledData, StoreEntry, TrainingSet
from condense.options import AugmentationSpec, NetworkSpec, Options

VERSION = "2"
KIND = "coverage"  # folder in the store


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
        NetworkSpec.of("auto", width=32),
        description="network whose last but one layer is the feature space",
    )
    feature_epochs: Epochs = 20
    feature_batch_size: BatchSize = 64
    feature_lr: LearningRate = 0.05
    feature_momentum: Momentum = 0.9
    feature_weight_decay: WeightDecay = 5e-4
    feature_augmentation: AugmentationSpec = Field(
        AugmentationSpec.of("simple"), description="augmentation while they are trained"
    )
    feature_precision: PrecisionBf16 = "auto"
    feature_seed: int = Field(0, ge=0, description="seed of the networks, whatever the run's is")

    @property
    def sgd(self) -> SgdOptions:
        """The same without the prefix."""
        own = {name: getattr(self, f"feature_{name}") for name in SgdOptions.model_fields}
        return SgdOptions(**own)


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
        return F.normalize(finite_features(self.network, Batcher(samples, device)), dim=1)


@dataclass(frozen=True, eq=False)
class FeatureNetworks:
    """The feature networks of a data set.

    Attributes:
        training: the whole training split.
        test: rated after every epoch, which changes nothing about the networks.
        context: device, cache, networks.
        options: how to train them.
    """

    training: TrainingSet
    test: TrainingSet
    context: Context
    options: FeatureOptions

    def trained(self, index: int = 0) -> TrainedNetwork:
        """Network ``index``, from the store where it is there."""
        sgd, tests = self.options.sgd, Batcher(self.test, self.context.device)
        init = self._seed.fork("init", index).generator()
        network = self.context.network(sgd.network, self.training.geometry, init)
        rated = (sgd.epochs, len(self.test))
        expected = {
            "wrong": Expected(torch.uint8, rated, low=0, high=1),
            "error_norm": Expected(torch.float32, rated[1:], finite=False),
            **expected_state(network),
        }
        (tensors,) = recorded_pass(
            self.training,
            self.context,
            sgd,
            self._seed,
            {index: self.key(index)},
            lambda _, network, batcher: _TestRecorder(network, tests, sgd),
            expected=lambda _: expected,
            kind=KIND,
            title=f"feature network {index + 1}",
        )
        load_state(network, tensors)
        return TrainedNetwork(network, tensors["wrong"], tensors["error_norm"])

    @property
    def _seed(self) -> Seed:
        return Seed(self.options.feature_seed).fork("features")

    @property
    def entries(self) -> list[StoreEntry]:
        """Folder in the store and key of each."""
        return [(KIND, self.key(index)) for index in range(self.options.networks)]

    def key(self, index: int) -> dict[str, Any]:
        """Everything network ``index`` and its figures depend on."""
        return self.options.sgd.key(self.context) | {
            "component": "coverage",
            "version": VERSION,
            "seed": self._seed.value,
            "training": self.training.fingerprint,
            "test": self.test.fingerprint,
            "index": index,
        }


def features_cost(data: LabeledData, context: Context, options: FeatureOptions) -> Cost:
    """Estimate of training the networks for ``--dry-run``, as if none were stored."""
    rated = len(data.test) / len(data) if data.test is not None else 0.0
    one = sgd_cost(data, context, options.sgd)
    cost = one.times(options.networks * (1 + EVAL_SHARE * rated))
    if data.test is None:
        return cost
    sets = TrainingSet.of(data), TrainingSet.of(data.test)
    networks = FeatureNetworks(*sets, context, options)
    return cost.shared_as(lambda _: networks.entries)


class _TestRecorder:
    """Rates the test samples after every epoch; keeps that and the network.

    Args:
        network: in training.
        test: the test split.
        options: how it is trained, for the message where that diverges.
    """

    def __init__(self, network: nn.Module, test: Batcher, options: SgdOptions) -> None:
        self.network = network
        self.test = test
        self.options = options
        self._wrong: list[Tensor] = []
        self._errors: list[Tensor] = []

    def on_batch(self, indices: Tensor, logits: Tensor) -> None:
        """Nothing: the training samples are not rated."""

    def on_epoch(self, done: int) -> None:
        """Rates them in eval mode."""
        margin, _, error = sample_figures(predict(self.network, self.test), self.test.labels)
        self._wrong.append((margin <= 0).to(torch.uint8))
        self._errors.append(error)

    def tensors(self) -> dict[str, Tensor]:
        """The network's state, ``wrong`` uint8 [E, N_test] and ``error_norm`` float32 [N_test]."""
        rate = f"`evaluator.feature_lr={self.options.lr:g}`"
        check_feature_network(self.network, self.options, rate)
        return state_tensors(self.network) | {
            "wrong": torch.stack(self._wrong).cpu(),
            "error_norm": torch.stack(self._errors).mean(0).cpu(),
        }
