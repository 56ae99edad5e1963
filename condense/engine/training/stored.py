"""A network that is trained on a set once and kept in the store, to be asked afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from condense.engine.runtime.expected import Expected
from condense.engine.runtime.rng import Seed
from condense.engine.training.batches import Batcher
from condense.engine.training.loop import check_converged
from condense.engine.training.passes import kept_of_network
from condense.engine.training.sgd import SgdOptions
from condense.interfaces import Context, TrainingSet

VERSION = "2"
KIND = "networks"  # folder in the store
_STATE = "network."  # prefix of the network's own tensors in an entry


def stored_key(
    training: TrainingSet, context: Context, options: SgdOptions, seed: Seed
) -> dict[str, Any]:
    """Everything that :func:`stored_network` depends on."""
    return options.key(context) | {
        "version": VERSION,
        "training": training.fingerprint,
        "seed": seed.value,
    }


def stored_network(
    training: TrainingSet,
    context: Context,
    options: SgdOptions,
    seed: Seed,
    title: str,
    rate: str,
) -> nn.Module:
    """A network trained on ``training``, from the store where it is there.

    Args:
        training: what on.
        context: device, cache, progress, networks.
        options: how.
        seed: of its initialisation and batches.
        title: what it is, for the progress bar and a message.
        rate: its learning rate in option keys, for the message where it diverges.

    Returns:
        on the device, in the mode it was built in.

    Raises:
        DivergedError: if training leaves it not finite.
    """
    init = seed.fork("init", 0).generator()
    network = context.network(options.network, training.geometry, init)

    def kept(trained: nn.Module, batcher: Batcher) -> dict[str, Tensor]:
        check_converged(trained, f"the {title}", rate)
        return state_tensors(trained)

    tensors = kept_of_network(
        training,
        context,
        options,
        seed,
        stored_key(training, context, options, seed),
        kept,
        expected=expected_state(network),
        kind=KIND,
        title=title,
    )
    load_state(network, tensors)
    return network


def state_tensors(network: nn.Module) -> dict[str, Tensor]:
    """All that ``network`` has learned, on the CPU, as an entry holds it."""
    return {_STATE + name: value.detach().cpu() for name, value in network.state_dict().items()}


def expected_state(network: nn.Module) -> dict[str, Expected]:
    """What :func:`state_tensors` of a network of the form of ``network`` must be."""
    return {
        _STATE + name: Expected(value.dtype, tuple(value.shape), finite=False)
        for name, value in network.state_dict().items()
    }


def load_state(network: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Give ``network`` what an entry holds of it."""
    state = {k.removeprefix(_STATE): v for k, v in tensors.items() if k.startswith(_STATE)}
    network.load_state_dict(state)
