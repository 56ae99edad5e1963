"""The training-dynamics pass: train K networks once, keep what every sample did in every epoch.

Whatever rates samples by how they are learned reads it, so a new scorer costs no training. Logits
are reduced once an epoch and never kept. Stored in half precision: 13 bytes per sample, epoch and
network, and one more where correctness in eval mode after every epoch was asked for.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import asdict, astuple, dataclass, replace
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
from condense.engine.training.gradient_norms import full_gradient_norms, predict_with_inputs
from condense.engine.training.loop import check_converged, predict
from condense.engine.training.passes import recorded_pass
from condense.engine.training.sgd import SgdOptions, part_of
from condense.interfaces import Context, Cost, Dynamics, LabeledData, TrainingSet
from condense.options import AugmentationSpec, NetworkSpec, Options

VERSION = "2"
BYTES_PER_SAMPLE = 13  # six half-precision figures and one flag per epoch and network
EVAL_SHARE = 1 / 3  # a forward pass, in forward and backward passes
FULL_GRADIENT_EPOCHS = 4  # of training, that take as long as all samples' gradients: 3 to 5


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


@dataclass(frozen=True)
class Extras:
    """What a pass records on top, each at a price; it changes no network.

    Attributes:
        epoch_eval: whether all samples are right in eval mode at the end of every epoch.
        full_gradient: norms of their gradients by all parameters after ``eval_epoch`` epochs.
    """

    epoch_eval: bool = False
    full_gradient: bool = False

    def marks(self) -> dict[str, bool]:
        """What tells the key from that of a pass without them."""
        return {name: True for name, asked in asdict(self).items() if asked}

    def serving(self) -> list[Extras]:
        """What a pass that serves may have recorded, its own first."""
        choices = ((True,) if asked else (False, True) for asked in astuple(self))
        return [Extras(*flags) for flags in itertools.product(*choices)]


@dataclass(frozen=True, eq=False)
class DynamicsPass:
    """The pass over a training split.

    Attributes:
        data: training split, N samples.
        context: device, cache, progress, networks.
        seed: of the pass.
        options: how networks are trained.
        extras: what is to be recorded on top.
    """

    data: LabeledData
    context: Context
    seed: Seed
    options: DynamicsOptions
    extras: Extras = Extras()

    def run(self, numbers: Sequence[int] | None = None) -> Dynamics:
        """Figures of all networks or those of ``numbers``, from the store where they are there."""
        every, o = self.keys(), self.options
        keys = {k: every[k] for k in (range(len(every)) if numbers is None else numbers)}
        early = min(o.eval_epoch, o.epochs)

        def recorded(k: int) -> Extras:
            return Extras(**{name: name in keys[k] for name in asdict(self.extras)})

        passes = recorded_pass(
            TrainingSet.of(self.data),
            self.context,
            part_of(SgdOptions, o),
            self.seed,
            keys,
            lambda k, network, batcher: DynamicsRecorder(network, batcher, early, recorded(k)),
            expected=lambda k: self._expected(recorded(k)),
            kind="dynamics",
            title="training dynamics",
        )
        return _combined(passes, early, self.extras)

    def _expected(self, extras: Extras) -> dict[str, Expected]:
        """What is kept of a network; one that diverged is not kept."""
        epochs, one = self.options.epochs, (len(self.data),)
        figure = Expected(torch.float16, (epochs, *one))
        flag = Expected(torch.uint8, (epochs, *one), low=0, high=1)
        norm = Expected(torch.float32, one, finite=False)  # of a gradient, where there is any
        return {
            "margin": figure,
            "probability": replace(figure, low=0, high=1),
            "error_norm": replace(figure, low=0, high=1.5),
            "loss": replace(figure, low=0),
            "entropy": figure,
            "change": Expected(torch.float16, (epochs - 1, *one), low=0),
            "correct": flag,
            "eval_error_norm": Expected(torch.float32, one, low=0, high=1.5),
            "eval_gradient_norm": norm,
            **({"eval_correct": flag} if extras.epoch_eval else {}),
            **({"full_gradient_norm": norm} if extras.full_gradient else {}),
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
        # what is recorded on top draws nothing and changes no network
        serving = [key | extras.marks() for extras in self.extras.serving()]
        stored = (k for k in serving if self.context.cache.has("dynamics", k))
        return next(stored, serving[0])


def dynamics_pass(
    data: LabeledData,
    context: Context,
    rng: Generator,
    options: Options | None = None,
    extras: Extras = Extras(),
) -> DynamicsPass:
    """The pass of a stage whose generator is ``rng``, of which only the seed is read.

    ``options`` are :class:`DynamicsOptions` or a model that has its fields.
    """
    resolved, seed = part_of(DynamicsOptions, options), Seed.of(rng).fork("dynamics")
    return DynamicsPass(data, context, seed, resolved, extras)


def _combined(passes: list[dict[str, Tensor]], eval_epoch: int, extras: Extras) -> Dynamics:
    """The stored figures of all networks as one."""

    def stack(name: str) -> Tensor:
        return torch.stack([p[name].float() for p in passes])

    return Dynamics(
        margin=stack("margin"),
        probability=stack("probability"),
        error_norm=stack("error_norm"),
        loss=stack("loss"),
        entropy=stack("entropy"),
        change=stack("change"),
        correct=stack("correct").bool(),
        eval_correct=stack("eval_correct").bool() if extras.epoch_eval else None,
        eval_error_norm=stack("eval_error_norm"),
        eval_gradient_norm=stack("eval_gradient_norm"),
        full_gradient_norm=stack("full_gradient_norm") if extras.full_gradient else None,
        eval_epoch=eval_epoch,
    )


def dynamics_cost(
    data: LabeledData, context: Context, options: Options, extras: Extras = Extras()
) -> Cost:
    """Estimate of the pass for ``--dry-run``, as if nothing of it were stored."""
    resolved = part_of(DynamicsOptions, options)
    epochs = 1 + EVAL_SHARE * extras.epoch_eval
    epochs += FULL_GRADIENT_EPOCHS / resolved.epochs * extras.full_gradient
    one = sgd_seconds(data, context, part_of(SgdOptions, options)) * epochs
    size = BYTES_PER_SAMPLE + extras.epoch_eval
    return Cost(
        resolved.networks * one, disk=resolved.networks * resolved.epochs * len(data) * size
    )


def sample_figures(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Margin, true-class probability and ‖softmax − onehot‖₂, each float32 [N], from [N, C]."""
    probabilities = F.softmax(logits.float(), dim=1)
    onehot = F.one_hot(labels, logits.shape[1]).to(probabilities.dtype)
    true_logit = logits.gather(1, labels[:, None]).squeeze(1)
    others = logits.masked_fill(onehot.bool(), -torch.inf).amax(1)
    true_probability = probabilities.gather(1, labels[:, None]).squeeze(1)
    return true_logit - others, true_probability, (probabilities - onehot).norm(dim=1)


