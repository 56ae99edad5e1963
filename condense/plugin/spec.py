"""The hooks a plugin may implement, one per component kind.

Each gets a ``register`` callback, calls it once per component class, and returns nothing. A name
that is taken within the plugin makes the plugin a broken one; one that another package has taken
is an error that names both.
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
        Executor,
        Matcher,
        Network,
        Reselector,
        Scorer,
        Selector,
        Tracker,
        UpdatePolicy,
    )
    from condense.recipe import Method, Preset


@hookspec
def condense_register_datasets(register: Callable[[type[Dataset]], None]) -> None:
    """Offer data sets (kind ``data``): classes whose ``load`` returns LabeledData.

    Inputs uint8 [N, H, W, C] (0–255) or float32 [N, D], labels int64 [N]. Raises BrokenPlugin for
    a class without the form of :class:`condense.interfaces.Dataset`.
    """


@hookspec
def condense_register_networks(register: Callable[[type[Network]], None]) -> None:
    """Offer networks: classes whose ``build`` maps [B, *shape] to [B, classes] logits.

    Inputs are normalised float32. Raises BrokenPlugin for a class without the form of
    :class:`condense.interfaces.Network`.
    """


@hookspec
def condense_register_scorers(register: Callable[[type[Scorer]], None]) -> None:
    """Offer difficulty scorers: classes whose ``score`` returns float [N], higher = harder.

    The unit is the scorer's own; only the order counts. Raises BrokenPlugin for a class without
    the form of :class:`condense.interfaces.Scorer`.
    """


@hookspec
def condense_register_selectors(register: Callable[[type[Selector]], None]) -> None:
    """Offer selectors: classes whose ``select`` returns exactly the budget of each class.

    Indices are int64 [M], grouped by class. Raises BrokenPlugin for a class without the form of
    :class:`condense.interfaces.Selector`, ``needs_scores`` included.
    """


@hookspec
def condense_register_matchers(register: Callable[[type[Matcher]], None]) -> None:
    """Offer matchers: classes whose ``step`` returns a loss and its gradients.

    The loss is a scalar, the gradient [M, …] like the normalised samples. Raises BrokenPlugin for
    a class without the form of :class:`condense.interfaces.Matcher`.
    """


@hookspec
def condense_register_update_policies(register: Callable[[type[UpdatePolicy]], None]) -> None:
    """Offer update policies: classes whose ``split`` returns bool [M], true = distilled.

    Raises BrokenPlugin for a class without the form of :class:`condense.interfaces.UpdatePolicy`.
    """


@hookspec
def condense_register_reselectors(register: Callable[[type[Reselector]], None]) -> None:
    """Offer reselectors: classes whose ``complete`` returns the real samples of a matched set.

    Positions are int64 [R], as many of each class as there are. Raises BrokenPlugin for a class
    without the form of :class:`condense.interfaces.Reselector`, ``needs_scores`` included.
    """


@hookspec
def condense_register_augmentations(register: Callable[[type[Augmentation]], None]) -> None:
    """Offer augmentations: classes with ``draw`` (parameters) and ``apply`` (the change).

    Draws are float32 [..., B, P], images normalised [B, C, H, W]. Raises BrokenPlugin for a class
    without the form of :class:`condense.interfaces.Augmentation`.
    """


@hookspec
def condense_register_evaluators(register: Callable[[type[Evaluator]], None]) -> None:
    """Offer evaluators: classes whose ``evaluate`` returns an Evaluation (accuracies in 0–1).

    One value per repeat, seconds of wall clock. Raises BrokenPlugin for a class without the form
    of :class:`condense.interfaces.Evaluator`.
    """


@hookspec
def condense_register_executors(register: Callable[[type[Executor]], None]) -> None:
    """Offer executors: classes that work jobs off, here or elsewhere.

    A job is a call with JSON text and bytes, its resources in threads, GPUs and bytes. Raises
    BrokenPlugin for a class without the form of :class:`condense.interfaces.Executor`.
    """


@hookspec
def condense_register_trackers(register: Callable[[type[Tracker]], None]) -> None:
    """Offer trackers: classes that are told of a run while it is under way.

    Figures are floats by name after a number of iterations, accuracies in 0–1, pictures uint8
    [H, W, 3]. Raises BrokenPlugin for a class without the form of
    :class:`condense.interfaces.Tracker`.
    """


@hookspec
def condense_register_methods(register: Callable[[Method], None]) -> None:
    """Offer methods: :class:`condense.recipe.Method` records, one component per stage.

    A method has no shapes of its own; option values are in the units of their components. Raises
    BrokenPlugin for anything but such a record.
    """


@hookspec
def condense_register_presets(register: Callable[[Preset], None]) -> None:
    """Offer presets: :class:`condense.recipe.Preset` records of option values.

    A preset has no shapes of its own; values are in the units of their options, ``ipc`` in
    samples a class. Raises BrokenPlugin for anything but such a record.
    """
