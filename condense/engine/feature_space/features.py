"""Where samples lie for a network: what goes into its last linear layer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Generator, Tensor, nn

from condense.engine.runtime.expected import Expected
from condense.engine.runtime.rng import Seed
from condense.engine.training.batches import Batcher, channels_last
from condense.engine.training.estimate import sgd_cost
from condense.engine.training.gradient_norms import last_linear
from condense.engine.training.loop import check_converged, evaluating
from condense.engine.training.passes import kept_of_network
from condense.engine.training.sgd import SgdOptions
from condense.errors import DataError, OptionError
from condense.interfaces import Context, Cost, LabeledData, TrainingSet
from condense.options import Options, part_of

VERSION = "2"
KIND = "features"  # folder in the store


def run_features(
    data: LabeledData, context: Context, rng: Generator, options: Options | None = None
) -> Tensor:
    """Features of all samples, from the store where they are there.

    Of images: what goes into the last linear layer of one network that is trained on ``data`` as
    in the dynamics pass. Of feature data: the inputs themselves.

    Args:
        data: training split, N samples; its test split is not looked at.
        context: device, cache, progress, networks.
        rng: only its seed is read.
        options: a :class:`~condense.engine.training.sgd.SgdOptions` or a model that has its
            fields; None takes the defaults.

    Returns:
        float32 [N, D] on the CPU, in the order of ``data``.

    Raises:
        OptionError: for a network without a linear layer, or one that does not suit the data.
        DivergedError: if training diverges.
        DataError: if features are not finite.
    """
    if not data.geometry.is_image:
        return data.inputs
    resolved = part_of(SgdOptions, options)

    def kept(network: nn.Module, batcher: Batcher) -> dict[str, Tensor]:
        check_feature_network(network, resolved, f"its lr={resolved.lr:g}")
        return {"features": finite_features(network, batcher)}

    stored = kept_of_network(
        TrainingSet.of(data),
        context,
        resolved,
        _seed(rng),
        _key(data, context, rng, resolved),
        kept,
        expected={"features": Expected(torch.float32, (len(data), None))},
        kind=KIND,
        title="features",
    )
    return stored["features"]


def cost_of_features(data: LabeledData, context: Context, options: Options | None = None) -> Cost:
    """What :func:`run_features` takes of the same arguments."""
    resolved = part_of(SgdOptions, options)
    if not data.geometry.is_image:
        return Cost()
    return sgd_cost(data, context, resolved).shared_as(
        lambda rng: [(KIND, _key(data, context, rng, resolved))]
    )


def _seed(rng: Generator) -> Seed:
    return Seed.of(rng).fork("features")


def _key(
    data: LabeledData, context: Context, rng: Generator, options: SgdOptions
) -> dict[str, Any]:
    return options.key(context) | {
        "component": "features",
        "version": VERSION,
        "data": data.fingerprint,
        "seed": _seed(rng).value,
    }


def check_feature_network(network: nn.Module, options: SgdOptions, rate: str) -> None:
    """As :func:`check_converged`, of a ``network`` trained by ``options``."""
    check_converged(network, f"the feature network '{options.network.component}'", rate)


def finite_features(network: nn.Module, data: Batcher) -> Tensor:
    """:func:`penultimate`, checked.

    Raises:
        OptionError: for a network without a linear layer.
        DataError: if they are not finite.
    """
    found = penultimate(network, data)
    if not bool(torch.isfinite(found).all()):
        raise DataError(
            "features are not finite for some of the samples, so nothing is near them; are "
            "there NaN or infinite values in the set?"
        )
    return found


@torch.no_grad()
def penultimate(network: nn.Module, data: Batcher, batch_size: int = 1000) -> Tensor:
    """What goes into ``network``'s last ``nn.Linear``, float32 [N, D] on the CPU, in eval mode.

    Raises:
        OptionError: if it has none.
    """
    parts: list[Tensor] = []
    with evaluating(network), inputs_of_last_linear(network) as seen:
        for inputs, _ in data.in_order(batch_size):
            network(channels_last(inputs))
            parts.append(seen.pop().flatten(1).float().cpu())
    return torch.cat(parts)


@contextmanager
def inputs_of_last_linear(network: nn.Module) -> Iterator[list[Tensor]]:
    """Inside, every forward pass appends the input of the last linear layer to what is yielded."""
    linear = last_linear(network)
    if linear is None:
        raise OptionError(
            f"the network {type(network).__name__} has no torch.nn.Linear whose input could be "
            "its features; choose another, for example convnet"
        )
    seen: list[Tensor] = []
    hook = linear.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    try:
        yield seen
    finally:
        hook.remove()
