"""The training-dynamics pass: train K networks once, keep what every sample did in every epoch.

Forgetting, EL2N and the C-score's learning-speed form all read it, so a new scorer costs no
training. Stored in half precision: 7 bytes per sample, epoch and network, and one more where
correctness in eval mode after every epoch was asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from pydantic import Field
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from condense.engine.runtime.expected import Expected
from condense.engine.runtime.rng import Seed
from condense.engine.training import sgd
from condense.engine.training.batches import Batcher
from condense.engine.training.estimate import sgd_seconds
from condense.engine.training.loop import check_converged, predict
from condense.engine.training.passes import recorded_pass
from condense.engine.training.sgd import SgdOptions, part_of
from condense.interfaces import Context, Cost, Dynamics, LabeledData, TrainingSet
from condense.options import AugmentationSpec, NetworkSpec, Options

VERSION = "1"
BYTES_PER_SAMPLE = 7  # three half-precision figures and one flag per epoch and network
EVAL_SHARE = 1 / 3  # a forward pass, in forward and backward passes


class DynamicsOptions(Options):
    """How the networks of the pass are trained; scorers derive their options from it."""

    networks: int = Field(6, ge=1, description="networks trained, each with its own seed")
    epochs: sgd.Epochs = 40
    eval_epoch: int = Field(
        5, ge=1, description="epochs trained before the evaluation-mode pass that EL2N reads"
    )
    batch_size: sgd.BatchSize = 64
    lr: sgd.LearningRate = 0.05
    momentum: sgd.Momentum = 0.9
    weight_decay: sgd.WeightDecay = 5e-4
    network: NetworkSpec = Field(
        NetworkSpec.of("auto", width=32), description="network trained for the scores"
    )
    augmentation: AugmentationSpec = Field(
        AugmentationSpec.of("simple"), description="augmentation while training for the scores"
    )
    precision: sgd.PrecisionBf16 = "auto"


@dataclass(frozen=True, eq=False)
class DynamicsPass:
    """The pass over a training split.

    Attributes:
        data: training split, N samples.
        context: device, cache, progress, networks.
        seed: of the pass.
        options: how networks are trained.
        epoch_eval: whether to evaluate all samples at the end of every epoch as well.
    """

    data: LabeledData
    context: Context
    seed: Seed
    options: DynamicsOptions
    epoch_eval: bool = False

    def run(self, numbers: Sequence[int] | None = None) -> Dynamics:
        """Figures of all networks or those of ``numbers``, from the store where they are there."""
        every, o = self.keys(), self.options
        keys = {k: every[k] for k in (range(len(every)) if numbers is None else numbers)}
        early = min(o.eval_epoch, o.epochs)
        passes = recorded_pass(
            TrainingSet.of(self.data),
            self.context,
            part_of(SgdOptions, o),
            self.seed,
            keys,
            lambda k, network, batcher: DynamicsRecorder(
                network, batcher, early, epoch_eval="epoch_eval" in keys[k]
            ),
            expected=lambda k: self._expected("epoch_eval" in keys[k]),
            kind="dynamics",
            title="training dynamics",
        )
        return _combined(passes, early, self.epoch_eval)

    def _expected(self, epoch_eval: bool) -> dict[str, Expected]:
        """What is kept of a network; one that diverged is not kept."""
        shape = (self.options.epochs, len(self.data))
        flag = Expected(torch.uint8, shape, low=0, high=1)
        return {
            "margin": Expected(torch.float16, shape, finite=False),  # a large one overflows
            "probability": Expected(torch.float16, shape, low=0, high=1),
            "error_norm": Expected(torch.float16, shape, low=0, high=1.5),
            "correct": flag,
            "eval_error_norm": Expected(torch.float32, shape[1:], low=0, high=1.5),
            **({"eval_correct": flag} if epoch_eval else {}),
        }

    def keys(self) -> list[dict[str, Any]]:
        """Where each network is read or kept."""
        return [self._key(k) for k in range(self.options.networks)]

    def _key(self, network: int) -> dict[str, Any]:
        """Of one network; more networks later re-use the first ones."""
        key = part_of(SgdOptions, self.options).key(self.context)
        key["options"] |= {"eval_epoch": self.options.eval_epoch}
        key |= {
            "component": "dynamics",
            "version": VERSION,
            "data": self.data.fingerprint,
            "seed": self.seed.value,
            "index": network,
        }
        evaluated = key | {"epoch_eval": True}
        # evaluating draws nothing and changes no network, so a pass with it serves one without
        serves = self.epoch_eval or self.context.cache.has("dynamics", evaluated)
        return evaluated if serves else key


def dynamics_pass(
    data: LabeledData,
    context: Context,
    rng: Generator,
    options: Options | None = None,
    epoch_eval: bool = False,
) -> DynamicsPass:
    """The pass of a stage whose generator is ``rng``, of which only the seed is read.

    ``options`` are :class:`DynamicsOptions` or a model that has its fields.
    """
    resolved, seed = part_of(DynamicsOptions, options), Seed.of(rng).fork("dynamics")
    return DynamicsPass(data, context, seed, resolved, epoch_eval)


def _combined(passes: list[dict[str, Tensor]], eval_epoch: int, epoch_eval: bool) -> Dynamics:
    """The stored figures of all networks as one."""

    def stack(name: str) -> Tensor:
        return torch.stack([p[name].float() for p in passes])

    return Dynamics(
        margin=stack("margin"),
        probability=stack("probability"),
        error_norm=stack("error_norm"),
        correct=stack("correct").bool(),
        eval_correct=stack("eval_correct").bool() if epoch_eval else None,
        eval_error_norm=stack("eval_error_norm"),
        eval_epoch=eval_epoch,
    )


def dynamics_cost(
    data: LabeledData, context: Context, options: Options, epoch_eval: bool = False
) -> Cost:
    """Estimate of the pass for ``--dry-run``, as if nothing of it were stored."""
    resolved = part_of(DynamicsOptions, options)
    one = sgd_seconds(data, context, part_of(SgdOptions, options)) * (1 + EVAL_SHARE * epoch_eval)
    disk = resolved.networks * resolved.epochs * len(data) * (BYTES_PER_SAMPLE + epoch_eval)
    return Cost(resolved.networks * one, disk=disk)


def sample_figures(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Margin, true-class probability and ‖softmax − onehot‖₂, each float32 [N], from [N, C]."""
    probabilities = F.softmax(logits.float(), dim=1)
    onehot = F.one_hot(labels, logits.shape[1]).to(probabilities.dtype)
    true_logit = logits.gather(1, labels[:, None]).squeeze(1)
    others = logits.masked_fill(onehot.bool(), -torch.inf).amax(1)
    true_probability = probabilities.gather(1, labels[:, None]).squeeze(1)
    return true_logit - others, true_probability, (probabilities - onehot).norm(dim=1)


