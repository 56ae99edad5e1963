"""What a scorer or matcher says of the networks that it trained, beside what it is for."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from condense.capabilities import HasReplicates, KnowsItsNetworks
from condense.engine.runtime.guard import contents, guarded
from condense.errors import BrokenPlugin
from condense.interfaces import Component, Context, LabeledData, Scorer


def run_training_accuracy(
    kind: str, component: Component, data: LabeledData, context: Context, rng: Generator
) -> list[float]:
    """Share of the training split that each of its networks is right about; none if it is not said.

    Args:
        kind: scorer or matcher.
        component: a scorer that has scored, or a matcher that is prepared.
        data, context, rng: as it was given then.

    Raises:
        BrokenPlugin: for anything but shares, or as :func:`guarded` does.
    """
    name = component.name
    if not isinstance(component, KnowsItsNetworks):
        return []
    with guarded(kind, component, *contents(data)):
        found = torch.as_tensor(component.training_accuracy(data.without_test(), context, rng))
    if found.dim() != 1 or not bool(((found >= 0) & (found <= 1)).all()):
        raise BrokenPlugin(
            f"{kind} '{name}' gave {found.tolist()} as training accuracy, expected shares, one each"
        )
    shares: list[float] = found.double().tolist()
    return shares


def run_replicates(
    scorer: Scorer, data: LabeledData, context: Context, rng: Generator
) -> Tensor | None:
    """The independent estimates [R, N] that scores are the mean of; None for other scorers.

    Raises:
        BrokenPlugin: as :func:`guarded` does.
    """
    if not isinstance(scorer, HasReplicates):
        return None
    with guarded("scorer", scorer, *contents(data)):
        return torch.as_tensor(scorer.replicates(data.without_test(), context, rng))