def softmax_figures(
    logits: Tensor, labels: Tensor, before: Tensor | None
) -> tuple[Tensor, Tensor, Tensor | None, Tensor]:
    """Loss, entropy and change of the softmax of ``logits`` [N, C], float32 [N] each.

    Args:
        logits: float32.
        labels: int64 [N].
        before: the log-softmax [N, C] of an epoch earlier, from which the change is; else None.

    Returns:
        loss, entropy, change or None, and the log-softmax.
    """
    logs = F.log_softmax(logits, dim=1)
    probabilities = logs.exp()
    loss = -logs.gather(1, labels[:, None]).squeeze(1)
    entropy = -(probabilities * logs).sum(1)
    change = None if before is None else (probabilities * (logs - before)).abs().sum(1)
    return loss, entropy, change, logs


def half(values: Tensor) -> Tensor:
    """In half precision, finite ones beyond its range at its ends."""
    largest = torch.finfo(torch.float16).max
    return values.clamp(-largest, largest).half()


class DynamicsRecorder:
    """Collects one network's logits batch by batch and reduces them once an epoch.

    Args:
        network: in training.
        batcher: what it is trained on, N samples.
        eval_epoch: after which error and gradient norms are taken in eval mode.
        extras: what is taken on top.
    """

    def __init__(
        self, network: nn.Module, batcher: Batcher, eval_epoch: int, extras: Extras
    ) -> None:
        self.network = network
        self.batcher = batcher
        self.eval_epoch = eval_epoch
        self.extras = extras
        classes = batcher.geometry.classes
        self._logits = torch.zeros(len(batcher), classes, device=batcher.device)
        self._before: Tensor | None = None  # log-softmax of the last epoch
        self._figures: dict[str, list[Tensor]] = {}  # of each epoch, float16 or uint8 [N]
        self._evaluated: dict[str, Tensor] = {}  # once, float32 [N]

    def on_batch(self, indices: Tensor, logits: Tensor) -> None:
        """Keeps the logits [B, C]."""
        self._logits[indices] = logits.float()

    def on_epoch(self, done: int) -> None:
        """Reduces the epoch's logits to a few figures of each sample."""
        labels = self.batcher.labels
        margin, probability, error = sample_figures(self._logits, labels)
        loss, entropy, change, self._before = softmax_figures(self._logits, labels, self._before)
        self._keep(margin=margin, probability=probability, error_norm=error)
        self._keep(loss=loss, entropy=entropy)
        if change is not None:
            self._keep(change=change)
        # correctness from the float32 margin: half precision may round a small one to zero
        self._keep(correct=margin > 0)
        if done == self.eval_epoch:
            self._evaluate()
        if self.extras.epoch_eval:
            margin, _, _ = sample_figures(predict(self.network, self.batcher), labels)
            self._keep(eval_correct=margin > 0)

    def _keep(self, **figures: Tensor) -> None:
        for name, values in figures.items():
            small = values.to(torch.uint8) if values.dtype == torch.bool else half(values)
            self._figures.setdefault(name, []).append(small)

    def _evaluate(self) -> None:
        """Norms of errors and gradients in eval mode."""
        logits, inputs = predict_with_inputs(self.network, self.batcher)
        _, _, error = sample_figures(logits, self.batcher.labels)
        self._evaluated = {"eval_error_norm": error, "eval_gradient_norm": error * inputs}
        if self.extras.full_gradient:
            self._evaluated["full_gradient_norm"] = full_gradient_norms(self.network, self.batcher)

    def tensors(self) -> dict[str, Tensor]:
        """Those of an epoch float16 or uint8 [E, N] (``change`` [E − 1, N]), others float32 [N].

        Raises:
            DivergedError: if the network is not finite: it ranks nothing.
        """
        check_converged(self.network, "a network trained for the scores", "scorer.lr")
        figures = {name: torch.stack(parts).cpu() for name, parts in self._figures.items()}
        figures.setdefault("change", torch.empty(0, len(self.batcher), dtype=torch.float16))
        return figures | {name: values.cpu() for name, values in self._evaluated.items()}
