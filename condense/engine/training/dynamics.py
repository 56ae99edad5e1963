"""The training-dynamics pass: train K networks once, keep what every sample did in every epoch.

Forgetting, EL2N and the C-score's learning-speed form all read it, so a new scorer costs no
training. Stored in half precision: 7 bytes per sample, epoch and network, and one more where
correctness in eval mode after every epoch was asked for.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import torch
from pydantic import Field
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from condense.engine.runtime import rng as rngs
from condense.engine.runtime.precision import (
    PrecisionOption,
    auto_means,
    key_options,
    precision_of,
)
from condense.engine.training.batches import Batcher
from condense.engine.training.concurrent import cached_trainings, missing_from
from condense.engine.training.estimate import training_seconds
from condense.engine.training.loop import Training, predict
from condense.engine.training.schedule import Schedule, batches_per_epoch
from condense.interfaces import (
    Context,
    Cost,
    Dynamics,
    LabeledData,
    Task,
    TrainingSet,
)
from condense.options import AugmentationSpec, NetworkSpec, Options

VERSION = "1"
BYTES_PER_SAMPLE = 7  # three half-precision figures and one flag per epoch and network
EVAL_SHARE = 1 / 3  # a forward pass, in forward and backward passes


class DynamicsOptions(Options):
    """How the networks of the pass are trained; scorers derive their options from it."""

    networks: int = Field(6, ge=1, description="networks trained, each with its own seed")
    epochs: int = Field(40, ge=1, description="epochs each is trained")
    eval_epoch: int = Field(
        5, ge=1, description="epochs trained before the evaluation-mode pass that EL2N reads"
    )
    batch_size: int = Field(64, ge=1, description="samples per step")
    lr: float = Field(0.05, gt=0, description="initial SGD learning rate, cosine to 1 %")
    momentum: float = Field(0.9, ge=0, lt=1, description="SGD momentum")
    weight_decay: float = Field(5e-4, ge=0, description="SGD weight decay")
    network: NetworkSpec = Field(
        NetworkSpec.of("convnet", width=32), description="network trained for the scores"
    )
    augmentation: AugmentationSpec = Field(
        AugmentationSpec.of("simple"), description="augmentation while training for the scores"
    )
    precision: PrecisionOption = Field(
        "auto",
        description="auto (bf16 on GPUs) | fp32 | tf32 | bf16",
        json_schema_extra=auto_means("bf16"),
    )


def dynamics_options(options: Options | None) -> DynamicsOptions:
    """The part of ``options`` that the pass depends on; defaults where it has none."""
    known = [k for k in DynamicsOptions.model_fields if hasattr(options, k)]
    return DynamicsOptions(**{k: getattr(options, k) for k in known})


def dynamics_key(
    data: LabeledData,
    context: Context,
    seed: int,
    options: DynamicsOptions,
    network: int,
    epoch_eval: bool = False,
) -> dict[str, Any]:
    """Cache key of one network's pass; more networks later re-use the first ones."""
    apart = {"networks", "network", "augmentation"}
    plain = {k: v for k, v in key_options(options, context.device).items() if k not in apart}
    key = {
        "component": "dynamics",
        "version": VERSION,
        "options": plain,
        "network": context.identity(options.network),
        "augmentation": context.identity(options.augmentation),
        "data": data.fingerprint,
        "seed": seed,
        "index": network,
    }
    return key | {"epoch_eval": True} if epoch_eval else key


def _entry(
    data: LabeledData,
    context: Context,
    seed: int,
    options: DynamicsOptions,
    network: int,
    epoch_eval: bool,
) -> tuple[dict[str, Any], bool]:
    """Where a pass is read or kept, and whether it holds eval correctness.

    Evaluating draws nothing and changes no network, so a pass with it serves one without.
    """
    rich = dynamics_key(data, context, seed, options, network, epoch_eval=True)
    if epoch_eval or context.cache.has("dynamics", rich):
        return rich, True
    return dynamics_key(data, context, seed, options, network), False


def run_dynamics(
    data: LabeledData,
    context: Context,
    rng: Generator,
    options: Options | None = None,
    *,
    epoch_eval: bool = False,
) -> Dynamics:
    """The pass over ``data`` (training split only), from the store where it is there.

    Args:
        data: training split, N samples.
        context: device, cache, progress, networks.
        rng: only its seed is read.
        options: a :class:`DynamicsOptions` or a model that has its fields.
        epoch_eval: whether to evaluate all samples at the end of every epoch as well.
    """
    resolved = dynamics_options(options)
    seed = rngs.fork_seed(rng.initial_seed(), "dynamics")
    start = time.perf_counter()
    entries = [
        _entry(data, context, seed, resolved, k, epoch_eval) for k in range(resolved.networks)
    ]
    keys = [key for key, _ in entries]
    missing = sum(1 for _ in missing_from(context.cache, "dynamics", keys))
    per_epoch = batches_per_epoch(len(data), resolved.batch_size)
    total = max(missing, 1) * resolved.epochs * per_epoch
    with context.progress.task("training dynamics", total, "step") as task:

        def make(k: int) -> Training:
            return _training(data, context, seed, resolved, k, task, epoch_eval=entries[k][1])

        passes = list(
            cached_trainings(
                context.cache, "dynamics", keys, make, lambda _, training: _recorded(training)
            )
        )

    def stack(name: str) -> Tensor:
        return torch.stack([p[name].float() for p in passes])

    margin = stack("margin")
    return Dynamics(
        margin=margin,
        probability=stack("probability"),
        error_norm=stack("error_norm"),
        correct=torch.stack([p["correct"].bool() for p in passes]),
        eval_correct=(
            torch.stack([p["eval_correct"].bool() for p in passes]) if epoch_eval else None
        ),
        eval_error_norm=stack("eval_error_norm"),
        eval_epoch=min(resolved.eval_epoch, resolved.epochs),
        seconds=time.perf_counter() - start,
    )