class DynamicsRecorder:
    """Collects one network's logits batch by batch and reduces them once an epoch.

    Args:
        network: in training.
        batcher: what it is trained on, N samples.
        eval_epoch: after which ‖softmax − onehot‖₂ is taken in eval mode.
        epoch_eval: whether correctness is, after every epoch.
    """

    def __init__(
        self, network: nn.Module, batcher: Batcher, eval_epoch: int, epoch_eval: bool
    ) -> None:
        self.network = network
        self.batcher = batcher
        self.eval_epoch = eval_epoch
        self.epoch_eval = epoch_eval
        classes = batcher.geometry.classes
        self._logits = torch.zeros(len(batcher), classes, device=batcher.device)
        self._epochs: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []
        self._eval_correct: list[Tensor] = []
        self._eval_error_norm: Tensor | None = None

    def on_batch(self, indices: Tensor, logits: Tensor) -> None:
        """Keeps the logits [B, C]."""
        self._logits[indices] = logits.float()

    def on_epoch(self, done: int) -> None:
        """Reduces the epoch's logits to three figures and a flag per sample."""
        labels = self.batcher.labels
        margin, probability, error = sample_figures(self._logits, labels)
        # correctness from the float32 margin: half precision may round a small one to zero
        self._epochs.append((margin.half(), probability.half(), error.half(), margin > 0))
        early = done == self.eval_epoch
        if early or self.epoch_eval:
            margin, _, error = sample_figures(predict(self.network, self.batcher), labels)
            self._eval_error_norm = error if early else self._eval_error_norm
            if self.epoch_eval:
                self._eval_correct.append(margin > 0)

    def tensors(self) -> dict[str, Tensor]:
        """Half precision [E, N] each, and ``eval_error_norm`` float32 [N].

        Raises:
            DivergedError: if the network is not finite: it ranks nothing.
        """
        check_converged(self.network, "a network trained for the scores", "scorer.lr")
        assert self._eval_error_norm is not None
        margin, probability, error, correct = (
            torch.stack(parts).cpu() for parts in zip(*self._epochs, strict=True)
        )
        tensors = {
            "margin": margin,
            "probability": probability,
            "error_norm": error,
            "correct": correct.to(torch.uint8),
            "eval_error_norm": self._eval_error_norm.cpu(),
        }
        if self.epoch_eval:
            tensors["eval_correct"] = torch.stack(self._eval_correct).to("cpu", torch.uint8)
        return tensors
