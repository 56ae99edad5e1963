"""The hooks a plugin may implement, one per component kind.

Each gets a ``register`` callback, calls it once per component class, and returns nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from condense.plugin import hookspec

if TYPE_CHECKING:
    from condense.interfaces import (
        Augmentation,
        Dataset,
        Evaluator,
        Matcher,
        Network,
        Scorer,
        Selector,
        UpdatePolicy,
    )
    from condense.recipe import Method, Preset


@hookspec
def condense_register_datasets(register: Callable[[type[Dataset]], None]) -> None:
    """Offer data sets (kind ``data``): classes whose ``load`` returns LabeledData."""


@hookspec
def condense_register_networks(register: Callable[[type[Network]], None]) -> None:
    """Offer networks: classes whose ``build`` maps [B, *shape] to [B, classes] logits."""


@hookspec
def condense_register_scorers(register: Callable[[type[Scorer]], None]) -> None:
    """Offer difficulty scorers: classes whose ``score`` returns float [N], higher = harder."""


@hookspec
def condense_register_selectors(register: Callable[[type[Selector]], None]) -> None:
    """Offer selectors: classes whose ``select`` returns exactly the budget of each class."""


@hookspec
def condense_register_matchers(register: Callable[[type[Matcher]], None]) -> None:
    """Offer matchers: classes whose ``step`` returns a loss and its gradients."""


@hookspec
def condense_register_update_policies(register: Callable[[type[UpdatePolicy]], None]) -> None:
    """Offer update policies: classes whose ``split`` returns bool [M], true = distilled."""


@hookspec
def condense_register_augmentations(register: Callable[[type[Augmentation]], None]) -> None:
    """Offer augmentations: classes with ``draw`` (parameters) and ``apply`` (the change)."""


@hookspec
def condense_register_evaluators(register: Callable[[type[Evaluator]], None]) -> None:
    """Offer evaluators: classes whose ``evaluate`` returns an Evaluation (accuracies in 0–1)."""


@hookspec
def condense_register_methods(register: Callable[[Method], None]) -> None:
    """Offer methods: :class:`condense.recipe.Method` records, one component per stage."""


@hookspec
def condense_register_presets(register: Callable[[Preset], None]) -> None:
    """Offer presets: :class:`condense.recipe.Preset` records of option values."""
