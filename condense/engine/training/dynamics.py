"""The training-dynamics pass: train K networks once, keep what every sample did in every epoch.

Whatever rates samples by how they are learned reads it, so a new scorer costs no training. What is
kept, and how: :mod:`condense.engine.training.statistics`. Recordings of somebody's own training may
stand in its place (:mod:`condense.engine.training.own_loop`).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import asdict, astuple, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Generator, Tensor, nn

from condense.engine.runtime.expected import Expected
from condense.engine.runtime.precision import auto_means
from condense.engine.runtime.rng import Seed
from condense.engine.training import sgd
from condense.engine.training.batches import Batcher, channels_last
from condense.engine.training.estimate import sgd_cost
from condense.engine.training.gradient_norms import (
    full_gradient_norms,
    gradients_at_once,
    predict_with_inputs,
)
from condense.engine.training.loop import check_converged, predict
from condense.engine.training.own_loop import digest_of, read_recordings
from condense.engine.training.passes import recorded_pass
from condense.engine.training.sgd import SgdOptions
from condense.engine.training.statistics import (
    BYTES_PER_SAMPLE,
    LARGEST_ERROR,
    SampleStatistics,
    evaluated_figures,
    expected_figures,
    sample_figures,
)
from condense.errors import DataError
from condense.interfaces import Context, Cost, Dynamics, LabeledData, StoreEntry, TrainingSet
from condense.options import (
    AugmentationSpec,
    NetworkSpec,
    Options,
    PathOption,
    part_of,
    without_effect_beside,
)

VERSION = "4"
KIND = "dynamics"  # folder in the store
EVAL_SHARE = 1 / 3  # a forward pass, in forward and backward passes
FULL_GRADIENT_EPOCHS = 4  # of training, that take as long as all samples' gradients: 3 to 5


_IDLE = without_effect_beside("dynamics")
_PASS = Field(json_schema_extra=_IDLE)  # of an option that a recording leaves without effect


class DynamicsOptions(Options):
    """How the networks of the pass are trained; scorers derive their options from it."""

    dynamics: PathOption | None = Field(
        None,
        description="your own training in place of the pass: a file of condense.Recorder, or a "
        "folder of such files, one a network; eval_epoch then takes the last evaluation up to it",
    )
    networks: int = Field(
        6, ge=1, description="networks trained, each with its own seed", json_schema_extra=_IDLE
    )
    epochs: Annotated[sgd.Epochs, _PASS] = 40
    eval_epoch: int = Field(
        5, ge=1, description="epochs trained before the evaluation-mode pass that EL2N reads"
    )
    batch_size: Annotated[sgd.BatchSize, _PASS] = 64
    lr: Annotated[sgd.LearningRate, _PASS] = 0.05
    momentum: Annotated[sgd.Momentum, _PASS] = 0.9
    weight_decay: Annotated[sgd.WeightDecay, _PASS] = 5e-4
    network: NetworkSpec = Field(
        NetworkSpec.of("auto", width=32),
        description="network trained for the scores",
        json_schema_extra=_IDLE,
    )
    augmentation: AugmentationSpec = Field(
        AugmentationSpec.of("simple"),
        description="augmentation while training for the scores",
        json_schema_extra=_IDLE,
    )
    precision: Annotated[
        sgd.PrecisionBf16, Field(json_schema_extra={**auto_means("bf16"), **_IDLE})
    ] = "auto"


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
        if self.options.dynamics is not None:
            return _recorded(Path(self.options.dynamics), self.data, self.options, self.extras)
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
            kind=KIND,
            title="training dynamics",
        )
        return _combined(passes, early, self.extras)

    def _expected(self, extras: Extras) -> dict[str, Expected]:
        """What is kept of a network; one that diverged is not kept."""
        epochs, samples = self.options.epochs, len(self.data)
        flag = Expected(torch.uint8, (epochs, samples), low=0, high=1)
        norm = Expected(torch.float32, (samples,), finite=False)  # of a gradient, if there is any
        return expected_figures(epochs, samples, len(self.data.classes)) | {
            "eval_error_norm": replace(norm, finite=True, low=0, high=LARGEST_ERROR),
            "eval_gradient_norm": norm,
            **({"eval_correct": flag} if extras.epoch_eval else {}),
            **({"full_gradient_norm": norm} if extras.full_gradient else {}),
        }

    def keys(self) -> list[dict[str, Any]]:
        """Where each network is read or kept; none where it was recorded."""
        if self.options.dynamics is not None:
            return []
        return [self._key(k) for k in range(self.options.networks)]

    def entries(self) -> list[StoreEntry]:
        """Folder in the store and key of each."""
        return [(KIND, key) for key in self.keys()]

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
        stored = (k for k in serving if self.context.cache.has(KIND, k))
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
        logits=stack("logits").mean(dim=0),
        eval_correct=stack("eval_correct").bool() if extras.epoch_eval else None,
        eval_error_norm=stack("eval_error_norm"),
        eval_gradient_norm=stack("eval_gradient_norm"),
        full_gradient_norm=stack("full_gradient_norm") if extras.full_gradient else None,
        eval_epoch=eval_epoch,
    )


def _recorded(path: Path, data: LabeledData, options: DynamicsOptions, extras: Extras) -> Dynamics:
    """The recordings at ``path`` as figures of a pass; those of eval mode NaN if there are none."""
    networks = read_recordings(path, data)
    epochs = len(networks[0]["margin"])
    looks = [set(one["evaluated"].tolist()) for one in networks]
    shared = sorted(set.intersection(*looks))
    usable = map(_looks_with_gradients, networks) if extras.full_gradient else looks
    early = max((e for e in set.intersection(*usable) if e <= options.eval_epoch), default=0)

    def picked(one: dict[str, Tensor], name: str) -> Tensor:
        if not early:
            return torch.full((len(data),), torch.nan)
        return one[name][one["evaluated"].tolist().index(early)]

    if extras.epoch_eval and shared != list(range(1, epochs + 1)):
        raise DataError(
            f"{path} was evaluated after {len(shared)} of its {epochs} epochs, this scorer needs "
            "every one; call evaluate() of `condense.Recorder` after each"
        )
    if extras.full_gradient and not early:
        raise DataError(
            f"{path} has no gradients by all parameters within the first {options.eval_epoch} "
            "epochs; call evaluate(…, full_gradient=True) of `condense.Recorder`"
        )
    names = ["eval_error_norm", "eval_gradient_norm"]
    if extras.full_gradient:
        names.append("full_gradient_norm")
    passes = [{**one, **{name: picked(one, name) for name in names}} for one in networks]
    return _combined(passes, early or min(options.eval_epoch, epochs), extras)


def _looks_with_gradients(one: dict[str, Tensor]) -> set[int]:
    """Epochs after which gradients by all parameters were taken; NaN stands where they were not."""
    norms = one.get("full_gradient_norm")
    return set() if norms is None else set(one["evaluated"][~norms.isnan().all(dim=1)].tolist())


def recordings_token(options: Options) -> dict[str, str]:
    """For a cache key: what lies at the path of ``options``, where they have recordings.

    Raises:
        DataError: if it cannot be read.
    """
    if not isinstance(options, DynamicsOptions) or options.dynamics is None:
        return {}
    return {"dynamics": digest_of(Path(options.dynamics))}


def dynamics_cost(
    data: LabeledData, context: Context, options: Options, extras: Extras = Extras()
) -> Cost:
    """Estimate of the pass for ``--dry-run``, as if nothing of it were stored."""
    resolved = part_of(DynamicsOptions, options)
    if resolved.dynamics is not None:
        return Cost()
    epochs = 1 + EVAL_SHARE * extras.epoch_eval
    epochs += FULL_GRADIENT_EPOCHS / resolved.epochs * extras.full_gradient
    one = sgd_cost(data, context, part_of(SgdOptions, options)).times(epochs)
    size = resolved.epochs * (BYTES_PER_SAMPLE + extras.epoch_eval) + 2 * len(data.classes)
    every = replace(one, disk=len(data) * size).times(resolved.networks)
    return every.shared_as(lambda rng: dynamics_pass(data, context, rng, options, extras).entries())


class DynamicsRecorder:
    """What is kept of one network of the pass.

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
        self._statistics = SampleStatistics(len(batcher), classes, batcher.device)
        self._evaluated: dict[str, Tensor] = {}  # once, float32 [N]

    def on_batch(self, indices: Tensor, logits: Tensor) -> None:
        """Keeps the logits [B, C]."""
        self._statistics.log(indices, logits)

    def on_epoch(self, done: int) -> None:
        """Reduces the epoch's logits to a few figures of each sample."""
        labels = self.batcher.labels
        self._statistics.end_epoch(labels)
        if done == self.eval_epoch:
            self._evaluate()
        if self.extras.epoch_eval:
            margin, _, _ = sample_figures(predict(self.network, self.batcher), labels)
            self._statistics.keep(eval_correct=margin > 0)

    def _evaluate(self) -> None:
        """Norms of errors and gradients in eval mode."""
        data, device = self.batcher, self.batcher.device
        seen = (channels_last(inputs) for inputs, _ in data.in_order())
        logits, lengths = predict_with_inputs(self.network, seen, device)
        self._evaluated = evaluated_figures(logits, lengths, data.labels)
        if self.extras.full_gradient:
            batches = data.in_order(gradients_at_once(self.network))
            norms = full_gradient_norms(self.network, batches, device)
            self._evaluated["full_gradient_norm"] = norms

    def tensors(self) -> dict[str, Tensor]:
        """Those of an epoch float16 or uint8 [E, N] (``change`` [E − 1, N]), ``logits`` [N, C];
        others float32 [N].

        Raises:
            DivergedError: if the network is not finite: it ranks nothing.
        """
        check_converged(self.network, "a network trained for the scores", "scorer.lr")
        return self._statistics.tensors() | {k: v.cpu() for k, v in self._evaluated.items()}
