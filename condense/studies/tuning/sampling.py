"""Optuna's samplers (extra ``tune``) over one or more real-valued options."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from condense import DISTRIBUTION
from condense.errors import OptionError

SAMPLERS = ("tpe", "random")


def import_optuna() -> Any:
    """The library.

    Raises:
        OptionError: if it is not installed.
    """
    try:
        import optuna
    except ImportError:
        raise OptionError(
            "the samplers tpe and random need Optuna, which is not installed; "
            f"install the extra `tune` (pip install '{DISTRIBUTION}[tune]') or use --sampler golden"
        ) from None
    return optuna


def sample(
    evaluate: Callable[[tuple[float, ...]], float],
    ranges: Sequence[tuple[float, float]],
    sampler: str,
    trials: int,
    seed: int,
    places: int,
) -> None:
    """Call ``evaluate`` for ``trials`` places in ``ranges``, which the sampler chooses.

    Equal arguments and results give equal places, so that a repeated call finds all of them in
    the store.

    Args:
        evaluate: (values, one a range) → what is maximised.
        ranges: (lowest, highest) of each option.
        sampler: one of :data:`SAMPLERS`.
        trials: how many.
        seed: of the sampler.
        places: decimals of the values.

    Raises:
        OptionError: if Optuna is not installed.
    """
    optuna = import_optuna()
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    samplers = {"tpe": optuna.samplers.TPESampler, "random": optuna.samplers.RandomSampler}

    def objective(trial: Any) -> float:
        asked = [trial.suggest_float(str(i), low, high) for i, (low, high) in enumerate(ranges)]
        rounded = (round(value, places) for value in asked)
        pairs = zip(rounded, ranges, strict=True)
        return evaluate(tuple(min(max(value, low), high) for value, (low, high) in pairs))

    try:
        study = optuna.create_study(direction="maximize", sampler=samplers[sampler](seed=seed))
        study.optimize(objective, n_trials=trials)
    finally:
        optuna.logging.set_verbosity(verbosity)