def dynamics_schedule(
    data: LabeledData, options: DynamicsOptions, device: torch.device
) -> Schedule:
    """SGD of the pass: momentum and a cosine to 1 %."""
    return Schedule(
        steps=options.epochs * batches_per_epoch(len(data), options.batch_size),
        batch_size=options.batch_size,
        lr=options.lr,
        momentum=options.momentum,
        weight_decay=options.weight_decay,
        cosine_to=0.01,
        precision=precision_of(options, device),
    )


def dynamics_cost(
    data: LabeledData, context: Context, options: DynamicsOptions, epoch_eval: bool = False
) -> Cost:
    """Estimate of the pass for ``--dry-run``, as if nothing of it were stored."""
    schedule = dynamics_schedule(data, options, context.device)
    augmentation = context.augmentation(options.augmentation)
    one = training_seconds(data, context, options.network, augmentation, schedule)
    one *= 1 + EVAL_SHARE * epoch_eval
    disk = options.networks * options.epochs * len(data) * (BYTES_PER_SAMPLE + epoch_eval)
    return Cost(options.networks * one, disk=disk)


def sample_figures(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Margin, true-class probability and ‖softmax − onehot‖₂, each float32 [N], from [N, C]."""
    probabilities = F.softmax(logits.float(), dim=1)
    onehot = F.one_hot(labels, logits.shape[1]).to(probabilities.dtype)
    true_logit = logits.gather(1, labels[:, None]).squeeze(1)
    others = logits.masked_fill(onehot.bool(), -torch.inf).amax(1)
    true_probability = probabilities.gather(1, labels[:, None]).squeeze(1)
    return true_logit - others, true_probability, (probabilities - onehot).norm(dim=1)


@dataclass
class _Recorder:
    """Collects one network's logits batch by batch and reduces them once an epoch."""

    network: nn.Module
    batcher: Batcher
    options: DynamicsOptions
    logits: Tensor
    epoch_eval: bool = False

    def __post_init__(self) -> None:
        self.epochs: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []
        self.eval_correct: list[Tensor] = []
        self.eval_error_norm: Tensor | None = None

    def on_batch(self, indices: Tensor, logits: Tensor) -> None:
        self.logits[indices] = logits.float()

    def on_epoch(self, done: int) -> None:
        labels = self.batcher.labels
        margin, probability, error = sample_figures(self.logits, labels)
        # correctness from the float32 margin: half precision may round a small one to zero
        self.epochs.append((margin.half(), probability.half(), error.half(), margin > 0))
        early = done == min(self.options.eval_epoch, self.options.epochs)
        if early or self.epoch_eval:
            margin, _, error = sample_figures(predict(self.network, self.batcher), labels)
            self.eval_error_norm = error if early else self.eval_error_norm
            if self.epoch_eval:
                self.eval_correct.append(margin > 0)


def _training(
    data: LabeledData,
    context: Context,
    seed: int,
    options: DynamicsOptions,
    index: int,
    task: Task,
    epoch_eval: bool,
) -> Training:
    """Network ``index`` of the pass, ready to be trained under a recorder's eyes."""
    device = context.device
    init = rngs.generator(seed, "init", index)
    network = context.network(options.network, data.geometry, init)
    batcher = Batcher(TrainingSet.of(data), device)
    logits = torch.zeros(len(data), len(data.classes), device=device)
    return Training(
        network,
        batcher,
        dynamics_schedule(data, options, device),
        context.augmentation(options.augmentation),
        rngs.generator(seed, "batches", index, device=device),
        callback=_Recorder(network, batcher, options, logits, epoch_eval),
        task=task,
    )


def _recorded(training: Training) -> dict[str, Tensor]:
    """What is stored of a finished network."""
    recorder = training.callback
    assert isinstance(recorder, _Recorder)
    assert recorder.eval_error_norm is not None
    margin, probability, error, correct = (
        torch.stack(parts).cpu() for parts in zip(*recorder.epochs, strict=True)
    )
    tensors = {
        "margin": margin,
        "probability": probability,
        "error_norm": error,
        "correct": correct.to(torch.uint8),
        "eval_error_norm": recorder.eval_error_norm.cpu(),
    }
    if recorder.epoch_eval:
        tensors["eval_correct"] = torch.stack(recorder.eval_correct).to("cpu", torch.uint8)
    return tensors
