"""Which samples of a training split a network gets right that was trained on another set."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from condense.engine.runtime.expected import Expected
from condense.engine.runtime.precision import precision_of
from condense.engine.runtime.rng import Seed
from condense.engine.training.batches import Batcher
from condense.engine.training.loop import check_converged, predict
from condense.engine.training.passes import kept_of_network
from condense.engine.training.schedule import Schedule
from condense.engine.training.sgd import SgdOptions
from condense.interfaces import Context, TrainingSet

VERSION = "2"
KIND = "right"  # folder in the store


class ShortOptions(SgdOptions):
    """Steps in the place of epochs, as a set that grows is to have as many in every round."""

    steps: int = Field(500, ge=1, description="optimiser steps")

    def schedule(self, samples: int, device: torch.device) -> Schedule:
        """So many steps, whatever the number of samples."""
        return replace(super().schedule(samples, device), steps=self.steps, in_steps=True)

    def key(self, context: Context) -> dict[str, Any]:
        """Another one than before few epochs had their rate by step."""
        return super().key(context) | {"rate": "by step in few epochs"}


def right_samples(
    training: TrainingSet, asked: TrainingSet, context: Context, options: SgdOptions, seed: Seed
) -> Tensor:
    """bool [N] of ``asked`` on the CPU, from the store where they are there.

    Args:
        training: what the network is trained on.
        asked: N samples.
        context: device, cache, progress, networks.
        options: how it is trained.
        seed: of its initialisation and batches.

    Raises:
        DivergedError: if training leaves it not finite.
    """

    def kept(network: nn.Module, batcher: Batcher) -> dict[str, Tensor]:
        rate = f"`reselector.lr={options.lr:g}`"
        check_converged(network, "a network of the reselector", rate)
        batches = Batcher(asked, context.device)
        precision = precision_of(options, context.device)
        logits = predict(network, batches, precision=precision)
        return {"right": (logits.argmax(1) == batches.labels).to(torch.uint8).cpu()}

    stored = kept_of_network(
        training,
        context,
        options,
        seed,
        right_key(training, asked, context, options, seed),
        kept,
        expected={"right": Expected(torch.uint8, (len(asked),), low=0, high=1)},
        kind=KIND,
        title=f"network of {len(training)} samples",
    )
    return stored["right"].bool()


def right_key(
    training: TrainingSet, asked: TrainingSet, context: Context, options: SgdOptions, seed: Seed
) -> dict[str, Any]:
    """Everything that :func:`right_samples` depend on."""
    return options.key(context) | {
        "component": "right-samples",
        "version": VERSION,
        "training": training.fingerprint,
        "asked": asked.fingerprint,
        "seed": seed.value,
    }
